use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::ISO_2022_JP;

use super::*;

fn words() -> Words {
    Words {
        ascii: "Warning: <look> twice.".into(),
        full: "注意：よく確認してください。\nWarning: <look> twice.".into(),
    }
}

fn with(header: &str, body: &[u8]) -> Option<Vec<u8>> {
    let message = [header.as_bytes(), b"\r\n\r\n", body].concat();
    body_with(&message, &words())
}

fn text(header: &str, body: &[u8]) -> String {
    String::from_utf8(with(header, body).unwrap()).unwrap()
}

#[test]
fn plain_texts_get_it_in_their_own_charset() {
    let (jis, _, _) = ISO_2022_JP.encode("本文です。\r\n");
    let new = with("Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit", &jis)
        .unwrap();
    assert!(new.is_ascii(), "seven bits stay seven bits");
    let (read, _, broken) = ISO_2022_JP.decode(&new);
    assert!(!broken && read.contains("注意：よく確認") && read.ends_with("\r\n\r\n本文です。\r\n"), "{read}");

    let (sjis, _, _) = encoding_rs::SHIFT_JIS.encode("本文");
    let new = with("Content-Type: text/plain; charset=Shift_JIS\r\nContent-Transfer-Encoding: 8bit", &sjis)
        .unwrap();
    let (read, _, broken) = encoding_rs::SHIFT_JIS.decode(&new);
    assert!(!broken && read.contains("注意") && read.ends_with("本文"), "{read}");

    let new =
        text("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", "本文".as_bytes());
    assert!(new.contains("注意") && new.ends_with("本文"), "{new}");
    // Seven bits, or a charset without kanji: in English.
    for header in [
        "Subject: x",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit",
    ] {
        let new = text(header, b"hello");
        assert!(new.is_ascii() && new.contains("Warning: <look> twice.") && new.ends_with("hello"), "{new}");
    }
}

#[test]
fn html_gets_it_behind_the_body_tag() {
    let html = "<html><head><title>x</title></head><BODY class=\"a\"><p>本文</p></BODY></html>";
    let header = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit";
    let new = text(header, html.as_bytes());
    let (before, after) = new.split_once("<div").unwrap();
    assert!(before.trim_end().ends_with("<BODY class=\"a\">"), "{new}");
    assert!(
        after.contains("&#x6CE8;&#x610F;")
            && after.contains("&#60;look&#62;")
            && after.contains("<p>本文</p>"),
        "{new}"
    );
    assert!(new.lines().all(|line| line.len() < 900));
    let (jis, _, _) = ISO_2022_JP.encode("<body>会議の件</body>");
    let new = with("Content-Type: text/html; charset=iso-2022-jp", &jis).unwrap();
    let (read, _, broken) = ISO_2022_JP.decode(&new);
    assert!(!broken && read.starts_with("<body>\r\n<div") && read.ends_with("会議の件</body>"), "{read}");
    assert!(text(header, b"no tag").trim_start().starts_with("<div"));
}

#[test]
fn transfer_encodings_stay_what_they_are() {
    let encoded = STANDARD.encode("<body>本文</body>".repeat(30));
    let header = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64";
    let new = text(header, format!("{encoded}\r\n").as_bytes());
    assert!(new.lines().all(|line| line.len() <= 76), "{new}");
    let plain = STANDARD.decode(new.split_whitespace().collect::<String>()).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    assert!(plain.starts_with("<body>\r\n<div") && plain.ends_with("本文</body>"), "{plain}");
    assert_eq!(with(header, b"!!! not base64"), None);

    let header = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable";
    let new = text(header, "=E6=9C=AC=E6=96=87 long=\r\n er =3D\r\n".as_bytes());
    let plain = String::from_utf8(mime::unquoted(new.as_bytes()).unwrap()).unwrap();
    assert!(plain.contains("注意") && plain.ends_with("本文 long er =\r\n"), "{plain}");
    assert_eq!(with("Content-Transfer-Encoding: x-uuencode", b"begin 644 x"), None);
}

#[test]
fn of_several_parts_the_first_that_is_read_gets_it() {
    let header = "Content-Type: multipart/mixed; boundary=o";
    let body = b"--o\r\nContent-Type: multipart/alternative; boundary=\"i\"\r\n\r\n--i\r\n\r\nplain\r\n--i\r\nContent-Type: text/html\r\n\r\n<body>html\r\n--i--\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\nsecond\r\n--o\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--o--\r\n";
    let new = text(header, body);
    assert_eq!(new.matches("Warning").count(), 2, "{new}");
    assert!(new.contains("\r\n\r\n--i\r\n\r\n----") || new.contains("--i\r\n\r\n---"), "{new}");
    assert!(new.ends_with("\r\n\r\nsecond\r\n--o\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--o--\r\n"));
}

#[test]
fn what_is_signed_or_sealed_stays_as_it_is() {
    for (header, body) in [
        (
            "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"",
            &b"--b\r\n\r\ntext\r\n--b--\r\n"[..],
        ),
        ("Content-Type: multipart/encrypted; boundary=b", b"--b\r\n\r\ntext\r\n--b--\r\n"),
        (
            "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64",
            b"AAAA",
        ),
        ("Content-Type: text/plain", b"-----BEGIN PGP SIGNED MESSAGE-----\r\n"),
        (
            "Content-Type: multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
        ),
        ("Content-Type: text/plain; charset=utf-16", b"\0h\0i"),
        ("Content-Type: text/plain; charset=nobody-knows", b"hi"),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment", b"hi"),
        ("Content-Type: multipart/mixed", b"no boundary"),
        ("Content-Type: multipart/mixed; boundary=b", b"never comes"),
        ("Content-Type: image/png\r\nContent-Transfer-Encoding: base64", b"AAAA"),
    ] {
        assert_eq!(with(header, body), None, "{header}");
    }
}

#[test]
fn nested_and_broken_mails_end() {
    let mut nested = String::from("text");
    for depth in 0..40 {
        nested = format!(
            "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n{nested}\r\n--b{depth}--"
        );
    }
    assert_eq!(body_with(nested.as_bytes(), &words()), None);
    for bytes in [
        &b""[..],
        b"\r\n",
        b"Content-Type:",
        b"Content-Type: multipart/mixed; boundary=\"",
        b"\xff\r\n\r\n\xff",
    ] {
        let _ = body_with(bytes, &words());
    }
}
