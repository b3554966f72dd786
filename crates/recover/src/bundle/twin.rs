//! The two languages of one chart without the text that both share.

use serde::Serialize;

/// A piece of a text in two languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Piece {
    /// The same in both.
    Both(String),
    /// English, Japanese.
    Each([String; 2]),
}

/// Two pages of the same chart, tag by tag. Where they differ in more than words each is kept whole.
pub(super) fn twin(en: &str, ja: &str) -> Vec<Piece> {
    let (english, japanese) = (tags(en), tags(ja));
    if english.len() != japanese.len() {
        return vec![Piece::Each([en.to_owned(), ja.to_owned()])];
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for (en, ja) in english.into_iter().zip(japanese) {
        match (en == ja, pieces.last_mut()) {
            (true, _) if en.is_empty() => {}
            (true, Some(Piece::Both(text))) => text.push_str(en),
            (true, _) => pieces.push(Piece::Both(en.to_owned())),
            (false, Some(Piece::Each([english, japanese]))) => {
                english.push_str(en);
                japanese.push_str(ja);
            }
            (false, _) => pieces.push(Piece::Each([en.to_owned(), ja.to_owned()])),
        }
    }
    pieces
}

/// Each a tag with the text before it; text never holds a `<`, which is escaped there.
fn tags(html: &str) -> Vec<&str> {
    html.split_inclusive('>')
        .flat_map(|tag| match tag.find('<') {
            Some(at) => {
                let (text, tag) = tag.split_at(at);
                [text, tag]
            }
            None => [tag, ""],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(pieces: &[Piece], which: usize) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Both(text) => text.clone(),
            Piece::Each(texts) => texts[which].clone(),
        };
        pieces.iter().map(text).collect()
    }

    #[test]
    fn either_language_comes_back_whole() {
        let cases = [
            ("<p>male <b>斎藤</b></p>", "<p>男 <b>斎藤</b></p>", 3),
            ("<p lang=\"en\">x</p>", "<p lang=\"ja\">x</p>", 2),
            ("", "", 0),
            ("<p>a</p>", "<p>a</p><p>b</p>", 1),
            ("a > b", "c > d", 1),
        ];
        for (en, ja, most) in cases {
            let pieces = twin(en, ja);
            assert_eq!((side(&pieces, 0).as_str(), side(&pieces, 1).as_str()), (en, ja));
            assert!(pieces.len() <= most, "{pieces:?}");
        }
    }
}
