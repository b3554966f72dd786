//! Mails out of files, folders and mboxes, one after the other, each with a bound on its length.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Folders in folders.
const DEPTH_MAX: usize = 64;

/// A mail as it came.
pub(super) struct Raw {
    /// The file, with `:N` behind it for the Nth mail of an mbox.
    pub(super) path: String,
    /// Its bytes, one more than `bytes_max` where it is longer than that.
    pub(super) bytes: Vec<u8>,
}

/// Where mails go; says whether more are wanted.
pub(super) trait Sink {
    fn mail(&mut self, raw: Raw) -> bool;
    /// Something could not be read.
    fn failed(&mut self, path: &Path, error: &io::Error);
}

/// Gives all mails below a path to the sink; `false` once it wants no more.
pub(super) fn read(path: &Path, bytes_max: usize, sink: &mut impl Sink) -> bool {
    if path == Path::new("-") {
        return stream(&mut BufReader::new(io::stdin().lock()), path, bytes_max, sink);
    }
    walk(path, bytes_max, DEPTH_MAX, sink)
}

fn walk(path: &Path, bytes_max: usize, depth: usize, sink: &mut impl Sink) -> bool {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() && depth > 0 => folder(path, bytes_max, depth, sink),
        Ok(meta) if meta.is_file() => match File::open(path) {
            Ok(file) => stream(&mut BufReader::with_capacity(64 << 10, file), path, bytes_max, sink),
            Err(error) => {
                sink.failed(path, &error);
                true
            }
        },
        // Pipes and devices below a folder are no mails, and to read them could hang.
        Ok(_) => true,
        Err(error) => {
            sink.failed(path, &error);
            true
        }
    }
}

/// In the order of names. What is being delivered into a Maildir (`tmp`) and what begins with a dot and is no folder is left out.
fn folder(path: &Path, bytes_max: usize, depth: usize, sink: &mut impl Sink) -> bool {
    let entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            sink.failed(path, &error);
            return true;
        }
    };
    entries.sort();
    let is_maildir = ["cur", "new", "tmp"].iter().all(|part| path.join(part).is_dir());
    entries.into_iter().all(|entry| {
        let is_hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link could lead in a circle, or out of the folder that was named.
        let is_link = entry.is_symlink();
        let is_half = is_maildir && (entry.ends_with("tmp") || !entry.is_dir());
        let skip = is_link || is_half || (is_hidden && !entry.is_dir());
        skip || walk(&entry, bytes_max, depth - 1, sink)
    })
}

/// One mail, or the mails of an mbox: that begins with a `From ` line.
fn stream(input: &mut impl BufRead, path: &Path, bytes_max: usize, sink: &mut impl Sink) -> bool {
    let shown = path.to_string_lossy().into_owned();
    // A single mail may carry the line that an mbox begins with: collections of examples do.
    let is_one = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("eml"));
    let outcome = match input.fill_buf() {
        Ok(start) if start.starts_with(b"From ") && !is_one => mbox(input, &shown, bytes_max, sink),
        Ok(_) => whole(input, &shown, bytes_max, sink),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        sink.failed(path, &error);
        true
    })
}

fn whole(input: &mut impl BufRead, path: &str, bytes_max: usize, sink: &mut impl Sink) -> io::Result<bool> {
    let mut bytes = Vec::new();
    input.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(sink.mail(Raw { path: path.to_owned(), bytes }))
}

/// A mail begins at a `From ` line after an empty one; `>From ` within a mail is one that was quoted (mboxrd).
fn mbox(input: &mut impl BufRead, path: &str, bytes_max: usize, sink: &mut impl Sink) -> io::Result<bool> {
    let mut number = 0_u64;
    let mut bytes: Vec<u8> = Vec::new();
    let mut line = Vec::new();
    let (mut after_empty, mut at_start) = (true, true);
    loop {
        line.clear();
        // A line longer than this is taken in pieces.
        let count = input.by_ref().take(1 << 20).read_until(b'\n', &mut line)?;
        if count == 0 || (at_start && after_empty && (number == 0 || is_separator(&line))) {
            if number > 0
                && !sink.mail(Raw { path: format!("{path}:{number}"), bytes: std::mem::take(&mut bytes) })
            {
                return Ok(false);
            }
            if count == 0 {
                return Ok(true);
            }
            number += 1;
        } else {
            let quotes = line.iter().take_while(|byte| **byte == b'>').count();
            let is_quoted = at_start && quotes > 0 && line[quotes..].starts_with(b"From ");
            let rest = bytes_max.saturating_add(1).saturating_sub(bytes.len());
            let piece = &line[usize::from(is_quoted)..];
            bytes.extend_from_slice(&piece[..piece.len().min(rest)]);
        }
        after_empty = at_start && matches!(line.as_slice(), b"\n" | b"\r\n");
        at_start = line.ends_with(b"\n");
    }
}

/// `From a@b.example Sat Jan  3 01:05:34 1996`: without a time it is the beginning of somebody's sentence.
fn is_separator(line: &[u8]) -> bool {
    let is_time = |window: &[u8]| {
        window[2] == b':'
            && window[3].is_ascii_digit()
            && window[4].is_ascii_digit()
            && window[1].is_ascii_digit()
    };
    line.strip_prefix(b"From ").is_some_and(|rest| rest[..rest.len().min(256)].windows(5).any(is_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct All(Vec<(String, String)>);

    impl Sink for All {
        fn mail(&mut self, raw: Raw) -> bool {
            self.0.push((raw.path, String::from_utf8(raw.bytes).unwrap()));
            true
        }

        fn failed(&mut self, path: &Path, error: &io::Error) {
            panic!("{}: {error}", path.display());
        }
    }

    fn check(text: &str, bytes_max: usize, expected: &[(&str, &str)]) {
        let mut all = All::default();
        assert!(stream(&mut BufReader::new(text.as_bytes()), Path::new("x"), bytes_max, &mut all));
        let found: Vec<_> = all.0.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn an_mbox_is_taken_apart_where_mails_begin() {
        check(
            "From a@b Mon 10:00\nA: 1\n\nFrom here on\n>From there\n\nFrom c@d Tue 1:05:34\nB: 2\n\nx\n",
            99,
            &[("x:1", "A: 1\n\nFrom here on\nFrom there\n\n"), ("x:2", "B: 2\n\nx\n")],
        );
        check("From a 10:00\nabcdef\n\nFrom b 11:00\nx\n", 3, &[("x:1", "abcd"), ("x:2", "x\n")]);
    }

    #[test]
    fn a_single_mail_is_cut_one_byte_past_the_bound() {
        check("A: 1\n\nFrom x\n", 99, &[("x", "A: 1\n\nFrom x\n")]);
        check("abcdef", 3, &[("x", "abcd")]);
        check("", 3, &[("x", "")]);
    }
}
