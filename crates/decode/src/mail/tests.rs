use mail_parser::PartType;
use proptest::prelude::*;
use schema::AuthResult;

use super::{Flaw, Limits, LinkKind, Mailbox, Message, host_of, messages, page, read, urls};

const SUBJECT: &str = "お使いのAmazon IDがロックされます！";

fn get(mail: &str) -> Message {
    read(mail.as_bytes(), &Limits::default())
}

/// A mail with this Content-Type and body.
fn mail_of(kind: &str, body: &[u8]) -> Vec<u8> {
    [b"From: a@b.example\r\nContent-Type: ".as_slice(), kind.as_bytes(), b"\r\n\r\n", body].concat()
}

fn in_jis(text: &str) -> Vec<u8> {
    encoding_rs::ISO_2022_JP.encode(text).0.into_owned()
}

#[test]
fn a_whole_mail_is_read() {
    let message = get("Return-Path: <Bounce@News.Example>\r\n\
        Authentication-Results: mx.example; spf=pass smtp.mailfrom=news.example; dkim=pass header.d=news.example\r\n\
        Authentication-Results: other.example; dmarc=fail header.from=news.example\r\n\
        ARC-Authentication-Results: i=1; mx.example; spf=fail smtp.mailfrom=x.example\r\n\
        From: =?utf-8?B?44GC?= <A@News.Example>\r\nSender: s@news.example\r\nReply-To: r@elsewhere.example\r\n\
        To: t@hospital.example, u@hospital.example\r\nCc: v@hospital.example\r\nSubject: Hello\r\n there\r\n\
        Date: Sat, 03 Jan 2026 01:05:34 +0900\r\nMessage-ID: <1@news.example>\r\nIn-Reply-To: <0@x.example>\r\n\
        List-Id: News <news.List.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n\
        --m\r\nContent-Type: multipart/alternative; boundary=\"a\"\r\n\r\n\
        --a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee https://p.example/x .\r\n\
        --a\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        <a href=3D\"https://h.example/\">=\r\nhere</a>\r\n--a--\r\n\
        --m\r\nContent-Type: application/zip; name=x.zip\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"y.zip\"\r\nContent-ID: <c@x>\r\n\r\nUEsDBA==\r\n\
        --m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
        --i\r\n\r\nhttp://inner.example/z\r\n--i\r\nContent-Disposition: attachment; filename=in.exe\r\n\r\nMZ\r\n--i--\r\n\
        --m--\r\n");
    assert_eq!((message.from[0].name.as_str(), message.from[0].address.as_str()), ("あ", "A@news.example"));
    assert_eq!(message.sender.unwrap().address, "s@news.example");
    assert_eq!(message.reply_to[0].address, "r@elsewhere.example");
    assert_eq!(message.to.len(), 3);
    assert_eq!(message.return_path.unwrap().address, "Bounce@news.example");
    assert_eq!(message.subject, "Hello there");
    assert_eq!(message.date.unwrap().to_string(), "2026-01-02T16:05:34Z");
    assert_eq!(message.message_id.as_deref(), Some("1@news.example"));
    assert_eq!(message.list_id.as_deref(), Some("news.list.example"));
    assert!(message.from_list && message.answers);
    let results: Vec<_> =
        message.authentication_results.iter().map(|found| found.authserv_id.as_str()).collect();
    assert_eq!(results, ["mx.example", "other.example"]);
    assert_eq!(
        message.authentication_results[1].results.dmarc,
        Some((AuthResult::Fail, "news.example".to_owned()))
    );
    let bodies: Vec<_> =
        message.bodies.iter().map(|body| (body.html, body.visible.as_str(), body.charset.as_str())).collect();
    assert_eq!(
        bodies,
        [
            (false, "See https://p.example/x .", "utf-8"),
            (true, "here", "utf-8"),
            (false, "http://inner.example/z", ""),
        ]
    );
    let links: Vec<_> =
        message.links.iter().map(|link| (link.host.as_str(), link.shown.as_str(), link.kind)).collect();
    assert_eq!(
        links,
        [
            ("p.example", "", LinkKind::Plain),
            ("h.example", "here", LinkKind::Anchor),
            ("inner.example", "", LinkKind::Plain),
        ]
    );
    let parts: Vec<_> =
        message.parts.iter().map(|part| (part.name.as_str(), part.declared.as_str(), &*part.bytes)).collect();
    assert_eq!(parts, [("y.zip", "application/zip", &b"PK\x03\x04"[..]), ("in.exe", "text/plain", b"MZ")]);
    assert_eq!(message.parts[0].content_id.as_deref(), Some("c@x"));
    assert!(message.flaws.is_empty(), "{:?}", message.flaws);
}

#[test]
fn japanese_is_read_in_every_charset_and_without_one() {
    let jis = in_jis(SUBJECT);
    let stripped: Vec<u8> = jis.iter().copied().filter(|byte| *byte != 0x1b).collect();
    let (sjis, euc) = (encoding_rs::SHIFT_JIS.encode(SUBJECT).0, encoding_rs::EUC_JP.encode(SUBJECT).0);
    let (sjis, euc, utf8) = (sjis.as_ref(), euc.as_ref(), SUBJECT.as_bytes());
    for (declared, bytes) in [
        ("iso-2022-jp", jis.as_slice()),
        ("ISO-2022-JP", &stripped),
        ("", &jis),
        ("", &stripped),
        ("us-ascii", &jis),
        ("utf-8", &jis),
        ("shift_jis", sjis),
        ("cp932", sjis),
        ("", sjis),
        ("us-ascii", sjis),
        ("iso-2022-jp", sjis),
        ("utf-8", sjis),
        ("euc-jp", euc),
        ("", euc),
        ("x-nobody-knows", euc),
        ("iso-2022-jp", euc),
        ("utf-8", utf8),
        ("", utf8),
        ("iso-2022-jp", utf8),
        ("unknown-8bit", utf8),
    ] {
        let kind = if declared.is_empty() {
            "text/plain".to_owned()
        } else {
            format!("text/plain; charset={declared}")
        };
        let mail = [b"Subject: ".as_slice(), bytes, b"\r\n", &mail_of(&kind, bytes)].concat();
        let message = read(&mail, &Limits::default());
        let (subject, body) = (message.subject.as_str(), message.bodies[0].visible.as_str());
        assert_eq!((subject, body), (SUBJECT, SUBJECT), "{declared} {}", bytes.escape_ascii());
    }
    let word = "=?ISO-2022-JP?B?GyRCJCo7SCQkJE4bKEJBbWF6b24gSUQbJEIkLCVtJUMlLyQ1JGwkXiQ5ISobKEI=?=";
    assert_eq!(get(&format!("Subject: {word}\n\n")).subject, SUBJECT);
    // UTF-8 with a damaged character does not read as Shift_JIS, whose kana its bytes would be.
    let mut damaged = "ご利用のアカウントを確認してください".repeat(3).into_bytes();
    damaged.truncate(damaged.len() - 1);
    damaged.remove(4);
    for kind in ["text/plain", "text/plain; charset=utf-8", "text/plain; charset=iso-2022-jp"] {
        let message = read(&mail_of(kind, &damaged), &Limits::default());
        assert!(
            message.bodies[0].visible.contains("アカウントを確認してください"),
            "{}",
            message.bodies[0].visible
        );
    }
    // Kanji that run over a line's end do not spoil the lines behind it.
    let torn = [b"\x1b$B$*;H$$\nplain\n".as_slice(), &in_jis("次")].concat();
    let message = read(&mail_of("text/plain; charset=iso-2022-jp", &torn), &Limits::default());
    assert_eq!(message.bodies[0].visible, "お使い\nplain\n次");
    assert_eq!(message.flaws, [Flaw::BrokenCharset]);
}

#[test]
fn broken_structure_is_read_as_it_would_be_shown() {
    let html = "<p>seen <a href='http://a.example/'>x</a></p>";
    for (name, mail, flaws) in [
        ("unclosed", format!("From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n{html}"), &[Flaw::BrokenMime][..]),
        ("another boundary", format!("From: a@b.example\nContent-Type: multipart/mixed; boundary=c\n\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"), &[Flaw::BrokenMime]),
        ("no boundary", format!("From: a@b.example\nContent-Type: multipart/mixed\n\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"), &[Flaw::BrokenMime]),
        ("same boundary twice", format!("From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n{html}\n--b--\n"), &[Flaw::BrokenMime]),
        ("inner unclosed", format!("From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Type: text/html\n\n{html}\n--b--\n"), &[Flaw::BrokenMime]),
        ("no type, HTML", format!("From: a@b.example\nContent-Type: nonsense\n\n<html>{html}"), &[]),
        ("mixed line ends", format!("\u{feff}From x Sat Jan  3 01:05:34 1996\nFrom: a@b.example\r\nContent-Type: multipart/mixed;\n boundary=b\r\n\n--b\r\nContent-Type: text/html\n\r\n{html}\n--b--"), &[]),
        ("base64 with rubbish", "From: a@b.example\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA+c2Vlb!iA8YSBocmVmPSdodHRwOi8vYS5leGFtcGxlLyc+eDwvYT48L3A+\n".to_owned(), &[Flaw::BrokenEncoding]),
        ("base64 in capitals", "From: a@b.example\nContent-Type: TEXT/HTML\nContent-Transfer-Encoding:  BASE64 \n\nPHA+c2VlbiA8YSBocmVmPSdodHRwOi8vYS5leGFtcGxlLyc+eDwvYT48L3A+\n".to_owned(), &[]),
    ] {
        let message = get(&mail);
        let body = message.bodies.iter().find(|body| body.html).unwrap_or_else(|| panic!("{name}: {message:?}"));
        assert_eq!(body.visible.trim(), "seen x", "{name}");
        assert_eq!(message.links[0].host, "a.example", "{name}");
        assert_eq!(message.flaws, flaws, "{name}");
        assert_eq!(message.from[0].address, "a@b.example", "{name}");
    }
    for (mail, flaw) in [
        ("", Flaw::NoHeader),
        ("just text", Flaw::NoHeader),
        ("\u{0}\u{1}\u{2}", Flaw::NoHeader),
        ("From: a@b.example\nFrom: c@d.example\n\n", Flaw::RepeatedHeader),
        ("From: a@b.example\nSubject: \u{1}\n\n", Flaw::ControlCharacters),
        ("From: a@b.example\nContent-Type: text/plain; charset=nonsense-1\n\n\u{e4}", Flaw::BrokenCharset),
    ] {
        assert!(get(mail).flaws.contains(&flaw), "{mail:?}");
    }
    let both = get("From: a@b.example\nFrom: c@d.example\nSubject: first\nSubject: second\n\n");
    assert_eq!((both.from.len(), both.subject.as_str()), (2, "first"));
}

#[test]
fn files_within_texts_are_parts() {
    let message = get("From: a@b.example\n\nSee below\nbegin 644 x.exe\n#35H `\n`\nend\n");
    assert_eq!((message.parts[0].name.as_str(), message.parts[0].bytes.len()), ("x.exe", 3));
}

#[test]
fn a_page_is_read_by_the_charset_it_names() {
    let html = [
        b"\xef\xbb\xbf<meta charset='Shift_JIS'><form action=http://a.example/><input type=password>"
            .as_slice(),
        &encoding_rs::SHIFT_JIS.encode(SUBJECT).0,
    ]
    .concat();
    let (body, links) = page(&html, &Limits::default());
    assert_eq!(
        (body.visible.as_str(), body.charset.as_str(), body.forms[0].password),
        (SUBJECT, "shift_jis", true)
    );
    assert_eq!(links[0].host, "a.example");
}

#[test]
fn flowed_lines_are_joined() {
    let body = b"See https://a.example/ \nlong\n> quoted \n> more\n-- \nme\n";
    let message = read(&mail_of("text/plain; format=flowed", body), &Limits::default());
    assert_eq!(message.bodies[0].visible, "See https://a.example/ long\n> quoted more\n-- \nme\n");
    let message = read(
        &mail_of("text/plain; format=flowed; delsp=yes", b"https://a.example/ \nlong\n"),
        &Limits::default(),
    );
    assert_eq!(message.links[0].url, "https://a.example/long");
}

/// Mails built to cost memory, time or the stack; each is read within its bounds and tells of it.
#[test]
fn bombs_are_bounded() {
    let limits = Limits::default();
    let nested = (0..10_000).fold("From: a@b.example\n".to_owned(), |mail, level| {
        mail + &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n")
    });
    let rfc822 = "Content-Type: message/rfc822\n\n".repeat(10_000);
    let wide = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(10_000));
    let fields = format!("From: a@b.example\n{}\nbody", "X-A: 1\n".repeat(200_000));
    let folded = format!("From: a@b.example\nSubject: {}\n\nbody", "x\n ".repeat(500_000));
    let text = format!("From: a@b.example\n\n{}", "x ".repeat(1 << 20));
    let links = format!(
        "From: a@b.example\n\n{}",
        (0..2_000).map(|n| format!("http://a{n}.example/ ")).collect::<String>()
    );
    let recipients = format!("From: a@b.example\nTo: {}\n\n", "a@b.example,".repeat(100_000));
    let parameters = format!("From: a@b.example\nContent-Type: text/plain{}\n\n", "; a*1*=x".repeat(100_000));
    let boundaries = format!(
        "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n{}",
        "--\n--c".repeat(200_000)
    );
    for (name, mail, flaw) in [
        ("nested", nested, Some(Flaw::TooDeep)),
        ("rfc822", rfc822, Some(Flaw::TooDeep)),
        ("wide", wide, Some(Flaw::ManyParts)),
        ("fields", fields, Some(Flaw::ManyHeaders)),
        ("folded", folded, None),
        ("text", text, Some(Flaw::LongText)),
        ("links", links, Some(Flaw::ManyLinks)),
        ("recipients", recipients, None),
        ("names", format!("From: {}\n\n", "a,".repeat(1 << 20)), None),
        ("quotes", format!("From: {}\n\n", "\"<(=?".repeat(1 << 20)), None),
        (
            "results",
            format!("From: a@b.example\n{}\n", "Authentication-Results: x; spf=(((;=\"\n".repeat(5_000)),
            Some(Flaw::ManyHeaders),
        ),
        ("parameters", parameters, None),
        ("boundaries", boundaries, Some(Flaw::BrokenMime)),
    ] {
        let message = get(&mail);
        assert!(flaw.is_none_or(|flaw| message.flaws.contains(&flaw)), "{name}: {:?}", message.flaws);
        within_bounds(&message, mail.len(), &limits);
    }
    let long = read(&vec![b'x'; 1 << 20], &Limits { bytes: 1 << 10, ..limits });
    assert!(
        long.flaws.contains(&Flaw::TooLong)
            && long.length == 1 << 20
            && long.bodies[0].visible.len() <= 1 << 10
    );
}

fn within_bounds(message: &Message, length: usize, limits: &Limits) {
    assert_eq!(message.length, length as u64);
    assert!(message.links.len() <= limits.links);
    assert!(
        message
            .links
            .iter()
            .all(|link| link.url.chars().count() <= 2_048 && link.shown.chars().count() <= 256)
    );
    assert!(message.parts.len() + message.bodies.len() <= limits.parts + 1);
    assert!(
        message.bodies.iter().all(|body| body.visible.len() + body.hidden.len() <= 3 * limits.text + 1_024)
    );
    assert!(message.parts.iter().map(|part| part.bytes.len()).sum::<usize>() <= length);
    let mut flaws = message.flaws.clone();
    flaws.sort();
    flaws.dedup();
    assert_eq!(flaws.len(), message.flaws.len());
}

#[test]
fn every_mail_of_the_corpora_is_read() {
    for folder in ["phish", "ham", "fixture", "spam"] {
        let Some(root) = testkit::shared(
            &format!("every_mail_of_the_corpora_is_read_{folder}"),
            &format!("mail/{folder}"),
        ) else {
            continue;
        };
        let limits = Limits::default();
        let (mut mails, mut flawed, mut headless) = (0, 0, 0);
        for (path, bytes) in crate::corpus::files(&root) {
            for mail in messages(&bytes) {
                let message = read(mail, &limits);
                within_bounds(&message, mail.len(), &limits);
                mails += 1;
                flawed += usize::from(!message.flaws.is_empty());
                if message.flaws.contains(&Flaw::NoHeader) {
                    headless += 1;
                    assert!(folder == "fixture" || folder == "spam", "{}", path.display());
                }
                let says = message.bodies.iter().any(|body| !body.visible.trim().is_empty())
                    || !message.parts.is_empty();
                assert!(
                    says || message.length < 4_096 || folder != "ham",
                    "{} reads as empty",
                    path.display()
                );
            }
        }
        println!("{folder}: {mails} mails, {flawed} with flaws, {headless} without a header");
    }
}

/// Where a mail is sound, another parser finds the same subject, senders and files in it.
#[test]
fn another_parser_agrees() {
    let Some(root) = testkit::shared("another_parser_agrees", "mail/ham") else { return };
    let parser = mail_parser::MessageParser::default();
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut compared, mut differing) = (0usize, Vec::new());
    for (path, bytes) in crate::corpus::files(&root) {
        let ours = read(&bytes, &Limits::default());
        let Some(theirs) =
            parser.parse(&bytes).filter(|_| ours.flaws.is_empty() && !bytes.starts_with(b"From "))
        else {
            continue;
        };
        let senders = theirs
            .from()
            .into_iter()
            .flat_map(|from| from.iter())
            .filter_map(|address| address.address.as_deref());
        let senders: Vec<_> = senders.map(str::to_lowercase).collect();
        let found: Vec<_> = ours.from.iter().map(|address| address.address.to_lowercase()).collect();
        let same = one_line(&ours.subject) == one_line(theirs.subject().unwrap_or_default())
            && (senders == found || senders.is_empty())
            && files_of(&theirs)
                == ours
                    .parts
                    .iter()
                    .filter(|part| !is_text(part))
                    .map(|part| part.bytes.len())
                    .collect::<Vec<_>>();
        compared += 1;
        if !same {
            differing.push(path);
        }
    }
    assert!(compared > 1_000, "{compared}");
    // Words cut in the middle of a character, blanks between words, names without quotes: there ours reads on.
    assert!(differing.len() * 50 < compared, "{} of {compared}: {differing:?}", differing.len());
}

fn is_text(part: &super::Part) -> bool {
    part.declared.starts_with("text/")
}

/// Lengths of what `mail-parser` takes for files, those of nested mails in their place.
fn files_of(message: &mail_parser::Message<'_>) -> Vec<usize> {
    let mut lengths = Vec::new();
    for part in &message.parts {
        match &part.body {
            PartType::Message(inner) => lengths.extend(files_of(inner)),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => lengths.push(bytes.len()),
            _ => {}
        }
    }
    lengths
}

/// Mails whose bytes are mostly sound, so that a change in them reaches deep.
fn seeds() -> Vec<Vec<u8>> {
    let html = b"<html><style>.a{display:none}</style><base href=//b.example><p class=a>x<a href='http:/\\a.example'>y&amp;</a><img src=cid:1><form action=x><input type=password>";
    vec![
        mail_of("text/html; charset=iso-2022-jp", &[html.as_slice(), &in_jis(SUBJECT)].concat()),
        mail_of("multipart/mixed; boundary=\"b\"", b"--b\r\nContent-Type: text/plain; format=flowed\r\n\r\nwww.a.example/x \r\ny\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?=E3=81=82?=\r\n\r\nx\r\n--b\r\nContent-Type: application/x; name*0*=utf-8''%E3; name*1*=%81%82\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--b--\r\n"),
        b"From \"x\" <a@b.example>, y@z.example (c)\r\nAuthentication-Results: m.example; spf=pass (a) smtp.mailfrom=b@c.example; dkim=fail header.i=@d.example\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nTo: g: a@b.example;\r\n\r\n\x1b$B$*;H\x1b(B <http://a.example/\r\nb>".to_vec(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let limits = Limits::default();
        within_bounds(&read(&bytes, &limits), bytes.len(), &limits);
        prop_assert_eq!(messages(&bytes).map(<[u8]>::len).sum::<usize>() + usize::from(bytes.starts_with(b"\xef\xbb\xbf")) * 3, bytes.len());
        let _ = Mailbox::of(&bytes);
    }

    #[test]
    fn damaged_mails_are_read(
        seed in 0usize..3,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3), 1..12),
        small in any::<bool>(),
    ) {
        let mut mail = seeds().swap_remove(seed);
        for (at, byte, how) in cuts {
            let at = at.index(mail.len());
            match how {
                0 => mail[at] = byte,
                1 => mail.insert(at, byte),
                _ => drop(mail.drain(at..(at + usize::from(byte % 16)).min(mail.len()))),
            }
            if mail.is_empty() {
                mail.push(byte);
            }
        }
        let limits = if small {
            Limits { bytes: 400, headers: 2, depth: 1, parts: 2, text: 50, links: 2 }
        } else {
            Limits::default()
        };
        within_bounds(&read(&mail, &limits), mail.len(), &limits);
    }

    #[test]
    fn any_text_gives_sound_links(text in "[a-z<>/\\\\:.@%\\[\\]()0-9x\u{3042}\u{200b}\u{ff0e}#? \n]{0,200}") {
        for link in urls(&text) {
            prop_assert!(link.url.chars().count() <= 2_048);
            prop_assert_eq!(&link.host, &host_of(&link.url));
        }
        let host = host_of(&text);
        prop_assert!(!host.ends_with('.') && !host.contains(['/', '\\', '\u{200b}', '\n']), "{host}");
        // What a host is read as reads as itself.
        if !host.is_empty() && !host.contains([':', '%', '[', ']', '@', '#', '?', '<', '>', '(', ')']) {
            prop_assert_eq!(host_of(&format!("http://{host}/")), host);
        }
    }
}
