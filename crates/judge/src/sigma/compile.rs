//! From a rule's items to expressions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use regex::RegexBuilder;

use super::expr::{ANY, Expr, Kind, Slot, Tests, and, or};
use super::glob::{Glob, fold};
use super::rule::{Base64, Coding, Compare, Condition, How, Item, Part, Place, Utf16, Value};

/// A compiled regular expression may be this large, and its working memory.
const REGEX_BYTES_MAX: usize = 10 << 20;
const REGEX_CACHE_MAX: usize = 192 << 10;
/// A pattern may be this long.
const REGEX_TEXT_MAX: usize = 16 << 10;
/// Places in one value where a dash may be written in five ways; with more, all of a value are written in the same way.
const DASHES_MAX: usize = 3;
const DASHES: [&str; 5] = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];

pub(super) fn compile(condition: &Condition, tests: &mut Tests) -> Result<Expr, String> {
    let list = |inner: &[Condition], tests: &mut Tests| -> Result<Vec<Expr>, String> {
        inner.iter().map(|condition| compile(condition, tests)).collect()
    };
    Ok(match condition {
        Condition::And(inner) => and(list(inner, tests)?, tests),
        Condition::Or(inner) => or(list(inner, tests)?, tests),
        Condition::Not(inner) => not(compile(inner, tests)?),
        Condition::AtLeast(count, inner) => {
            Expr::AtLeast(u32::try_from(*count).unwrap_or(u32::MAX), list(inner, tests)?.into())
        }
        Condition::Item(item) => self::item(item, tests)?,
    })
}

fn not(expr: Expr) -> Expr {
    match expr {
        Expr::Always => Expr::Never,
        Expr::Never => Expr::Always,
        Expr::Not(inner) => *inner,
        other => Expr::Not(Box::new(other)),
    }
}

fn item(item: &Item, tests: &mut Tests) -> Result<Expr, String> {
    let slot = tests.slot(item.field.as_deref());
    let mut values = Vec::with_capacity(item.values.len());
    for value in &item.values {
        values.push(compare(item, value, slot, tests)?);
    }
    let joined = if item.all { and(values, tests) } else { or(values, tests) };
    Ok(if item.negated { not(joined) } else { joined })
}

fn compare(item: &Item, value: &Value, slot: Slot, tests: &mut Tests) -> Result<Expr, String> {
    match item.how {
        How::Exists => {
            let wanted =
                !matches!(value, Value::Bool(false)) && plain(value) != "false" && plain(value) != "no";
            let exists = tests.lazy(slot, "exists", || Ok(Kind::Exists))?;
            Ok(if wanted { exists } else { not(exists) })
        }
        How::Regex { ignore_case, multiline, dot_all } => {
            let pattern = plain(value);
            tests.lazy(slot, &format!("{:?} {pattern}", item.how), || {
                regex(&pattern, ignore_case, multiline, dot_all)
            })
        }
        How::Cidr => {
            let text = plain(value);
            tests.lazy(slot, &format!("cidr {text}"), || cidr(&text).map(Kind::Cidr))
        }
        How::Field(place) => {
            let Value::Text(_) = value else { return Err("`fieldref` wants the name of a field".into()) };
            let other = tests.slot(Some(&plain(value)));
            let cased = item.cased;
            tests.lazy(slot, &format!("field {other} {place:?} {cased}"), || {
                Ok(Kind::Field { other, place, cased })
            })
        }
        How::Compare(compare) => {
            let number = number(value)?;
            tests.lazy(slot, &format!("{compare:?} {number}"), || Ok(Kind::Number(compare, number)))
        }
        How::Clock(part) => {
            let number = number(value)?;
            tests.lazy(slot, &format!("{part:?} {number}"), || Ok(Kind::Clock(part, number)))
        }
        How::Is | How::Contains | How::Starts | How::Ends => text_or_value(item, value, slot, tests),
    }
}

fn text_or_value(item: &Item, value: &Value, slot: Slot, tests: &mut Tests) -> Result<Expr, String> {
    let is_text_search = item.how != How::Is;
    match value {
        Value::Text(parts) => coded(item, parts, slot, tests),
        Value::Number(_) if is_text_search && slot != ANY => {
            coded(item, &[Part::Text(plain(value))], slot, tests)
        }
        Value::Number(number) => {
            tests.lazy(slot, &format!("Equal {number}"), || Ok(Kind::Number(Compare::Equal, *number)))
        }
        Value::Bool(yes) => tests.lazy(slot, &format!("bool {yes}"), || Ok(Kind::Bool(*yes))),
        Value::Null => tests.lazy(slot, "null", || Ok(Kind::Null)),
    }
}

/// A text after what its modifiers do to it.
fn coded(item: &Item, parts: &[Part], slot: Slot, tests: &mut Tests) -> Result<Expr, String> {
    let Coding { utf16, base64, windash } = item.coding;
    let place = match item.how {
        How::Contains => Place::Anywhere,
        How::Starts => Place::Start,
        How::Ends => Place::End,
        _ => Place::Whole,
    };
    if windash {
        let variants = dashes(parts);
        let found: Result<Vec<_>, String> =
            variants.iter().map(|parts| text(parts, place, item.cased, slot, tests)).collect();
        return Ok(or(found?, tests));
    }
    if utf16.is_none() && base64.is_none() {
        return text(parts, place, item.cased, slot, tests);
    }
    let bytes = bytes(&plain_of(parts), utf16);
    let found = match base64 {
        Some(Base64::Offset) => {
            let texts = offsets(&bytes);
            let found: Result<Vec<_>, String> = texts
                .into_iter()
                .map(|found| text(&[Part::Text(found)], Place::Anywhere, item.cased, slot, tests))
                .collect();
            return Ok(or(found?, tests));
        }
        Some(Base64::Whole) => STANDARD.encode(&bytes),
        None => String::from_utf8_lossy(&bytes).into_owned(),
    };
    text(&[Part::Text(found)], place, item.cased, slot, tests)
}

fn text(parts: &[Part], place: Place, cased: bool, slot: Slot, tests: &mut Tests) -> Result<Expr, String> {
    let mut parts = parts.to_vec();
    let starts_open = matches!(place, Place::Anywhere | Place::End) || parts.first() == Some(&Part::Many);
    let ends_open = matches!(place, Place::Anywhere | Place::Start) || parts.last() == Some(&Part::Many);
    while parts.first() == Some(&Part::Many) {
        parts.remove(0);
    }
    while parts.last() == Some(&Part::Many) {
        parts.pop();
    }
    let place = match (starts_open, ends_open) {
        (false, false) => Place::Whole,
        (false, true) => Place::Start,
        (true, false) => Place::End,
        (true, true) => Place::Anywhere,
    };
    if parts.is_empty() {
        // `*` is any value, an empty text too.
        if place == Place::Whole {
            return tests.lazy(slot, "empty", || Ok(Kind::Empty));
        }
        return tests.lazy(slot, "exists", || Ok(Kind::Exists));
    }
    let folded: Vec<Part> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Part::Text(fold(text)),
            other => other.clone(),
        })
        .collect();
    if let ([Part::Text(folded)], false) = (folded.as_slice(), cased) {
        return Ok(tests.literal(slot, place, folded));
    }
    let open = |parts: Vec<Part>| {
        let before = starts_open.then_some(Part::Many);
        Glob::new(&before.into_iter().chain(parts).chain(ends_open.then_some(Part::Many)).collect::<Vec<_>>())
    };
    let mut all = Vec::new();
    for part in &folded {
        if let Part::Text(piece) = part {
            let place = if folded.len() == 1 { place } else { Place::Anywhere };
            all.push(tests.literal(slot, place, piece));
        }
    }
    let glob = if cased { open(parts) } else { open(folded) };
    all.push(tests.lazy(slot, &format!("glob {cased} {glob:?}"), || {
        Ok(if cased { Kind::Cased(glob.clone()) } else { Kind::Glob(glob.clone()) })
    })?);
    Ok(and(all, tests))
}

fn plain_of(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Many => "*",
            Part::One => "?",
        })
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(parts) => plain_of(parts),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => String::new(),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        other => plain(other).trim().parse().map_err(|_| format!("`{}` is not a number", plain(other))),
    }
}

fn cidr(text: &str) -> Result<IpNet, String> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(net);
    }
    text.parse::<std::net::IpAddr>().map(IpNet::from).map_err(|_| format!("`{text}` is not a network"))
}

fn regex(pattern: &str, ignore_case: bool, multiline: bool, dot_all: bool) -> Result<Kind, String> {
    if pattern.len() > REGEX_TEXT_MAX {
        return Err(format!("a regular expression is longer than {REGEX_TEXT_MAX} bytes"));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .multi_line(multiline)
        .dot_matches_new_line(dot_all)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_CACHE_MAX)
        .nest_limit(64)
        .build()
        .map(|regex| Kind::Regex(Box::new(regex)))
        .map_err(|error| {
            let said = error.to_string();
            format!("a regular expression cannot be used: {}", said.lines().last().unwrap_or_default())
        })
}

/// A dash or slash before a word's first letter, where a program takes either, in all the ways Windows takes.
fn dashes(parts: &[Part]) -> Vec<Vec<Part>> {
    let mut pieces: Vec<Option<Part>> = Vec::new();
    let mut count = 0;
    for part in parts {
        let Part::Text(text) = part else {
            pieces.push(Some(part.clone()));
            continue;
        };
        let mut plain = String::new();
        let mut before = ' ';
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let is_word = |char: char| char.is_alphanumeric() || char == '_';
            let is_option = matches!(char, '-' | '/')
                && !is_word(before)
                && chars.peek().is_some_and(|next| is_word(*next));
            if is_option {
                if !plain.is_empty() {
                    pieces.push(Some(Part::Text(std::mem::take(&mut plain))));
                }
                pieces.push(None);
                count += 1;
            } else {
                plain.push(char);
            }
            before = char;
        }
        if !plain.is_empty() {
            pieces.push(Some(Part::Text(plain)));
        }
    }
    let ways = if count <= DASHES_MAX { DASHES.len().pow(count as u32) } else { DASHES.len() };
    let one_way = count > DASHES_MAX;
    (0..ways)
        .map(|way| {
            let mut way = way;
            let mut joined: Vec<Part> = Vec::new();
            for piece in &pieces {
                let piece = match piece {
                    Some(piece) => piece.clone(),
                    None => {
                        let dash = DASHES[way % DASHES.len()];
                        if !one_way {
                            way /= DASHES.len();
                        }
                        Part::Text(dash.to_owned())
                    }
                };
                match (joined.last_mut(), piece) {
                    (Some(Part::Text(last)), Part::Text(more)) => last.push_str(&more),
                    (_, piece) => joined.push(piece),
                }
            }
            joined
        })
        .collect()
}

fn bytes(text: &str, utf16: Option<Utf16>) -> Vec<u8> {
    let units = text.encode_utf16();
    match utf16 {
        None => text.as_bytes().to_vec(),
        Some(Utf16::Little) => units.flat_map(u16::to_le_bytes).collect(),
        Some(Utf16::Big) => units.flat_map(u16::to_be_bytes).collect(),
        Some(Utf16::LittleWithMark) => {
            [0xff, 0xfe].into_iter().chain(units.flat_map(u16::to_le_bytes)).collect()
        }
    }
}

/// What stays the same of a text's base64, wherever in three bytes it begins: without the characters that its neighbours share.
fn offsets(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for offset in 0..3 {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(bytes);
        let encoded = STANDARD.encode(&padded);
        let start = [0, 2, 3][offset];
        let end = encoded.len() - [0, 3, 2][padded.len() % 3];
        if let Some(middle) = encoded.get(start..end).filter(|middle| !middle.is_empty()) {
            found.push(middle.to_owned());
        }
    }
    found
}
