//! Patterns of paths as restic reads them.
//!
//! `*`, `?`, `[a-z]` and `\` as in a shell, none across a `/`; `**` stands for any number of folders. A pattern that begins with `/` is
//! held against the whole path, any other against every part of it; either matches also what lies below what it matches. In a list, a
//! later pattern that begins with `!` takes back what earlier ones matched.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// One pattern.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
    takes_back: bool,
    was_of_use: AtomicBool,
}

#[derive(Debug, PartialEq)]
enum Part {
    /// `**`
    Folders,
    /// No wildcard in it.
    Plain(Vec<u8>),
    Wild(Vec<Token>),
}

#[derive(Debug, PartialEq)]
enum Token {
    Byte(u8),
    One,
    Many,
    Class { takes: bool, ranges: Vec<(u32, u32)> },
}

impl Pattern {
    /// Reads a pattern; [`Error::Pattern`] if it is not one.
    pub fn parse(text: &str) -> Result<Pattern, Error> {
        let bad = |reason| Error::Pattern { pattern: text.to_owned(), reason };
        let (takes_back, body) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        if body.is_empty() {
            return Err(bad("it is empty"));
        }
        // A pattern that is not anchored may begin anywhere.
        let mut parts = if body.starts_with('/') { Vec::new() } else { vec![Part::Folders] };
        for component in Path::new(body).components() {
            match component {
                Component::Normal(part) if part == "**" => parts.push(Part::Folders),
                Component::Normal(part) => parts.push(Part::parse(part.as_bytes()).map_err(bad)?),
                Component::ParentDir => return Err(bad("it contains `..`")),
                _ => {}
            }
        }
        Ok(Pattern { text: text.to_owned(), parts, takes_back, was_of_use: AtomicBool::new(false) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether anything was matched with it so far.
    pub fn was_of_use(&self) -> bool {
        self.was_of_use.load(Ordering::Relaxed)
    }

    /// Whether it matches an absolute path, or a folder on the way to it. A `!` in front is not looked at.
    pub fn matches(&self, path: &Path) -> bool {
        let names: Vec<&[u8]> = names(path).collect();
        self.matches_names(&names)
    }

    /// Linear but for the last `**`: what follows a match may be anything, so the first place for what stands between two `**` is as
    /// good as any.
    fn matches_names(&self, names: &[&[u8]]) -> bool {
        let (mut part, mut name) = (0, 0);
        let mut again = None;
        while let Some(wanted) = self.parts.get(part) {
            if *wanted == Part::Folders {
                again = Some((part, name));
                part += 1;
            } else if names.get(name).is_some_and(|name| wanted.matches(name)) {
                part += 1;
                name += 1;
            } else {
                match again {
                    Some((folders, from)) if from < names.len() => {
                        again = Some((folders, from + 1));
                        (part, name) = (folders + 1, from + 1);
                    }
                    _ => return false,
                }
            }
        }
        self.was_of_use.store(true, Ordering::Relaxed);
        true
    }
}

fn names(path: &Path) -> impl Iterator<Item = &[u8]> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    })
}

/// Whether a list of patterns matches a path, the last word being that of the last pattern that matches.
pub(crate) fn any_matches(patterns: &[Pattern], path: &Path) -> bool {
    if patterns.is_empty() {
        return false;
    }
    let names: Vec<&[u8]> = names(path).collect();
    let mut matched = false;
    for pattern in patterns {
        // One that can change nothing is not asked.
        if matched == pattern.takes_back && pattern.matches_names(&names) {
            matched = !pattern.takes_back;
        }
    }
    matched
}

/// The paths that an absolute or relative pattern names on this machine, ordered; the pattern itself where it has no wildcard.
pub fn expand(pattern: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut found = vec![std::path::PathBuf::new()];
    for component in pattern.components() {
        let Component::Normal(name) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let bad = |reason| Error::Pattern { pattern: pattern.to_string_lossy().into_owned(), reason };
        match Part::parse(name.as_bytes()).map_err(bad)? {
            Part::Plain(name) => found.iter_mut().for_each(|path| path.push(OsStr::from_bytes(&name))),
            wild => found = found.iter().flat_map(|folder| entries(folder, &wild)).collect(),
        }
    }
    found.sort();
    Ok(found)
}

fn entries(folder: &Path, wild: &Part) -> Vec<std::path::PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(listed).into_iter().flatten().flatten();
    entries
        .filter(|entry| wild.matches(entry.file_name().as_bytes()))
        .map(|entry| folder.join(entry.file_name()))
        .collect()
}

impl Part {
    fn parse(text: &[u8]) -> Result<Part, &'static str> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            tokens.push(match byte {
                b'*' => Token::Many,
                b'?' => Token::One,
                b'\\' => {
                    let (&escaped, after) = rest.split_first().ok_or("it ends with a `\\`")?;
                    rest = after;
                    Token::Byte(escaped)
                }
                b'[' => class(&mut rest)?,
                byte => Token::Byte(byte),
            });
        }
        let plain: Option<Vec<u8>> = tokens
            .iter()
            .map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None })
            .collect();
        Ok(plain.map_or(Part::Wild(tokens), Part::Plain))
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Part::Folders => true,
            Part::Plain(plain) => plain == name,
            Part::Wild(tokens) => wild_matches(tokens, name),
        }
    }
}

fn class(rest: &mut &[u8]) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` is not closed";
    let takes = !rest.starts_with(b"^");
    if !takes {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    while !rest.starts_with(b"]") || ranges.is_empty() {
        let low = class_char(rest).ok_or(OPEN)?;
        let high = if rest.starts_with(b"-") {
            *rest = &rest[1..];
            class_char(rest).ok_or(OPEN)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    *rest = &rest[1..];
    Ok(Token::Class { takes, ranges })
}

fn class_char(rest: &mut &[u8]) -> Option<u32> {
    if matches!(rest.first()?, b'-' | b']') {
        return None;
    }
    if rest.starts_with(b"\\") {
        *rest = &rest[1..];
    }
    let (char, length) = first_char(rest)?;
    *rest = &rest[length..];
    Some(char)
}

/// The first character of a name, or the first byte where that is none, and its length.
fn first_char(name: &[u8]) -> Option<(u32, usize)> {
    let chunk = name.get(..name.len().min(4))?.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(char) => Some((u32::from(char), char.len_utf8())),
        None => Some((u32::from(char::REPLACEMENT_CHARACTER), 1)),
    }
}

fn wild_matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut again = None;
    loop {
        let step = match tokens.get(token) {
            Some(Token::Many) => {
                again = Some((token, at));
                token += 1;
                continue;
            }
            Some(wanted) => one_matches(wanted, &name[at..]),
            None if at == name.len() => return true,
            None => None,
        };
        if let Some(length) = step {
            token += 1;
            at += length;
            continue;
        }
        match again {
            Some((many, from)) if from < name.len() => {
                again = Some((many, from + 1));
                (token, at) = (many + 1, from + 1);
            }
            _ => return false,
        }
    }
}

/// How many bytes at the beginning of `name` a token matches.
fn one_matches(token: &Token, name: &[u8]) -> Option<usize> {
    match token {
        Token::Byte(byte) => (name.first() == Some(byte)).then_some(1),
        Token::One => first_char(name).map(|(_, length)| length),
        Token::Class { takes, ranges } => {
            let (char, length) = first_char(name)?;
            let is_in = ranges.iter().any(|(low, high)| (low..=high).contains(&&char));
            (is_in == *takes).then_some(length)
        }
        Token::Many => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_restic() {
        // Each line was tried with `restic find` or `restic backup --exclude`.
        for (pattern, path, expected) in [
            ("*.tmp", "/srv/a.tmp", true),
            ("*.tmp", "/srv/a.tmp/below", true),
            ("*.tmp", "/srv/a.tmpx", false),
            ("a/b", "/x/a/b/c", true),
            ("a/b", "/x/a/c/b", false),
            ("/a/b", "/a/b", true),
            ("/a/b", "/x/a/b", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/**/c", "/a/b/b/c", true),
            ("/a/**/c", "/a/c", true),
            ("/a/**", "/a", true),
            ("a/**/c/**/e", "/x/a/1/c/2/3/e/f", true),
            ("a/**/c/**/e", "/x/a/1/c/2/3/f", false),
            ("[a-c]?.txt", "/b患.txt", true),
            ("[^a-c]?.txt", "/b患.txt", false),
            ("\\*", "/*", true),
            ("\\*", "/a", false),
            ("a*b*c", "/aXbXbXc", true),
            ("a*b*c", "/aXbXbX", false),
            ("dir/", "/x/dir/y", true),
            ("カルテ*", "/srv/カルテ1", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(Path::new(path)), expected, "{pattern} {path}");
            assert_eq!(parsed.was_of_use(), expected);
        }
        let bytes = Path::new(OsStr::from_bytes(b"/x\xffy"));
        assert!(Pattern::parse("x?y").unwrap().matches(bytes));
    }

    #[test]
    fn the_last_pattern_that_matches_has_the_last_word() {
        let list =
            |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect::<Vec<_>>();
        for (patterns, path, expected) in [
            (&["*.log", "!keep.log"][..], "/a/keep.log", false),
            (&["*.log", "!keep.log"], "/a/other.log", true),
            (&["!keep.log", "*.log"], "/a/keep.log", true),
            (&["/a/*", "!/a/b"], "/a/b", false),
            (&["/a/*", "!/a/b", "/a/b/c"], "/a/b/c", true),
            (&[], "/a", false),
        ] {
            assert_eq!(any_matches(&list(patterns), Path::new(path)), expected, "{patterns:?} {path}");
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        for text in ["", "!", "[", "[]", "[a", "[a-", "a\\", "../a", "[-a]"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_names_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a1/x", "a2/x", "b/x"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let found = expand(&dir.path().join("a*/x")).unwrap();
        assert_eq!(found, [dir.path().join("a1/x"), dir.path().join("a2/x")]);
        assert_eq!(expand(Path::new("/no/such")).unwrap(), [Path::new("/no/such")]);
    }
}
