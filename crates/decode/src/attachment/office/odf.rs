//! OpenDocument: macros in Basic, Python or JavaScript, and the events that start them.

use super::super::archive::ZipEntry;
use super::super::bytes::has;
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// Whether an archive is a document.
pub(in super::super) fn is_odf(entries: &[ZipEntry<'_>]) -> bool {
    entries.iter().any(|entry| {
        entry.name == "mimetype" && entry.packed.starts_with(b"application/vnd.oasis.opendocument")
    })
}

pub(in super::super) fn look(walk: &mut Walk<'_>, entries: &[ZipEntry<'_>]) {
    let mut starts = false;
    let mut script = None;
    for entry in entries {
        let name = entry.name.as_str();
        let module = (name.starts_with("Basic/") || name.starts_with("Scripts/"))
            && !name.ends_with(['/', '\\'])
            && !name.ends_with("script-lc.xml")
            && !name.ends_with("script-lb.xml");
        if module && !entry.packed.is_empty() {
            script.get_or_insert(name);
        }
        if name == "content.xml" {
            let got = entry.unpack(walk.side_room());
            walk.charge(got.bytes.len());
            starts = has(&got.bytes, b"script:event-listener")
                && [&b"dom:load"[..], b"office:auto-start", b"OnLoad", b"on-load", b"dom:unload"]
                    .iter()
                    .any(|event| has(&got.bytes, event));
        } else if name.starts_with("Object ")
            || name.starts_with("ObjectReplacements")
            || name.ends_with(".bin")
        {
            walk.packed(name, |max| entry.unpack(max));
        }
    }
    if let Some(script) = script {
        walk.mark(MarkKind::Macro, script);
        if starts {
            walk.mark(MarkKind::AutoMacro, format!("{script}, when the document opens"));
        }
    }
}
