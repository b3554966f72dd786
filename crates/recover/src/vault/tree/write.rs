use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::super::goformat::{write_name, write_string};
use super::Node;

/// The bytes of a tree. `nodes` are ordered by name.
pub(crate) fn write(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nodes.len() * 480 + 16);
    out.extend_from_slice(b"{\"nodes\":[");
    for (position, node) in nodes.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        node.write(&mut out);
    }
    out.extend_from_slice(b"]}\n");
    out
}

impl Node {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        write_name(out, &self.name);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.push(b'"');
        write_number(out, ",\"mode\":", u64::from(self.mode));
        write_time(out, ",\"mtime\":\"", self.mtime);
        write_time(out, "\",\"atime\":\"", self.atime);
        write_time(out, "\",\"ctime\":\"", self.ctime);
        out.extend_from_slice(b"\",\"uid\":");
        out.extend_from_slice(self.uid.to_string().as_bytes());
        out.extend_from_slice(b",\"gid\":");
        out.extend_from_slice(self.gid.to_string().as_bytes());
        write_text(out, ",\"user\":", &self.user);
        write_text(out, ",\"group\":", &self.group);
        write_number(out, ",\"inode\":", self.inode);
        write_number(out, ",\"device_id\":", self.device_id);
        write_number(out, ",\"size\":", self.size);
        write_number(out, ",\"links\":", self.links);
        write_text(out, ",\"linktarget\":", &self.linktarget);
        if !self.linktarget_raw.is_empty() {
            write_text(out, ",\"linktarget_raw\":", &STANDARD.encode(&self.linktarget_raw));
        }
        self.write_attributes(out);
        write_number(out, ",\"device\":", self.device);
        self.write_content(out);
        if let Some(tree) = &self.subtree {
            out.extend_from_slice(b",\"subtree\":\"");
            tree.write_hex(out);
            out.push(b'"');
        }
        out.push(b'}');
    }

    fn write_attributes(&self, out: &mut Vec<u8>) {
        for (position, attribute) in self.extended_attributes.iter().enumerate() {
            out.extend_from_slice(if position == 0 { b",\"extended_attributes\":[" } else { b"," });
            out.extend_from_slice(b"{\"name\":");
            write_string(out, &attribute.name);
            out.extend_from_slice(b",\"value\":");
            write_string(out, &STANDARD.encode(&attribute.value));
            out.push(b'}');
        }
        if !self.extended_attributes.is_empty() {
            out.push(b']');
        }
    }

    fn write_content(&self, out: &mut Vec<u8>) {
        let Some(content) = &self.content else {
            out.extend_from_slice(b",\"content\":null");
            return;
        };
        out.extend_from_slice(b",\"content\":[");
        for (position, id) in content.iter().enumerate() {
            out.extend_from_slice(if position == 0 { b"\"" } else { b",\"" });
            id.write_hex(out);
            out.push(b'"');
        }
        out.push(b']');
    }
}

fn write_number(out: &mut Vec<u8>, key: &str, number: u64) {
    if number != 0 {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

fn write_text(out: &mut Vec<u8>, key: &str, text: &str) {
    if !text.is_empty() {
        out.extend_from_slice(key.as_bytes());
        write_string(out, text);
    }
}

fn write_time(out: &mut Vec<u8>, key: &str, time: Timestamp) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(time.to_string().as_bytes());
}
