use super::super::MarkKind::{
    self, Disguised, DiskImage, DoubleExtension, Executable, HtmlForm, NotLookedAt, Script,
};
use super::made::{jpeg, lnk, pe, zip};
use super::{check, evidence};

#[test]
fn names_tell_what_runs() {
    let text = b"nothing in particular";
    let rows: [(&str, &[MarkKind]); 40] = [
        ("a.js", &[Script]),
        ("a.jse", &[Script]),
        ("A.VBS", &[Script]),
        ("a.vbe", &[Script]),
        ("a.wsf", &[Script]),
        ("a.hta", &[Script]),
        ("a.bat", &[Script]),
        ("a.cmd", &[Script]),
        ("a.ps1", &[Script]),
        ("a.psm1", &[Script]),
        ("a.chm", &[Script]),
        ("a.reg", &[Script]),
        ("a.sct", &[Script]),
        ("a.iqy", &[Script]),
        ("a.slk", &[Script]),
        ("a.library-ms", &[Script]),
        ("a.search-ms", &[Script]),
        ("a.msc", &[Script]),
        ("a.settingcontent-ms", &[Script]),
        ("a.website", &[Script]),
        ("a.py", &[Script]),
        ("a.scr", &[Executable]),
        ("a.com", &[Executable]),
        ("a.pif", &[Executable]),
        ("a.cpl", &[Executable]),
        ("a.xll", &[Executable]),
        ("a.application", &[Executable]),
        ("a.appref-ms", &[Executable]),
        ("a.img", &[DiskImage]),
        ("a.vhdx", &[DiskImage]),
        ("a.ｅｘｅ", &[Executable]),
        ("a.txt", &[]),
        ("a.csv", &[]),
        ("議事録.txt", &[]),
        ("1.議事録", &[]),
        ("report v1.2.txt", &[]),
        ("２．第１回　議事録．txt", &[]),
        ("a.tar.gz.txt", &[]),
        ("", &[]),
        (".", &[]),
    ];
    for (name, expected) in rows {
        check(name, text, expected);
    }
}

#[test]
fn names_that_hide_their_end_are_found() {
    let text = b"nothing in particular";
    let rows: [(&str, &[MarkKind], &str); 16] = [
        ("請求書.pdf.exe", &[Executable, DoubleExtension], ".pdf.exe"),
        ("photo.jpg.js", &[Script, DoubleExtension], ".jpg.js"),
        ("archive.zip.lnk", &[Script, DoubleExtension], ".zip.lnk"),
        ("invoice.pdf.html", &[DoubleExtension], ".pdf.html"),
        ("invoice.pdf.iso", &[DiskImage, DoubleExtension], ".pdf.iso"),
        ("annexe\u{202e}fdp.exe", &[Executable, DoubleExtension], "U+202E"),
        ("annexe\u{202e}exe.pdf", &[DoubleExtension], "U+202E"),
        ("a\u{2066}b.txt", &[DoubleExtension], "U+2066"),
        ("report.pdf                         .scr", &[Executable, DoubleExtension], "blanks"),
        ("report　　　　　　.exe", &[Executable, DoubleExtension], "blanks"),
        ("report.pdf\u{2024}exe", &[Executable, DoubleExtension], ".pdf.exe"),
        ("evil.exe.", &[Executable, DoubleExtension], "behind it"),
        ("evil.js ", &[Script, DoubleExtension], "behind it"),
        ("invoice.pdf\u{200b}.exe", &[Executable, DoubleExtension], ".pdf.exe"),
        ("setup.v2.exe", &[Executable], ""),
        ("\u{5d0}\u{200f}.txt", &[], ""),
    ];
    for (name, expected, shown) in rows {
        // The last extension is judged as Windows sees it, which knows no dot but the dot.
        let expected: Vec<MarkKind> = match name.contains('\u{2024}') {
            true => vec![DoubleExtension],
            false => expected.to_vec(),
        };
        let look = check(name, text, &expected);
        assert!(evidence(&look, DoubleExtension).contains(shown), "{name}: {:?}", look.marks);
        // What turns the line around is not printed.
        assert!(look.marks.iter().all(|mark| !mark.place.contains('\u{202e}')));
    }
}

#[test]
fn content_that_goes_by_another_name_is_found() {
    let archive = zip(&[("readme.txt", b"hello")]);
    let script = zip(&[("run.js", b"x")]);
    let page = b"<!DOCTYPE html><html><body>hello</body></html>";
    let jump = b"<html><meta http-equiv=refresh content='0;url=https://lure.example/'></html>";
    let rows: [(&str, &[u8], &[MarkKind]); 21] = [
        ("invoice.pdf", &pe(), &[Executable, Disguised]),
        ("photo.jpg", &pe(), &[Executable, Disguised]),
        ("photos.zip", &pe(), &[Executable, Disguised]),
        ("setup.exe", &pe(), &[Executable]),
        ("noname", &pe(), &[Executable]),
        ("photo.jpg", page, &[Disguised]),
        ("invoice.pdf", jump, &[Disguised, HtmlForm]),
        ("page.html", page, &[]),
        ("page.txt", jump, &[]),
        // Many systems write tables for Excel as pages.
        ("table.xls", page, &[]),
        ("notes.txt", &archive, &[Disguised]),
        ("notes.txt", &script, &[Disguised, Script]),
        ("notes.zip", &archive, &[]),
        ("notes.docx", &archive, &[]),
        ("photo.jpg", &jpeg(), &[]),
        ("photo.png", &jpeg(), &[]),
        ("scan.pdf", &lnk("cmd.exe", "/c calc"), &[Script, Disguised]),
        ("paper.pdf", b"{\\rtf1 hello}", &[Disguised]),
        ("paper.doc", b"{\\rtf1 hello}", &[]),
        ("paper.txt", b"Rar!\x1a\x07\x01\0", &[Disguised]),
        ("sheet.pdf", b"MSCF\0\0\0\0", &[Disguised, MarkKind::Broken]),
    ];
    for (name, bytes, expected) in rows {
        check(name, bytes, expected);
    }
    check("old.ace", b"\0\0\0\0\0\0\0**ACE**\0\0", &[NotLookedAt]);
}
