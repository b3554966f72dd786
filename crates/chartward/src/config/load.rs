//! From a file to a configuration, or to everything that is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use super::meaning;
use super::problem::{ConfigErrors, Findings, Gravity, Problem};
use super::shape;
use super::types::Config;
use super::words::{Fault, Words};

/// A configuration is written by hand; a wrong path must not read a disk image into memory.
const BYTES_MAX: u64 = 1 << 20;

/// What the check of a file came to.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Unless something is an [`Gravity::Error`].
    pub(crate) config: Option<Config>,
    /// In the order of the file.
    pub(crate) problems: Vec<Problem>,
}

/// The file to read: the one that was given, else `chartward.toml` here, else the one of the machine.
pub(crate) fn find(given: Option<&Path>) -> Option<PathBuf> {
    if let Some(given) = given {
        return Some(given.to_path_buf());
    }
    let places = ["chartward.toml", "/etc/chartward/chartward.toml"];
    places.into_iter().map(PathBuf::from).find(|path| path.exists())
}

impl Config {
    /// Reads a file. What is not there on this machine, or is hardly meant, is no error here: see [`check`].
    pub(crate) fn load(path: &Path) -> Result<Config, ConfigErrors> {
        let errors = |problems| ConfigErrors { path: path.to_path_buf(), problems };
        let checked = check(path).map_err(|error| errors(vec![unreadable(&error)]))?;
        checked.config.ok_or_else(|| {
            let mut problems = checked.problems;
            problems.retain(|problem| problem.gravity == Gravity::Error);
            errors(problems)
        })
    }
}

/// Checks a file, and whether this machine is as it says. An error: it could not be read.
pub(crate) fn check(path: &Path) -> io::Result<Checked> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(check_bytes(&bytes))
}

pub(super) fn check_bytes(bytes: &[u8]) -> Checked {
    if bytes.len() as u64 > BYTES_MAX {
        return refused("", 0, too_large());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => check_text(text),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let text = String::from_utf8_lossy(good);
            refused(&text, text.len(), not_utf8())
        }
    }
}

fn check_text(text: &str) -> Checked {
    let (tree, faults) = DeTable::parse_recoverable(text);
    let mut found = Findings::new(text);
    if !faults.is_empty() {
        for fault in faults {
            found.add(Gravity::Error, fault.span().unwrap_or_default(), "", syntax(fault.message()));
        }
        return Checked { config: None, problems: found.sorted() };
    }
    shape::check(tree.get_ref(), &mut found);
    meaning::check(tree.get_ref(), &mut found);
    let config = match Config::deserialize(Deserializer::from(tree)) {
        Ok(config) => Some(config),
        Err(error) => {
            // What the table of fields let through; with another problem at hand this one would be its echo.
            if !found.has_error() {
                found.add(Gravity::Error, error.span().unwrap_or_default(), "", syntax(error.message()));
            }
            None
        }
    };
    if let Some(config) = &config {
        // The values took the tree with them.
        let (tree, _) = DeTable::parse_recoverable(text);
        meaning::wall::check(tree.get_ref(), &config.wall, &mut found);
    }
    let config = config.filter(|_| !found.has_error());
    Checked { config, problems: found.sorted() }
}

fn refused(text: &str, at: usize, fault: Fault) -> Checked {
    let mut found = Findings::new(text);
    found.add(Gravity::Error, at..at, "", fault);
    Checked { config: None, problems: found.sorted() }
}

fn unreadable(error: &io::Error) -> Problem {
    let what = Words::new(format!("cannot be read: {error}"), format!("読めません: {error}"));
    let remedy = Words::new("name a file that you may read", "読み取りできるファイルを指定してください");
    let (gravity, text, key) = (Gravity::Error, String::new(), String::new());
    Problem { gravity, line: 1, column: 1, text, key, what, remedy }
}

fn too_large() -> Fault {
    Fault::new(
        Words::new("the file is larger than 1 MiB", "ファイルが 1 MiB を超えています"),
        Words::new("name a configuration", "設定ファイルを指定してください"),
    )
}

fn not_utf8() -> Fault {
    Fault::new(
        Words::new("what follows is not UTF-8", "ここから先が UTF-8 ではありません"),
        Words::new(
            "save the file as UTF-8 (not Shift_JIS)",
            "文字コードを UTF-8 にして保存してください(Shift_JIS は使えません)",
        ),
    )
}

/// An error of the notation, in the parser's words, with what is meant by the commonest.
fn syntax(message: &str) -> Fault {
    let hints = [
        ("duplicate key", "keep one of the two", "同じ項目が2回あります。片方を消してください"),
        (
            "string values must be quoted",
            "put the text in double quotes",
            "文字列は二重引用符で囲んでください",
        ),
        ("unclosed array", "close the list with ]", "一覧を ] で閉じてください"),
        ("unclosed inline table", "close the table with }", "表を } で閉じてください"),
        (
            "invalid basic string",
            "close the text with \" on the same line",
            "文字列を同じ行の \" で閉じてください",
        ),
        ("key with no value", "write key = value", "「項目 = 値」の形で書いてください"),
        ("missing comma", "put a comma between the entries", "項目の間にコンマを入れてください"),
        ("recur", "nest less deeply", "入れ子を浅くしてください"),
    ];
    let hint = hints.iter().find(|(part, ..)| message.contains(part));
    let (en, ja) = hint.map_or(
        (
            "write key = value, text in double quotes; see `chartward config example`",
            "「項目 = 値」の形で、文字列は二重引用符で囲みます。`chartward config example` を参照してください",
        ),
        |(_, en, ja)| (*en, *ja),
    );
    let message: String = message.chars().take(200).collect();
    Fault::new(
        Words::new(
            format!("this is not TOML: {message}"),
            format!("TOML の書き方に誤りがあります({message})"),
        ),
        Words::new(en, ja),
    )
}
