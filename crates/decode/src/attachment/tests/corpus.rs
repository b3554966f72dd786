use std::collections::BTreeMap;

use super::super::MarkKind::{
    AutoMacro, Dde, EmbeddedObject, Encrypted, Executable, Macro, NotLookedAt, Script, XlmMacro,
};
use super::super::{Limits, MarkKind, look};

/// Every file with macros gets its mark, every clean one none.
#[test]
fn office_files_of_the_corpus() {
    let Some(folder) = testkit::shared("office_files_of_the_corpus", "mail/office") else { return };
    let rows: [(&str, &[MarkKind]); 11] = [
        ("autostart-encrypt-standardpassword.xlsm", &[Encrypted, AutoMacro, Macro]),
        ("dde-test.docx", &[Dde]),
        ("embedded-simple-2007.doc", &[EmbeddedObject]),
        ("embedded-simple-2007.docx", &[EmbeddedObject]),
        ("encrypted.docx", &[Encrypted]),
        ("excel4_sample_macro.xls", &[XlmMacro]),
        ("excel4_sample_macro.xlsb", &[XlmMacro]),
        ("excel4_sample_macro.xlsm", &[XlmMacro]),
        ("harmless-clean.doc", &[]),
        ("harmless-clean.docm", &[]),
        ("harmless-clean.docx", &[]),
    ];
    let mut seen = BTreeMap::new();
    for (path, bytes) in crate::corpus::files(&folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let look = look(&name, &bytes, &Limits::default(), &[]);
        seen.insert(name, look);
    }
    for (name, expected) in rows {
        let Some(look) = seen.get(name) else { continue };
        for kind in expected {
            assert!(look.has(*kind), "{name}: {:#?}", look.marks);
        }
        if expected.is_empty() {
            assert!(look.marks.is_empty(), "{name}: {:#?}", look.marks);
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

/// Attachments of the ham, cut out of the mails by the MIME parser that the workspace uses: what runs is rare in it.
#[test]
fn attachments_of_ordinary_mail_are_seldom_marked() {
    let Some(folder) = testkit::shared("attachments_of_ordinary_mail_are_seldom_marked", "mail/ham") else {
        return;
    };
    let (mut files, mut marked) = (0, Vec::new());
    for (path, bytes) in crate::corpus::files(&folder) {
        let Some(mail) = mail_parser::MessageParser::default().parse(&bytes) else { continue };
        for part in mail.attachments() {
            use mail_parser::MimeHeaders;
            let name = part.attachment_name().unwrap_or_default();
            files += 1;
            let look = look(name, part.contents(), &Limits::default(), &[]);
            let runs = |kind: &MarkKind| matches!(kind, Executable | Script | AutoMacro | Dde | XlmMacro);
            if look.marks.iter().any(|mark| runs(&mark.kind)) {
                marked.push((path.clone(), look.marks));
            }
        }
    }
    assert!(files > 0);
    assert!(marked.len() * 100 <= files * 5, "{} of {files}: {marked:#?}", marked.len());
}

/// One small program in every wrapping that the makers of a scanner thought of.
#[test]
fn the_scanners_own_test_files_show_what_is_in_them() {
    let folder = std::path::Path::new("/usr/share/clamav-testfiles");
    if !folder.is_dir() {
        testkit::skip(
            "the_scanners_own_test_files_show_what_is_in_them",
            "clamav-testfiles is not installed",
        );
        return;
    }
    // The same names with other contents, or formats that mail has no use for: text wrappings, cpio, Symbian.
    let passed_over =
        ["clam.mail", "clam.sis", "clam.exe.binhex", "clam.exe.mbox.base64", "clam.exe.mbox.uu"];
    let mut seen = 0;
    for (path, bytes) in crate::corpus::files(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if passed_over.contains(&name.as_str()) {
            continue;
        }
        seen += 1;
        let look = look(&name, &bytes, &Limits::default(), &[]);
        let expected = match name.as_str() {
            name if name.ends_with(".cpio") || name.ends_with(".szdd") => NotLookedAt,
            "clam.chm" => Script,
            "clam_cache_emax.tgz" => NotLookedAt,
            _ => Executable,
        };
        assert!(look.has(expected), "{name}: {} {:#?}", look.kind, look.marks);
    }
    assert!(seen > 0);
}

/// Real files with a few bytes changed, where formats are believed most.
#[test]
fn real_files_with_damage_are_looked_at() {
    let test = "real_files_with_damage_are_looked_at";
    let Some(office) = testkit::shared(test, "mail/office") else { return };
    let scanner = std::path::Path::new("/usr/share/clamav-testfiles");
    let mut files = crate::corpus::files(&office);
    if scanner.is_dir() {
        files.extend(crate::corpus::files(scanner));
    }
    let limits = Limits { bytes: 4 << 20, entries: 200, ..Limits::default() };
    // Keys of encrypted documents take their time, whatever else is wrong with them.
    let quick = |path: &std::path::Path| !path.to_string_lossy().contains("encrypt");
    for (path, bytes) in files.iter().filter(|(path, bytes)| quick(path) && !bytes.is_empty()) {
        let name = path.file_name().unwrap().to_string_lossy();
        for round in 0..40_u64 {
            let mut damaged = bytes.clone();
            let noise = testkit::noise(round * 7_919 + bytes.len() as u64, 32);
            for change in noise.chunks_exact(4) {
                let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
                // Half of the changes where headers are.
                let place =
                    if change[2] & 1 == 0 { place % bytes.len().min(2_048) } else { place % bytes.len() };
                damaged[place] = change[3];
            }
            assert!(look(&name, &damaged, &limits, &["x"]).looked_at >= 1);
        }
    }
}
