//! Spans of text: bounded, and with the numbers of the records behind them.

use std::collections::HashMap;

use schema::Lang;

use super::text::{Ink, Span, Style};
use super::{BODY, LeftOut, SMALL};
use crate::charts::Provenance;

/// Characters of a field; nobody reads a longer drug name, and the rest is counted.
const FIELD_MAX: usize = 1_000;

/// Makes spans, and counts what it leaves out.
#[derive(Debug, Default)]
pub(super) struct Words<'c> {
    pub(super) left_out: LeftOut,
    cited: Vec<&'c Provenance>,
    numbers: HashMap<(&'c str, Option<&'c str>), usize>,
}

impl<'c> Words<'c> {
    pub(super) fn plain(&mut self, text: &str, lang: Lang) -> Span {
        Span { text: self.bounded(text, FIELD_MAX, lang), style: BODY }
    }

    pub(super) fn strong(&mut self, text: &str, lang: Lang) -> Span {
        let plain = self.plain(text, lang);
        Span { style: Style { bold: true, ..BODY }, ..plain }
    }

    pub(super) fn soft(&mut self, text: &str, lang: Lang) -> Span {
        let plain = self.plain(text, lang);
        Span { style: Style { size: 8.5, ink: Ink::Grey, ..BODY }, ..plain }
    }

    /// At most `max` characters, and how many were left out.
    pub(super) fn bounded(&mut self, text: &str, max: usize, lang: Lang) -> String {
        let Some((end, _)) = text.char_indices().nth(max) else { return text.to_owned() };
        let rest = text[end..].chars().count() as u64;
        self.left_out.characters += rest;
        let said =
            lang.pick(format!(" [rest left out: {rest} characters]"), format!("［残り {rest} 文字は省略］"));
        format!("{}{said}", &text[..end])
    }

    /// The number of the record behind an item, with a warning when it names another patient inside.
    pub(super) fn mark(&mut self, from: &'c Provenance) -> Span {
        let key = (from.path.as_str(), from.part.as_deref());
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.cited.push(from);
            self.cited.len()
        });
        let style = Style { size: 6.0, raised: true, ..SMALL };
        match &from.other_patient {
            // In brackets: a bare raised number beside a dose could be read as part of it.
            None => Span { text: format!("[{number}]"), style },
            Some(other) => {
                let other: String = other.0.chars().take(40).collect();
                let style = Style { size: 8.0, bold: true, ink: Ink::Red, raised: false };
                Span { text: format!(" [{number}] ▲ID {other}"), style }
            }
        }
    }

    /// The records in the order of their numbers.
    pub(super) fn cited(&self) -> &[&'c Provenance] {
        &self.cited
    }
}

/// Text of ours.
pub(super) fn own(text: impl Into<String>, style: Style) -> Span {
    Span { text: text.into(), style }
}

/// A title over a table's column.
pub(super) fn head(titles: &[&str]) -> Vec<Vec<Span>> {
    titles.iter().map(|title| vec![own(*title, Style { size: 8.0, bold: true, ..SMALL })]).collect()
}

/// Long text shortened in its middle, so that its end can be read: for paths at the foot of a page.
pub(super) fn shortened(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let head: String = text.chars().take(max / 2).collect();
    let tail: String = text.chars().skip(count - max / 2).collect();
    format!("{head} … {tail}")
}
