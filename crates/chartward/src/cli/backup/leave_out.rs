//! `--exclude` and its relatives.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use recover::vault::{Filter, Marker, Pattern};

/// Longest list of patterns that is read.
const LIST_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct LeaveOutArgs {
    /// Leave this out: a path (`/srv/tmp`, `./tmp`), or a pattern of names as restic reads it (`*.tmp`, `a/**/b`, `!keep.tmp`)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<PathBuf>,
    /// Leave out what stands in this file, one a line; `#` begins a comment, `$NAME` is a variable
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Leave out what folders hold in which there is such a file, but for the file
    #[arg(long, value_name = "NAME[:BEGINNING]")]
    exclude_if_present: Vec<String>,
    /// Leave out what folders hold that are marked as caches (CACHEDIR.TAG)
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out files that are larger (a number, with k, M, G or T if need be)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    exclude_larger_than: Option<u64>,
    /// Leave out what other file systems hold that are mounted below
    #[arg(short = 'x', long)]
    one_file_system: bool,
}

/// What is left out: paths as they were named, and rules.
pub(super) struct LeaveOut {
    pub(super) paths: Vec<PathBuf>,
    pub(super) filter: Filter,
}

impl LeaveOutArgs {
    pub(super) fn read(self) -> anyhow::Result<LeaveOut> {
        let mut named = self.exclude;
        for file in &self.exclude_file {
            named.extend(
                read_list(file)?.iter().map(|line| expand_variables(line)).collect::<Result<Vec<_>, _>>()?,
            );
        }
        let (paths, patterns): (Vec<PathBuf>, Vec<PathBuf>) =
            named.into_iter().partition(|named| is_path(named));
        let pattern = |text: &PathBuf| -> anyhow::Result<Pattern> {
            Ok(Pattern::parse(text.to_str().with_context(|| format!("{} is not UTF-8", text.display()))?)?)
        };
        let mut if_present =
            self.exclude_if_present.iter().map(|text| Marker::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if self.exclude_caches {
            if_present.push(Marker::cache());
        }
        let filter = Filter {
            patterns: patterns.iter().map(pattern).collect::<Result<_, _>>()?,
            if_present,
            larger_than: self.exclude_larger_than,
            one_file_system: self.one_file_system,
        };
        Ok(LeaveOut { paths, filter })
    }
}

/// Whether it names one path rather than a pattern: from the root or from here, and without a wildcard.
fn is_path(named: &Path) -> bool {
    let text = named.to_string_lossy();
    let mut parts = named.components();
    let is_from_here = matches!(parts.next(), Some(Component::CurDir | Component::ParentDir))
        || parts.any(|part| part == Component::ParentDir);
    (named.is_absolute() || is_from_here) && !text.contains(['*', '?', '[', '\\'])
}

/// The lines of a list that say something; `-` is the standard input.
pub(super) fn read_list(file: &Path) -> anyhow::Result<Vec<String>> {
    let text =
        String::from_utf8(read_whole(file)?).with_context(|| format!("{} is not UTF-8", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

pub(super) fn read_whole(file: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let opened: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?)
    };
    let mut bytes = Vec::new();
    opened
        .take(LIST_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.len() as u64 > LIST_MAX {
        bail!("{} is larger than {} MiB", file.display(), LIST_MAX >> 20);
    }
    Ok(bytes)
}

/// `$NAME` and `${NAME}`; `$$` is a dollar. A variable that is not set is an error: `$DATA/*` must not become `/*`.
fn expand_variables(line: &str) -> anyhow::Result<PathBuf> {
    let mut expanded = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(
                after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len()),
            ),
        };
        expanded.push_str(
            &std::env::var(name).with_context(|| format!("{line}: the variable {name:?} is not set"))?,
        );
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded.into())
}

fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text} is not a size such as 500M");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(bad()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_patterns_are_told_apart() {
        for (named, expected) in [
            ("/srv/tmp", true),
            ("./tmp", true),
            (".", true),
            ("../tmp", true),
            ("a/../b", true),
            ("tmp", false),
            ("a/b", false),
            ("/srv/*.tmp", false),
            ("!keep", false),
        ] {
            assert_eq!(is_path(Path::new(named)), expected, "{named}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10k", Some(10240)),
            ("3G", Some(3 << 30)),
            ("1b", Some(1)),
            ("", None),
            ("k", None),
            ("1x", None),
            ("99999999999T", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(expand_variables("${PATH}/x").unwrap(), PathBuf::from(format!("{path}/x")));
        assert_eq!(expand_variables("a$$b").unwrap(), PathBuf::from("a$b"));
        assert!(expand_variables("$CHARTWARD_NO_SUCH_VARIABLE/*").is_err());
    }
}
