//! Mails that were made up for the tests, after the sorts that hospitals in Japan report. Hosts are invented and lead nowhere: nothing
//! here is ever asked for in the real system of names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::ISO_2022_JP;

pub(crate) const TO: &str = "oncall@hospital.invalid";

/// Subjects of mails that were reported, word for word, with the names that their senders used.
pub(crate) const SUBJECTS: [(&str, &str); 2] = [
    ("Amazon", "お使いのAmazon IDがロックされます！"),
    ("Amzon", "Amzon - 親愛なるお客様、セキュリティリスクのため、お客様のアカウントは停止されています。"),
];

/// A host of each shape that was reported.
pub(crate) const HOSTS: [&str; 7] = [
    "amazno-kakunin-zqvx.com",
    "amazom-zqvxkj.cc",
    "amazen-zqvxkj.bz",
    "amazomzqvxkj.jp",
    "amzeon-zqvxkj.com",
    "amazon-japan-zqvxkj.com",
    "amazon-zqvxkj.cc",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Iso2022Jp,
    Utf8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Html,
}

/// Each way in which a mail is written.
pub(crate) const WAYS: [(Charset, Format); 4] = [
    (Charset::Iso2022Jp, Format::Plain),
    (Charset::Iso2022Jp, Format::Html),
    (Charset::Utf8, Format::Plain),
    (Charset::Utf8, Format::Html),
];

/// A mail that poses as Amazon and leads to `host`.
pub(crate) fn lure(
    (name, subject): (&str, &str),
    host: &str,
    from: &str,
    (charset, format): (Charset, Format),
) -> Vec<u8> {
    let url = format!("https://{host}/signin/");
    let said =
        "アカウントで通常とは異なる操作が確認されました。24時間以内に、下記より登録情報をご確認ください。";
    let (kind, body) = match format {
        Format::Plain => {
            ("plain", format!("お客様\r\n\r\n{said}\r\n\r\n{url}\r\n\r\n{name} カスタマーサービス\r\n"))
        }
        Format::Html => (
            "html",
            format!(
                "<html><body><p>お客様</p>\r\n<p>{said}</p>\r\n<p><a href=\"{url}\">ご確認はこちら</a></p></body></html>\r\n"
            ),
        ),
    };
    let head = format!(
        "From: {} <{from}>\r\nTo: {TO}\r\nSubject: {}\r\nDate: Mon, 16 Nov 2026 09:00:00 +0900\r\nMessage-ID: <{}@{host}>\r\n",
        words(name, charset),
        words(subject, charset),
        url.len(),
    );
    with_body(&head, kind, &body, charset)
}

/// A mail of a mailing list (fml) in Japanese about ransomware: passed on by the list, which put its number before the subject, its
/// words below the body, and so broke the author's signature.
pub(crate) fn from_list(charset: Charset) -> Vec<u8> {
    let body = "各位\r\n\r\n大学病院の鈴木です。先週、近隣の病院がランサムウェアに感染し、電子カルテが停止しました。\r\n\
                VPN装置の更新と、オフラインのバックアップを至急ご確認ください。\r\n\
                不審なメールの添付ファイルやリンクは開かず、パスワードの入力を求められても応じないでください。\r\n\
                注意喚起: https://www.ipa.go.jp/security/\r\n\r\n\
                -- \r\nThe list's own words: to leave it, write to med-sec-ctl@ml.univ.example\r\n";
    let head = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=univ.example; s=sel; h=from:subject;\r\n \
         bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=bm90IHRoaXMgYm9keQ==\r\n\
         From: {} <suzuki@univ.example>\r\nReply-To: med-sec@ml.univ.example\r\nTo: med-sec@ml.univ.example\r\nSubject: {}\r\n\
         Date: Mon, 16 Nov 2026 09:00:00 +0900\r\nMessage-ID: <20261116.0001@univ.example>\r\nPrecedence: bulk\r\n\
         X-ML-Name: med-sec\r\nX-Mail-Count: 02174\r\nX-MLServer: fml [fml 4.0.3 release (20011202/4.0.3)]\r\n\
         List-Id: <med-sec.ml.univ.example>\r\nList-Unsubscribe: <mailto:med-sec-ctl@ml.univ.example>\r\n",
        words("鈴木 一郎", charset),
        words("[med-sec:02174] ランサムウェア感染への注意喚起", charset),
    );
    with_body(&head, "plain", body, charset)
}

/// What the sender of the list's mails is on the way.
pub(crate) const LIST_SENDER: &str = "med-sec-admin@ml.univ.example";

fn with_body(head: &str, kind: &str, body: &str, charset: Charset) -> Vec<u8> {
    let (label, transfer, body) = match charset {
        Charset::Iso2022Jp => ("ISO-2022-JP", "7bit", ISO_2022_JP.encode(body).0.into_owned()),
        Charset::Utf8 => ("UTF-8", "8bit", body.as_bytes().to_vec()),
    };
    let head = format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset={label}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n"
    );
    [head.into_bytes(), body].concat()
}

/// Encoded words (RFC 2047) of a few characters each, as mail programs write them.
pub(crate) fn words(text: &str, charset: Charset) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let words = chars.chunks(10).map(|chunk| {
        let chunk: String = chunk.iter().collect();
        match charset {
            Charset::Iso2022Jp => {
                format!("=?ISO-2022-JP?B?{}?=", STANDARD.encode(ISO_2022_JP.encode(&chunk).0))
            }
            Charset::Utf8 => format!("=?UTF-8?B?{}?=", STANDARD.encode(chunk.as_bytes())),
        }
    });
    words.collect::<Vec<_>>().join("\r\n ")
}

/// A mail with that file in it.
pub(crate) fn carrying(subject: &str, name: &str, file: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = STANDARD
        .encode(file)
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8_lossy(line).into())
        .collect();
    format!(
        "From: Tanaka <tanaka@vendor.example>\r\nTo: {TO}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=part\r\n\r\n--part\r\nContent-Type: text/plain\r\n\r\nThe body of {subject}.\r\n\
         --part\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}\r\n--part--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}
