//! Text with `*` and `?`. Linear in the text for patterns without `?`, whatever their shape: each piece is taken where it first fits.

use super::rule::Part;

/// A pattern that a whole value must fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glob {
    /// Pieces between the stars.
    pieces: Vec<Piece>,
    starts_open: bool,
    ends_open: bool,
}

/// What stands between two stars: characters, or any one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Text(String),
    Mixed(Vec<Option<char>>),
}

impl Glob {
    pub(super) fn new(parts: &[Part]) -> Self {
        let mut pieces = Vec::new();
        let mut piece: Vec<Option<char>> = Vec::new();
        let close = |piece: &mut Vec<Option<char>>, pieces: &mut Vec<Piece>| {
            if piece.is_empty() {
                return;
            }
            let text: Option<String> = piece.iter().copied().collect();
            let piece = std::mem::take(piece);
            pieces.push(text.map_or(Piece::Mixed(piece), Piece::Text));
        };
        for part in parts {
            match part {
                Part::Many => close(&mut piece, &mut pieces),
                Part::One => piece.push(None),
                Part::Text(text) => piece.extend(text.chars().map(Some)),
            }
        }
        close(&mut piece, &mut pieces);
        Self {
            pieces,
            starts_open: parts.first() == Some(&Part::Many),
            ends_open: parts.last() == Some(&Part::Many),
        }
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        let mut rest = text;
        let mut pieces = self.pieces.as_slice();
        if !self.starts_open {
            let Some((first, others)) = pieces.split_first() else {
                return text.is_empty() || self.ends_open;
            };
            let Some(length) = first.at_start(rest) else { return false };
            rest = &rest[length..];
            pieces = others;
            if pieces.is_empty() && !self.ends_open {
                return rest.is_empty();
            }
        }
        let last = if self.ends_open { None } else { pieces.split_last() };
        let middle = last.map_or(pieces, |(_, middle)| middle);
        for piece in middle {
            let Some(end) = piece.find_end(rest) else { return false };
            rest = &rest[end..];
        }
        last.is_none_or(|(last, _)| last.at_end(rest))
    }
}

impl Piece {
    /// How many bytes it takes at the start.
    fn at_start(&self, text: &str) -> Option<usize> {
        match self {
            Piece::Text(piece) => text.starts_with(piece.as_str()).then_some(piece.len()),
            Piece::Mixed(piece) => {
                let mut chars = text.chars();
                for wanted in piece {
                    let found = chars.next()?;
                    if wanted.is_some_and(|wanted| wanted != found) {
                        return None;
                    }
                }
                Some(text.len() - chars.as_str().len())
            }
        }
    }

    fn at_end(&self, text: &str) -> bool {
        match self {
            Piece::Text(piece) => text.ends_with(piece.as_str()),
            Piece::Mixed(piece) => {
                let mut chars = text.chars();
                piece.iter().rev().all(|wanted| {
                    chars.next_back().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
                })
            }
        }
    }

    /// Where it ends when it first occurs.
    fn find_end(&self, text: &str) -> Option<usize> {
        match self {
            Piece::Text(piece) => text.find(piece.as_str()).map(|at| at + piece.len()),
            Piece::Mixed(_) => text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .find_map(|at| Some(at + self.at_start(&text[at..])?)),
        }
    }
}

/// Lower case as values and patterns get it: character by character, so that both get the same.
pub(super) fn fold_into(text: &str, into: &mut String) {
    let start = into.len();
    if text.is_ascii() {
        into.push_str(text);
        into[start..].make_ascii_lowercase();
    } else {
        into.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// The same, as a new text.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}
