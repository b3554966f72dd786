//! Files that are made for tests.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program for Windows, as far as its headers go.
pub(in super::super) fn pe() -> Vec<u8> {
    let mut bytes = vec![0; 1_024];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x84..0x86].copy_from_slice(&[0x64, 0x86]);
    bytes[0x98..0x9a].copy_from_slice(&[0x0b, 0x02]);
    bytes
}

/// A small picture's first bytes and noise.
pub(in super::super) fn jpeg() -> Vec<u8> {
    [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &testkit::noise(7, 400)].concat()
}

/// A ZIP archive; deflated where that is shorter.
pub(in super::super) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in files {
        let packed = miniz_oxide::deflate::compress_to_vec(content, 9);
        let (method, packed) =
            if packed.len() < content.len() { (8_u16, packed) } else { (0, content.to_vec()) };
        let offset = archive.len() as u32;
        let mut common = Vec::new();
        common.extend([20, 0, 0, 8]);
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.bytes());
        archive.extend(packed);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(0_u16.to_le_bytes());
        directory.truncate(directory.len() - 2);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    finish(archive, &directory, files.len())
}

/// The end of an archive.
pub(in super::super) fn finish(mut archive: Vec<u8>, directory: &[u8], count: usize) -> Vec<u8> {
    let start = archive.len() as u32;
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// gzip around something.
pub(in super::super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    out.extend(miniz_oxide::deflate::compress_to_vec(content, 9));
    out.extend(crc32fast::hash(content).to_le_bytes());
    out.extend((content.len() as u32).to_le_bytes());
    out
}

/// A tar archive.
pub(in super::super) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(header);
        out.extend(*content);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.extend([0; 1_024]);
    out
}

/// A shortcut of Windows with what it starts.
pub(in super::super) fn lnk(target: &str, arguments: &str) -> Vec<u8> {
    let mut out = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46".to_vec();
    // A relative path, arguments, Unicode.
    out.extend(0xa8_u32.to_le_bytes());
    out.resize(0x4c, 0);
    for text in [target, arguments] {
        let wide: Vec<u16> = text.encode_utf16().collect();
        out.extend((wide.len() as u16).to_le_bytes());
        out.extend(wide.iter().flat_map(|unit| unit.to_le_bytes()));
    }
    out
}

/// An ISO image with files in its root folder.
pub(in super::super) fn iso(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut image = vec![0; 20 * 2_048];
    let mut records = Vec::new();
    let record = |name: &[u8], sector: u32, length: u32, flags: u8| {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&length.to_le_bytes());
        record[25] = flags;
        record[32] = name.len() as u8;
        record.extend(name);
        record.resize(record.len().div_ceil(2) * 2, 0);
        record[0] = record.len() as u8;
        record
    };
    records.extend(record(&[0], 19, 2_048, 2));
    records.extend(record(&[1], 19, 2_048, 2));
    for (name, content) in files {
        let sector = (image.len() / 2_048) as u32;
        records.extend(record(format!("{name};1").as_bytes(), sector, content.len() as u32, 0));
        image.extend(*content);
        image.resize(image.len().div_ceil(2_048) * 2_048, 0);
    }
    image[19 * 2_048..19 * 2_048 + records.len()].copy_from_slice(&records);
    image[16 * 2_048..16 * 2_048 + 7].copy_from_slice(b"\x01CD001\x01");
    let root = record(&[0], 19, 2_048, 2);
    image[16 * 2_048 + 156..16 * 2_048 + 156 + root.len()].copy_from_slice(&root);
    image[17 * 2_048..17 * 2_048 + 7].copy_from_slice(b"\xffCD001\x01");
    image
}

/// A compound file with streams at these paths.
pub(in super::super) fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        let path = Path::new(path);
        file.create_storage_all(path.parent().unwrap()).unwrap();
        file.create_stream(path).unwrap().write_all(content).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

/// A program that packs, run in a folder with these files; gives what it wrote to `out`.
pub(in super::super) fn by_tool(
    test: &str,
    program: &str,
    arguments: &[&str],
    files: &[(&str, &[u8])],
    out: &str,
) -> Option<Vec<u8>> {
    let program = testkit::tool(test, program)?;
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let status = Command::new(program)
        .args(arguments)
        .current_dir(&dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    Some(std::fs::read(dir.path().join(out)).unwrap())
}
