//! What is malformed in the mail itself, or past a bound.

use decode::mail::Flaw;
use schema::MailVerdict;

use super::{Feature, Look, row};
use crate::mail::view::View;

/// Not all of it could be judged.
const fn unreadable(id: &'static str, text: &'static str, text_ja: &'static str, look: Look) -> Feature {
    Feature { id, text, text_ja, bounds: (0.0, 0.0), at_least: Some(MailVerdict::Unreadable), look }
}

pub(super) const FEATURES: &[Feature] = &[
    unreadable(
        "mail.no-header",
        "It is no mail, or broken beyond reading.",
        "メールとして読み取れません。壊れている可能性があります。",
        |view| has(view, Flaw::NoHeader),
    ),
    unreadable(
        "mail.too-long",
        "It is longer than what is read.",
        "読み取りの上限を超える大きさのメールです。",
        |view| has(view, Flaw::TooLong),
    ),
    unreadable(
        "mail.too-deep",
        "It is nested deeper, or has more parts, than what is read.",
        "入れ子や部品の数が、読み取りの上限を超えています。",
        |view| has(view, Flaw::TooDeep).or_else(|| has(view, Flaw::ManyParts)),
    ),
    unreadable(
        "mail.too-many-headers",
        "Its header has more lines than what is read.",
        "ヘッダーの行数が、読み取りの上限を超えています。",
        |view| has(view, Flaw::ManyHeaders),
    ),
    row(
        "mail.repeated-header",
        (0.0, 1.5),
        "It gives its sender or its subject twice, so that programs disagree on what it says.",
        "差出人や件名が二重に書かれており、ソフトによって表示が変わる作りです。",
        |view| has(view, Flaw::RepeatedHeader),
    ),
];

fn has(view: &View, flaw: Flaw) -> Option<Vec<String>> {
    view.message.flaws.contains(&flaw).then(Vec::new)
}
