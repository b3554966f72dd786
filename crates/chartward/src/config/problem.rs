//! What is wrong with a configuration: where, what, and what to write instead.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use schema::Lang;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::words::{Fault, Words};
use crate::output::printable;

/// Problems that are told one by one; a file with more of them is another file.
const PROBLEMS_MAX: usize = 200;
/// Characters of a line that are shown.
const SHOWN_MAX: usize = 160;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Gravity {
    /// The hub does not start with this.
    Error,
    /// The file is right and this machine is not as it says: the hub starts, and raises an alarm.
    Unfit,
    /// It does what it says, and hardly what was meant.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) gravity: Gravity,
    /// Counted from 1, the column in characters.
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The line as it stands there, with secrets struck out.
    pub(crate) text: String,
    /// Which key, such as `protect[0].paths`; empty for the file itself.
    pub(crate) key: String,
    pub(crate) what: Words,
    pub(crate) remedy: Words,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut line = to.serialize_struct("problem", 10)?;
        line.serialize_field("type", "problem")?;
        line.serialize_field("gravity", &self.gravity)?;
        line.serialize_field("line", &self.line)?;
        line.serialize_field("column", &self.column)?;
        line.serialize_field("text", &self.text)?;
        line.serialize_field("key", &self.key)?;
        line.serialize_field("what", &self.what.en)?;
        line.serialize_field("what_ja", &self.what.ja)?;
        line.serialize_field("remedy", &self.remedy.en)?;
        line.serialize_field("remedy_ja", &self.remedy.ja)?;
        line.end()
    }
}

impl Problem {
    /// For people: place, what, the line with the place under it, the remedy.
    pub(crate) fn render(&self, file: &Path, lang: Lang) -> String {
        let gravity = match self.gravity {
            Gravity::Error => lang.pick("error", "誤り"),
            Gravity::Unfit => lang.pick("not ready", "未準備"),
            Gravity::Warning => lang.pick("warning", "注意"),
        };
        let file = printable(&file.display().to_string());
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", printable(&self.key)) };
        let what = printable(self.what.pick(lang));
        let mut text = format!("{file}:{}:{}: {gravity}: {key}{what}", self.line, self.column);
        if !self.text.is_empty() {
            let _ = write!(text, "\n    {}", printable(&self.text));
        }
        let _ = write!(text, "\n    → {}", printable(self.remedy.pick(lang)));
        text
    }
}

/// Why a configuration cannot be used: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigErrors {
    pub(crate) path: PathBuf,
    pub(crate) problems: Vec<Problem>,
}

impl std::error::Error for ConfigErrors {}

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        let Some(first) = self.problems.first() else { return write!(out, "{path} cannot be used") };
        let Problem { line, column, key, what, .. } = first;
        write!(out, "{path}:{line}:{column}: {key}: {}", what.en)?;
        match self.problems.len() {
            1 => Ok(()),
            many => write!(out, " (and {} more: see `chartward config check`)", many - 1),
        }
    }
}

/// Collects problems of one text.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Findings { text, problems: Vec::new() }
    }

    pub(super) fn add(&mut self, gravity: Gravity, span: Range<usize>, key: &str, fault: Fault) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let (line, column, text) = place(self.text, span.start);
        let Fault { what, remedy } = fault;
        let problem = Problem { gravity, line, column, text, key: key.to_owned(), what, remedy };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Whether anything keeps the hub from starting.
    pub(super) fn has_error(&self) -> bool {
        self.problems.iter().any(|problem| problem.gravity == Gravity::Error)
    }

    /// In the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column, problem.gravity));
        self.problems
    }
}

/// Line and column of a byte, and the line itself.
fn place(text: &str, at: usize) -> (usize, usize, String) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = text.get(..at).unwrap_or_default();
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = text.get(begin..at).unwrap_or_default().chars().count() + 1;
    let whole = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    (line, column, shown(whole))
}

/// A line without what must not be repeated: everything behind a key that looks like a secret.
fn shown(line: &str) -> String {
    let mut kept = line.trim_end();
    let mut struck = false;
    for (at, _) in line.match_indices(['=', ':']) {
        let before = line.get(..at).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
        let after = line.get(at + 1..).unwrap_or_default().trim_start();
        let word_begin = before.rfind(|char: char| !is_key(char)).map_or(0, |at| at + 1);
        let word = before.get(word_begin..).unwrap_or_default();
        if looks_secret(word) && !after.starts_with('{') {
            kept = line.get(..=at).unwrap_or_default();
            struck = true;
            break;
        }
    }
    if let Some((scheme, rest)) = kept.split_once("://")
        && rest.split(['/', '"', '\'']).next().is_some_and(|authority| authority.contains('@'))
    {
        return format!("{scheme}://…");
    }
    let mut text: String = kept.chars().take(SHOWN_MAX).collect();
    if struck {
        text.push_str(" …");
    }
    text
}

fn is_key(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
}

/// Whether what stands behind this key would be a secret.
pub(super) fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // `{ secret = "name" }` and `{ file = … }` are where a secret is, not what it is.
    key != "secret"
        && ["pass", "secret", "token", "api_key", "api-key", "apikey", "credential", "private_key"]
            .iter()
            .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_line_never_repeats_a_secret() {
        for (line, expected) in [
            (r#"dir = "/mnt/vault""#, r#"dir = "/mnt/vault""#),
            (r#"passphrase = "hunter2""#, "passphrase = …"),
            (r#"smtp = { server = "m", password = "hunter2" }"#, r#"smtp = { server = "m", password = …"#),
            (r#"  "api_key"= 'hunter2'"#, r#"  "api_key"= …"#),
            (r#"passphrase = { secret = "vault" }"#, r#"passphrase = { secret = "vault" }"#),
            (r#"exec = ["/x", "--token=hunter2"]"#, r#"exec = ["/x", "--token= …"#),
            (r#"on = "http://lamp:hunter2@192.0.2.1/on""#, r#"on = "http://…"#),
            ("password = hunter2", "password = …"),
        ] {
            let shown = shown(line);
            assert_eq!(shown, expected, "{line}");
            assert!(!shown.contains("hunter2"));
        }
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "a = 1\n病院 = \"x\"\r\nb";
        assert_eq!(place(text, text.find("\"x").unwrap()), (2, 6, "病院 = \"x\"".to_owned()));
        assert_eq!(place(text, 10_000), (3, 2, "b".to_owned()));
    }
}
