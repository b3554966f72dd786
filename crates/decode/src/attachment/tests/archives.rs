use super::super::MarkKind::{self, Broken, DiskImage, Encrypted, Executable, NotLookedAt, Script};
use super::super::{Limits, look};
use super::check;
use super::made::{by_tool, finish, gzip, iso, jpeg, pe, tar, zip};

/// Files that are packed: a program, a script and a text.
fn files() -> (Vec<u8>, Vec<(&'static str, &'static [u8])>) {
    (pe(), vec![("run.js", b"WScript.Echo(1)"), ("readme.txt", b"hello hello hello hello")])
}

fn with<'a>(program: &'a [u8], rest: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    [&[("setup.exe", program)], rest].concat()
}

#[test]
fn archives_of_our_own_are_opened() {
    let (program, rest) = files();
    let all = with(&program, &rest);
    for (name, bytes) in [("a.zip", zip(&all)), ("a.tar", tar(&all)), ("a.tar.gz", gzip(&tar(&all)))] {
        let look = check(name, &bytes, &[Executable, Script]);
        assert!(look.looked_at >= 4, "{name}");
    }
    let deep = zip(&[("b.iso", &iso(&[("C.EXE", &program)]))]);
    let look = check("a.zip", &deep, &[DiskImage, Executable]);
    assert!(look.marks.iter().any(|mark| mark.place == "a.zip/b.iso/C.EXE"), "{:?}", look.marks);
    for bytes in [zip(&[("a.txt", b"x"), ("b.jpg", &jpeg())]), tar(&[("a.txt", b"x")]), zip(&[])] {
        check("a", &bytes, &[]);
    }
}

#[test]
fn archives_of_other_programs_are_opened() {
    let test = "archives_of_other_programs_are_opened";
    let (program, rest) = files();
    let all = with(&program, &rest);
    let names = ["setup.exe", "run.js", "readme.txt"];
    let rows: [(&str, &[&str], &str); 11] = [
        ("zip", &["-q", "out"], "out.zip"),
        ("zip", &["-q", "-0", "out"], "out.zip"),
        ("7z", &["a", "-mx=5", "out.7z"], "out.7z"),
        ("7z", &["a", "-mx=1", "-ms=off", "out.7z"], "out.7z"),
        ("7z", &["a", "-m0=bzip2", "out.7z"], "out.7z"),
        ("7z", &["a", "-tzip", "-mm=Deflate64", "out.zip"], "out.zip"),
        ("7z", &["a", "-tzip", "-mm=BZip2", "out.zip"], "out.zip"),
        ("7z", &["a", "-tzip", "-mm=LZMA", "out.zip"], "out.zip"),
        ("tar", &["czf", "out.tgz"], "out.tgz"),
        ("tar", &["cjf", "out.tar.bz2"], "out.tar.bz2"),
        ("tar", &["cJf", "out.tar.xz"], "out.tar.xz"),
    ];
    for (tool, arguments, out) in rows {
        let Some(bytes) = by_tool(test, tool, &[arguments, &names].concat(), &all, out) else { return };
        let look = check(out, &bytes, &[Executable, Script]);
        assert!(look.looked_at >= 4, "{tool} {arguments:?}: {:?}", look.marks);
    }
}

#[test]
fn images_of_other_programs_are_opened() {
    let test = "images_of_other_programs_are_opened";
    let (program, rest) = files();
    let all = with(&program, &rest);
    for option in ["-quiet", "-J"] {
        let arguments = [option, "-quiet", "-o", "out.iso", "setup.exe", "run.js", "readme.txt"];
        let Some(bytes) = by_tool(test, "genisoimage", &arguments, &all, "out.iso") else { return };
        check("out.iso", &bytes, &[DiskImage, Executable, Script]);
    }
}

#[test]
fn encrypted_archives_open_with_the_password_of_the_mail() {
    let test = "encrypted_archives_open_with_the_password_of_the_mail";
    let (program, rest) = files();
    let all = with(&program, &rest);
    let names = ["setup.exe", "run.js", "readme.txt"];
    let rows: [(&str, &[&str], &str); 5] = [
        ("zip", &["-q", "-P", "s3cret", "out"], "out.zip"),
        ("7z", &["a", "-tzip", "-mem=AES256", "-ps3cret", "out.zip"], "out.zip"),
        ("7z", &["a", "-tzip", "-mem=AES128", "-ps3cret", "out.zip"], "out.zip"),
        ("7z", &["a", "-ps3cret", "out.7z"], "out.7z"),
        ("7z", &["a", "-mhe=on", "-ps3cret", "out.7z"], "out.7z"),
    ];
    for (tool, arguments, out) in rows {
        let Some(bytes) = by_tool(test, tool, &[arguments, &names].concat(), &all, out) else { return };
        let shut = look(out, &bytes, &Limits::default(), &[]);
        assert!(shut.has(Encrypted) && shut.opened == 0, "{arguments:?}: {:?}", shut.marks);
        // Names are seen where they are not encrypted as well, and tell enough.
        let hidden = arguments.contains(&"-mhe=on");
        assert_eq!(
            (shut.has(Executable), shut.has(NotLookedAt)),
            (!hidden, !hidden),
            "{arguments:?}: {:?}",
            shut.marks
        );
        let wrong = look(out, &bytes, &Limits::default(), &["wrong", "other"]);
        assert!(wrong.has(Encrypted) && wrong.opened == 0, "{arguments:?}");
        let open = look(out, &bytes, &Limits::default(), &["wrong", "s3cret"]);
        assert!(
            open.has(Encrypted) && !open.has(NotLookedAt) && !open.has(Broken),
            "{arguments:?}: {:?}",
            open.marks
        );
        let inside = |mark: &&super::super::Mark| mark.kind == Executable && mark.evidence.contains("PE");
        assert!(
            open.opened == 1 && open.marks.iter().any(|mark| inside(&mark)),
            "{arguments:?}: {:?}",
            open.marks
        );
    }
}

/// RAR 5: main header, then files. Checksums are nobody's business here.
fn rar5(files: &[(&str, u8, &[u8], bool)]) -> Vec<u8> {
    let mut out = b"Rar!\x1a\x07\x01\0".to_vec();
    let mut block = |header: &[u8], content: &[u8]| {
        out.extend([0; 4]);
        out.push(header.len() as u8);
        out.extend(header);
        out.extend(content);
    };
    block(&[1, 0, 0], b"");
    for (name, method, content, encrypted) in files {
        let flags = if *encrypted { 3 } else { 2 };
        let mut header = vec![2, flags];
        let extra: &[u8] = if *encrypted { &[2, 1, 0] } else { &[] };
        if *encrypted {
            header.push(extra.len() as u8);
        }
        // Length packed; flags, length unpacked, attributes; the method in bits 7 to 9; host, length of the name.
        header.extend([content.len() as u8, 0, content.len() as u8, 0, 0x80, *method, 0, name.len() as u8]);
        header.extend(name.bytes());
        header.extend(extra);
        block(&header, content);
    }
    block(&[5, 0, 0], b"");
    out
}

/// RAR 4: marker, main header, files.
fn rar4(files: &[(&str, u8, &[u8], bool)]) -> Vec<u8> {
    let mut out = b"Rar!\x1a\x07\0".to_vec();
    out.extend([0, 0, 0x73, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0]);
    for (name, method, content, encrypted) in files {
        let flags = 0x8000_u16 | if *encrypted { 4 } else { 0 };
        out.extend([0, 0, 0x74]);
        out.extend(flags.to_le_bytes());
        out.extend((32 + name.len() as u16).to_le_bytes());
        out.extend((content.len() as u32).to_le_bytes());
        out.extend((content.len() as u32).to_le_bytes());
        out.extend([0; 9]);
        out.extend([29, 0x30 + method]);
        out.extend((name.len() as u16).to_le_bytes());
        out.extend([0; 4]);
        out.extend(name.bytes());
        out.extend(*content);
    }
    out
}

#[test]
fn rar_tells_names_and_what_is_only_stored() {
    let text: &[u8] = b"#!/bin/sh\n";
    type Make = fn(&[(&str, u8, &[u8], bool)]) -> Vec<u8>;
    for make in [rar4 as Make, rar5] {
        check("a.rar", &make(&[("readme.txt", 0, b"hello", false)]), &[]);
        check("a.rar", &make(&[("readme.txt", 3, b"hello", false)]), &[NotLookedAt]);
        check("a.rar", &make(&[("evil.exe", 3, b"hello", false)]), &[Executable, NotLookedAt]);
        check("a.rar", &make(&[("x", 0, text, false), ("y.txt", 0, b"z", false)]), &[Script]);
        check("a.rar", &make(&[("evil.js", 0, b"hello", true)]), &[Script, Encrypted, NotLookedAt]);
    }
    // Names encrypted as well.
    check("a.rar", b"Rar!\x1a\x07\x01\0\0\0\0\0\x03\x04\0\0", &[Encrypted]);
    let mut sealed = rar4(&[]);
    sealed[10] = 0x80;
    check("a.rar", &sealed, &[Encrypted]);
}

#[test]
fn old_archives_tell_their_names() {
    // LZH as Japanese computers wrote it, at each level of its header.
    let content = b"@echo off\r\n";
    let mut level0 = vec![0, 0];
    level0.extend(b"-lh0-");
    level0.extend(
        [content.len() as u32, content.len() as u32, 0].iter().flat_map(|number| number.to_le_bytes()),
    );
    level0.extend([0x20, 0, 5]);
    level0.extend(b"a.bat\0\0");
    level0[0] = level0.len() as u8 - 2;
    let mut packed = level0.clone();
    packed[5] = b'5';
    let mut level1 = level0.clone();
    level1[20] = 1;
    level1.truncate(22);
    level1[21] = 0;
    level1.extend([0, 0, b'M', 8, 0]);
    level1[0] = level1.len() as u8 - 2;
    level1.extend(b"\x01b.vbs\0\0");
    level1[7] = content.len() as u8 + 8;
    let mut level2 = level0.clone();
    level2.truncate(21);
    level2[20] = 2;
    level2.extend([0, 0, b'M', 8, 0]);
    level2.extend(b"\x01c.cmd\0\0");
    level2[0] = level2.len() as u8;
    level2[1] = 0;
    for header in [level0, level1, level2] {
        check("a.lzh", &[&header[..], content, b"\0"].concat(), &[Script]);
    }
    check("a.lzh", &[&packed[..], content, b"\0"].concat(), &[Script, NotLookedAt]);
    // CAB: header of 36 bytes, then the files.
    let mut cab = b"MSCF\0\0\0\0".to_vec();
    cab.resize(36, 0);
    cab[16] = 36;
    cab[28] = 1;
    cab.extend([0; 16]);
    cab.extend(b"evil.exe\0");
    check("a.cab", &cab, &[Executable, NotLookedAt]);
    // ARJ: a main header, then a file's.
    let header = |name: &str| {
        let mut header = vec![30];
        header.resize(30, 0);
        header.extend(name.bytes());
        header.extend([0, 0]);
        let mut out = b"\x60\xea".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header);
        out.extend([0; 6]);
        out
    };
    check(
        "a.arj",
        &[header("a.arj"), header("evil.scr"), b"\x60\xea\0\0".to_vec()].concat(),
        &[Executable, NotLookedAt],
    );
}

#[test]
fn tricks_with_the_directory_do_not_hide_a_file() {
    let program = pe();
    let good = zip(&[("readme.txt", b"hello")]);
    let evil = zip(&[("evil.exe", &program)]);
    // Two archives one behind the other: programs differ in which one they show.
    for bytes in [[&good[..], &evil].concat(), [&evil[..], &good].concat()] {
        check("a.zip", &bytes, &[Executable, Broken]);
    }
    // Two entries of one name: programs differ in which one they write.
    check("a.zip", &zip(&[("a.txt", b"hello"), ("a.txt", &program)]), &[Executable, MarkKind::Disguised]);
    // Without its end, an archive is still unpacked by some.
    check("a.zip", &evil[..evil.len() - 30], &[Executable, Broken]);
    // Behind a page, or a picture.
    check("a.zip", &[&evil[..], b"some comment that is not counted"].concat(), &[Executable]);
    // A name in the directory, another one before the content.
    let mut renamed = evil.clone();
    let last = renamed.len() - 22 - 8;
    renamed[last..last + 8].copy_from_slice(b"good.txt");
    check("a.zip", &renamed, &[Executable, Broken, MarkKind::Disguised]);
    // An empty directory over a file that is there.
    let local = evil[..evil.len() - 22 - 46 - 8].to_vec();
    check("a.zip", &finish(local, b"", 0), &[Executable, Broken]);
}
