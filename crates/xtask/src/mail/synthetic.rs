//! Japanese mails that pose as brands, made up after the sorts that are reported: too few real ones are there to count. They are
//! judged and reported apart and never learnt from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::ISO_2022_JP;
use judge::mail::MailJudge;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::corpus::{Label, Sample, sample};

/// A brand as its imitators write it: display names, subjects, look-alike hosts (`#` becomes random letters).
struct Brand {
    names: &'static [&'static str],
    subjects: &'static [&'static str],
    hosts: &'static [&'static str],
}

const BRANDS: &[Brand] = &[
    Brand {
        names: &["Amazon", "Amazon.co.jp", "アマゾン", "Amzon", "Amazon カスタマーサービス"],
        subjects: &[
            "お使いのAmazon IDがロックされます！",
            "Amzon - 親愛なるお客様、セキュリティリスクのため、お客様のアカウントは停止されています。",
            "【Amazon】お支払い方法の情報を更新してください",
            "Amazonプライムの自動更新設定を解除いたしました",
        ],
        hosts: &[
            "amazno-#.com",
            "amazom-#.cc",
            "amazen-#.bz",
            "amazom#.jp",
            "amzeon-#.com",
            "amazon-japan-#.com",
            "amazon-#.cc",
        ],
    },
    Brand {
        names: &["楽天市場", "楽天カード株式会社", "Rakuten"],
        subjects: &[
            "【楽天市場】アカウントの確認が必要です",
            "楽天カードのご利用を一時的に制限しました",
            "[重要] 楽天会員情報の更新のお願い",
        ],
        hosts: &["rakuten-#.top", "rakuton-card-#.com", "rakuten-co-jp-#.cc", "rakuten.co.jp.#.xyz"],
    },
    Brand {
        names: &["三井住友カード", "三井住友銀行"],
        subjects: &[
            "【三井住友カード】ご利用確認のお願い",
            "【重要】三井住友銀行 お取引を一時的に制限しました",
        ],
        hosts: &["smbc-card-#.top", "vpass-co-jp.#.cn", "#.icu"],
    },
    Brand {
        names: &["Apple", "Apple サポート"],
        subjects: &["Apple IDが一時的にロックされました", "Appleからの領収書：お支払い方法に問題があります"],
        hosts: &["apple-id-#.com", "appleid.#.xyz", "#.cyou"],
    },
    Brand {
        names: &["ヤマト運輸", "佐川急便", "日本郵便"],
        subjects: &[
            "お荷物のお届けについて（ヤマト運輸）",
            "【佐川急便】ご不在のためお荷物を持ち帰りました",
            "【日本郵便】お荷物の配達先住所をご確認ください",
        ],
        hosts: &["kuronekoyamato-#.com", "sagawa-exp-#.top", "post-japan-#.cc", "#.shop"],
    },
    Brand {
        names: &["ETC利用照会サービス", "えきねっと", "マイナポータル", "国税庁 e-Tax"],
        subjects: &[
            "【ETC利用照会サービス】アカウントの利用停止のお知らせ",
            "【えきねっと】アカウントの自動退会処理について",
            "マイナポータル：マイナポイントの受取手続きのご案内",
            "【e-Tax】未払い税金のお知らせ",
        ],
        hosts: &["etc-meisai-#.com", "eki-net-#.top", "myna-go-jp.#.cc", "e-tax-nta-#.com"],
    },
];

const REASONS: &[&str] = &[
    "お客様のアカウントで通常とは異なるログインが確認されました。",
    "お支払い方法に問題があり、アカウントは一時的に制限されています。",
    "第三者による不正利用の可能性があるため、ご利用を制限しました。",
    "登録情報が古いため、サービスのご利用を停止しております。",
    "お荷物をお届けにあがりましたが、住所に不備があり持ち帰りました。",
];
const ASKS: &[&str] = &[
    "24時間以内に下記のリンクからご登録情報をご確認ください。",
    "下記よりログインして、お客様情報の更新をお願いいたします。",
    "本日中にご本人確認をお願いいたします。ご対応がない場合、アカウントは削除されます。",
    "以下のリンクから手続きを完了してください。",
];
const GREETINGS: &[&str] =
    &["親愛なるお客様", "お客様各位", "いつもご利用いただきありがとうございます。", "会員様"];

#[derive(Clone, Copy)]
enum Charset {
    Iso2022Jp,
    Utf8,
}

/// Mails in both charsets, plain and HTML, eight of each subject.
pub(super) fn samples(seed: u64, judge: &MailJudge) -> Vec<Sample> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut samples = Vec::new();
    for brand in BRANDS {
        for subject in brand.subjects {
            for (charset, html, group) in [
                (Charset::Iso2022Jp, false, "ISO-2022-JP, plain"),
                (Charset::Iso2022Jp, true, "ISO-2022-JP, HTML"),
                (Charset::Utf8, false, "UTF-8, plain"),
                (Charset::Utf8, true, "UTF-8, HTML"),
            ] {
                for _ in 0..2 {
                    let raw = mail(brand, subject, charset, html, &mut random);
                    let path = format!("synthetic/{}", samples.len());
                    samples.push(sample(&raw, path, Label::Phish, group.to_owned(), judge));
                }
            }
        }
    }
    samples
}

fn pick<'a>(from: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    from[(random.next_u64() % from.len() as u64) as usize]
}

fn host(pattern: &str, random: &mut ChaCha8Rng) -> String {
    let letters: String = (0..6)
        .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz"[(random.next_u64() % 26) as usize]))
        .collect();
    pattern.replace('#', &letters)
}

fn mail(brand: &Brand, subject: &str, charset: Charset, html: bool, random: &mut ChaCha8Rng) -> Vec<u8> {
    let (name, host) = (pick(brand.names, random), host(pick(brand.hosts, random), random));
    // Half of them write from the look-alike, half from a domain that has nothing to do with it.
    let sender = if random.next_u64().is_multiple_of(2) {
        host.clone()
    } else {
        format!("mail-{}.test", random.next_u64() % 1_000)
    };
    let url = format!("https://{host}/signin/{}", random.next_u64() % 100_000);
    let (greeting, reason, ask) = (pick(GREETINGS, random), pick(REASONS, random), pick(ASKS, random));
    let body = if html {
        format!(
            "<html><body><p>{greeting}</p><p>{reason}</p><p>{ask}</p><p><a href=\"{url}\">ご確認はこちら</a></p><p>{name}</p></body></html>\r\n"
        )
    } else {
        format!("{greeting}\r\n\r\n{reason}\r\n{ask}\r\n\r\n{url}\r\n\r\n{name}\r\n")
    };
    let (label, transfer, body) = match charset {
        Charset::Iso2022Jp => ("iso-2022-jp", "7bit", ISO_2022_JP.encode(&body).0.into_owned()),
        Charset::Utf8 => ("utf-8", "8bit", body.into_bytes()),
    };
    let kind = if html { "html" } else { "plain" };
    let mut raw = format!(
        "From: {} <info@{sender}>\r\nTo: user@hospital.example\r\nSubject: {}\r\nMessage-ID: <{}@{sender}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/{kind}; charset={label}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n",
        word(name, charset),
        word(subject, charset),
        random.next_u64(),
    )
    .into_bytes();
    raw.extend(body);
    raw
}

/// Encoded words (RFC 2047) of a few characters each, as mail programs write them.
fn word(text: &str, charset: Charset) -> String {
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
