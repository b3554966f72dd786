//! What it says.

use super::{Feature, any, few, row};
use crate::mail::defuse;
use crate::mail::fold::{CHARS_MAX, disguised_word};
use crate::mail::view::View;
use crate::mail::words::Lexicon;

/// Lures: whoever writes of one of these wants the reader to act.
const LURES: &[Lexicon] = &[
    Lexicon::Threat,
    Lexicon::Credential,
    Lexicon::Prize,
    Lexicon::Delivery,
    Lexicon::Coins,
    Lexicon::AdvanceFee,
];

pub(super) const FEATURES: &[Feature] = &[
    row(
        "text.urgency",
        (0.0, 1.0),
        "It puts the reader under pressure of time.",
        "「至急」「期限」などの言葉で急がせています。",
        |view| body(view, Lexicon::Urgency),
    ),
    row(
        "text.threat",
        (0.3, 1.5),
        "It threatens with something: a closed account, a stranger's login, a lost parcel.",
        "アカウント停止や不正利用などを理由に、不安をあおっています。",
        |view| body(view, Lexicon::Threat),
    ),
    row(
        "text.credential",
        (0.3, 1.8),
        "It asks the reader to log in, to confirm or to update something.",
        "ログインや、情報の確認・更新を求めています。",
        |view| body(view, Lexicon::Credential),
    ),
    row(
        "text.payment",
        (0.0, 0.6),
        "It is about a payment, an invoice or a refund.",
        "支払い、請求、返金の話をしています。",
        |view| body(view, Lexicon::Payment),
    ),
    row(
        "text.prize",
        (0.0, 1.4),
        "It promises a prize, a bonus or something for free.",
        "賞品や特典、無料のプレゼントを約束しています。",
        |view| body(view, Lexicon::Prize),
    ),
    row(
        "text.delivery",
        (0.0, 0.8),
        "It is about a parcel.",
        "荷物や配達の話をしています。",
        |view| body(view, Lexicon::Delivery),
    ),
    row(
        "text.coins",
        (0.0, 1.6),
        "It is about cryptocurrency or quick money.",
        "暗号資産や、簡単にもうかる話をしています。",
        |view| body(view, Lexicon::Coins),
    ),
    row(
        "text.advance-fee",
        (0.0, 2.5),
        "It speaks of a large sum from a stranger: an inheritance, a compensation, a loan.",
        "見知らぬ人からの大金の話（遺産、補償金、融資など）です。",
        |view| any(body(view, Lexicon::AdvanceFee)?).filter(|words| words.len() > 1),
    ),
    row(
        "text.pitch",
        (0.0, 1.0),
        "It advertises what is often advertised without being asked for.",
        "迷惑メールでよく宣伝される内容です。",
        |view| body(view, Lexicon::Pitch),
    ),
    row(
        "text.greeting",
        (0.0, 1.5),
        "It does not know the reader's name.",
        "宛名が「お客様」などで、受信者の名前を知りません。",
        |view| body(view, Lexicon::Greeting),
    ),
    row(
        "text.call",
        (0.0, 2.5),
        "It is about money and wants to be called at a number.",
        "お金の話をして、電話をかけさせようとしています。",
        call,
    ),
    row(
        "subject.fake-answer",
        (0.0, 1.0),
        "The subject pretends to answer or to pass on a mail, and nothing shows that there was one.",
        "件名は返信や転送を装っていますが、元のメールがあった形跡がありません。",
        fake_answer,
    ),
    row(
        "text.many-lures",
        (0.0, 2.5),
        "It uses several tricks at once.",
        "複数の誘い文句が同時に使われています。",
        many_lures,
    ),
    row(
        "text.disguised",
        (0.0, 3.0),
        "Words are written with disguised or invisible letters, so that filters do not read them.",
        "フィルターを逃れるため、偽装した文字や見えない文字が使われています。",
        disguised,
    ),
    row(
        "text.names-address",
        (0.0, 2.5),
        "It calls the reader by an address of mail instead of a name.",
        "受信者を、名前ではなくメールアドレスで呼んでいます。",
        names_address,
    ),
    row(
        "subject.lure",
        (0.0, 1.8),
        "The subject promises or threatens.",
        "件名で、利益を約束したり不安をあおったりしています。",
        |view| any(few(LURES.iter().flat_map(|&lexicon| view.subject_words(lexicon)))),
    ),
    row(
        "subject.urgency",
        (0.0, 1.0),
        "The subject puts the reader under pressure of time.",
        "件名で急がせています。",
        |view| any(view.subject_words(Lexicon::Urgency)),
    ),
    row(
        "subject.disguised",
        (0.0, 3.5),
        "The subject is written with disguised or invisible letters, so that filters do not read it.",
        "件名に、フィルターを逃れるための偽装文字が使われています。",
        |view| disguised_word(&view.message.subject, 400).map(|word| vec![defuse::text(&word)]),
    ),
    row(
        "subject.names-address",
        (0.0, 2.5),
        "The subject calls the reader by an address of mail.",
        "件名に、受信者のメールアドレスが書かれています。",
        |view| address_in(&view.subject.text),
    ),
    row(
        "subject.serial",
        (0.0, 1.5),
        "The subject ends in random letters or a long number, so that each copy looks different.",
        "件名の末尾に、でたらめな文字や長い番号が付いています。",
        serial,
    ),
    row(
        "subject.template",
        (0.0, 3.0),
        "A blank of the template was not filled in.",
        "ひな形の穴埋め部分が、そのまま残っています。",
        template,
    ),
];

fn body(view: &View, lexicon: Lexicon) -> Option<Vec<String>> {
    any(view.head_words(lexicon))
}

/// Money, a number of a telephone, and hardly a link.
fn call(view: &View) -> Option<Vec<String>> {
    let is_money = view.speaks_of(&[Lexicon::Payment, Lexicon::Threat]);
    if !is_money || view.hosts.len() >= 2 || view.is_list || view.message.answers {
        return None;
    }
    let digits =
        view.head.text.split(|char: char| !(char.is_ascii_digit() || "+-() .".contains(char))).any(|run| {
            let count = run.bytes().filter(u8::is_ascii_digit).count();
            (10..=13).contains(&count)
        });
    digits.then(|| view.head_words(Lexicon::Call)).and_then(any)
}

/// `Re:` of a mail that answers nothing. Forwarded by hand it quotes what it passes on.
fn fake_answer(view: &View) -> Option<Vec<String>> {
    let subject = view.subject.text.as_str();
    let pretends = ["re:", "aw:", "sv:", "fw:", "fwd:", "wg:", "res:", "enc:", "tr:"]
        .iter()
        .find(|start| subject.starts_with(**start))?;
    let quotes = view.message.bodies.iter().any(|body| {
        body.visible
            .lines()
            .take(400)
            .any(|line| line.starts_with('>') || line.contains("-----") || line.contains("wrote:"))
    });
    (!view.message.answers && !view.is_list && !quotes).then(|| vec![(*pretends).to_owned()])
}

fn many_lures(view: &View) -> Option<Vec<String>> {
    let sorts = |lexicon: &&Lexicon| view.head.has(**lexicon) || view.subject.has(**lexicon);
    let found: Vec<_> = LURES.iter().filter(sorts).collect();
    (found.len() > 2)
        .then(|| few(found.iter().filter_map(|&&lexicon| view.head_words(lexicon).into_iter().next())))
}

fn disguised(view: &View) -> Option<Vec<String>> {
    let word = view.message.bodies.iter().find_map(|body| disguised_word(&body.visible, CHARS_MAX))?;
    Some(vec![defuse::text(&word)])
}

/// An address as the first words: `Dear a@example.com,`, `a@example.com 様`.
fn names_address(view: &View) -> Option<Vec<String>> {
    if view.message.answers || view.is_list {
        return None;
    }
    let end = view.head.text.char_indices().nth(160).map_or(view.head.text.len(), |(at, _)| at);
    let start = &view.head.text[..end];
    let greets = |before: &str| {
        let before = before.trim_end_matches([' ', ':', ',']);
        [
            "dear",
            "hi",
            "hello",
            "hallo",
            "attn",
            "attention",
            "oi",
            "olá",
            "bonjour",
            "hola",
            "guten tag",
            "congratulations,",
            "beste",
            "geachte",
        ]
        .iter()
        .any(|greeting| before.ends_with(greeting))
    };
    let (before, word, after) = first_address(start)?;
    let is_named = greets(before) || after.trim_start().starts_with(['様', 'さ', '殿']);
    let is_sender = view.from.is_some_and(|from| word.eq_ignore_ascii_case(&from.address.address));
    (is_named && !is_sender).then(|| vec![defuse::host(word)])
}

fn address_in(text: &str) -> Option<Vec<String>> {
    let (_, word, _) = first_address(text)?;
    Some(vec![defuse::host(word)])
}

/// The first address of mail in a folded text, with what stands before and after it.
fn first_address(text: &str) -> Option<(&str, &str, &str)> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || ".-_+".contains(char);
    for (at, _) in text.match_indices('@') {
        let start = text[..at]
            .rfind(|char| !is_part(char))
            .map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
        let end = text[at + 1..].find(|char| !is_part(char)).map_or(text.len(), |after| at + 1 + after);
        let word = text[start..end].trim_end_matches(['.', '-']);
        let (local, domain) = (&text[start..at], word.get(at + 1 - start..).unwrap_or_default());
        if !local.is_empty() && domain.contains('.') {
            return Some((&text[..start], word, &text[end..]));
        }
    }
    None
}

/// `… TSQKVFAVUP`, `… nDY9wO`, `… ID:6326773100`: in the raw subject, whose capitals count.
fn serial(view: &View) -> Option<Vec<String>> {
    if view.message.answers || view.is_list {
        return None;
    }
    let last = view.message.subject.split_whitespace().next_back()?;
    let word = last.trim_matches(|char: char| !char.is_alphanumeric());
    let word = word.rsplit([':', '#', '_']).next().unwrap_or(word);
    let bytes = word.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_number = digits >= 8 && digits == bytes.len();
    let inner_capitals =
        bytes.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()).count();
    let is_mixed = bytes.len() >= 5
        && bytes.iter().all(u8::is_ascii_alphanumeric)
        && (inner_capitals > 1 || (inner_capitals > 0 && digits > 0));
    let is_noise = super::link::is_noise(&word.to_ascii_lowercase())
        && bytes.iter().all(u8::is_ascii_alphabetic)
        && word.len() >= 7;
    (is_number || is_mixed || is_noise).then(|| vec![defuse::text(word)])
}

fn template(view: &View) -> Option<Vec<String>> {
    let texts = [view.subject.text.as_str(), view.name.text.as_str()];
    let blanks = [
        "{firstname}",
        "{first_name}",
        "{name}",
        "{email}",
        "<name>",
        "<email>",
        "[name]",
        "[email]",
        "[firstname]",
        "[first name]",
        "%name%",
        "%email%",
        "%firstname%",
        "{{",
        "}}",
        "{numero}",
        "##email##",
        "[[",
        "%%",
    ];
    if !texts.iter().any(|text| text.contains(['{', '}', '<', '[', '%', '#'])) {
        return None;
    }
    let found = texts.iter().find_map(|text| blanks.iter().find(|blank| text.contains(**blank)))?;
    Some(vec![(*found).to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_text_is_found() {
        for (text, expected) in [
            ("dear a.b@example.com, your", Some("a.b@example.com")),
            ("親愛なるa@example.jp様", Some("a@example.jp")),
            ("mail @ noon", None),
            ("see a@b", None),
            ("x@example.com.", Some("x@example.com")),
        ] {
            assert_eq!(first_address(text).map(|(_, word, _)| word), expected, "{text}");
        }
    }
}
