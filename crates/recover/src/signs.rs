//! Signs that a store was encrypted before it was captured: in names, and in records that turned into noise.
//!
//! A backup of encrypted records restores perfectly and is worth nothing, so the drill looks for this in what it
//! restored, and the capture in what it reads.

use std::collections::BTreeMap;
use std::path::Path;

use decode::ssmix2::RecordName;
use schema::{Shortfall, ShortfallKind};

/// From this many records on, noise is no accident of single files.
const NOISY_RECORDS_MIN: u64 = 3;
/// Longest suffix that counts as appended: Phobos adds an id and a mail address.
const SUFFIX_BYTES_MAX: usize = 100;
/// How many paths are named as examples.
const EXAMPLES_MAX: usize = 5;

/// Suffixes of GandCrab 1–4 and Phobos, lower case (MITRE ATT&CK S0365 and public reports).
const FAMILY_SUFFIXES: [&str; 15] = [
    "gdcb", "crab", "krab", "phobos", "phoenix", "actin", "mamba", "banta", "acute", "isos", "eking",
    "elbie", "faust", "8base", "lockbit",
];

/// Suffixes added to signs found so far; counts only, and a few examples.
#[derive(Debug, Default)]
pub struct Signs {
    renamed: BTreeMap<String, u64>,
    family_renamed: u64,
    notes: BTreeMap<String, u64>,
    noisy: u64,
    examples: Vec<String>,
}

impl Signs {
    /// Looks at the name of one file.
    pub fn name(&mut self, path: &Path) {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return };
        if is_note(&name) {
            *self.notes.entry(name.into_owned()).or_default() += 1;
        } else if let Some((stem, suffix)) = appended_suffix(&name) {
            let family = is_family(stem, suffix);
            if !family && RecordName::parse(stem.as_bytes()).is_none() {
                return;
            }
            self.family_renamed += u64::from(family);
            *self.renamed.entry(suffix.to_owned()).or_default() += 1;
            self.example(path);
        }
    }

    /// Counts one record whose content is noise.
    pub fn noise(&mut self, path: &Path) {
        self.noisy += 1;
        self.example(path);
    }

    /// What the signs come to; empty when they prove nothing.
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        let renamed: u64 = self.renamed.values().sum();
        let mut found = Vec::new();
        if self.noisy >= NOISY_RECORDS_MIN {
            found.push(self.shortfall("records that are noise", format!("{} records", self.noisy)));
        }
        if renamed >= NOISY_RECORDS_MIN || self.family_renamed > 0 {
            let suffixes: Vec<&str> = self.renamed.keys().map(String::as_str).collect();
            let detail = format!("{renamed} files with the suffix {}", suffixes.join(", "));
            found.push(self.shortfall("files with a suffix appended", detail));
        }
        let notes: u64 = self.notes.values().sum();
        if notes > 1 || (notes == 1 && renamed + self.noisy > 0) {
            let names: Vec<&str> = self.notes.keys().map(String::as_str).collect();
            found.push(self.shortfall("ransom notes", format!("{notes} files named {}", names.join(", "))));
        }
        found
    }

    fn example(&mut self, path: &Path) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(path.to_string_lossy().into_owned());
        }
    }

    fn shortfall(&self, what: &str, detail: String) -> Shortfall {
        let detail = if self.examples.is_empty() {
            detail
        } else {
            format!("{detail}, such as {}", self.examples.join(", "))
        };
        Shortfall { kind: ShortfallKind::Encrypted, what: what.to_owned(), detail }
    }
}

fn appended_suffix(name: &str) -> Option<(&str, &str)> {
    let (stem, suffix) = name.rsplit_once('.')?;
    (!stem.is_empty() && !suffix.is_empty() && suffix.len() <= SUFFIX_BYTES_MAX).then_some((stem, suffix))
}

/// A family's suffix behind a name that was whole before: `a.pdf.KRAB`, a record's name with `.KRAB`,
/// or Phobos' `a.pdf.id[1A2B3C4D-2803].[mail].eking`.
fn is_family(stem: &str, suffix: &str) -> bool {
    let known = FAMILY_SUFFIXES.iter().any(|family| suffix.eq_ignore_ascii_case(family));
    known && (stem.contains('.') || RecordName::parse(stem.as_bytes()).is_some())
}

/// GandCrab's `KRAB-DECRYPT.txt` and its kin, Phobos' `info.hta`, LockBit's `Restore-My-Files.txt`.
fn is_note(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((stem, suffix)) = name.rsplit_once('.') else { return false };
    let readable = matches!(suffix, "txt" | "html" | "htm" | "hta");
    readable
        && (stem.ends_with("-decrypt")
            || stem.contains("decrypt_my_files")
            || stem.contains("how_to_decrypt")
            || stem.contains("how-to-decrypt")
            || stem.contains("restore-my-files")
            || stem.contains("recover-your-files")
            || (stem == "info" && suffix == "hta"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "0000001_20180101_OML-11_000000000000001_20180101090000000_01_1";

    fn check(names: &[&str], noisy: usize, expected: usize) {
        let mut signs = Signs::default();
        for name in names {
            signs.name(&Path::new("/store").join(name));
        }
        for _ in 0..noisy {
            signs.noise(Path::new("/store/x"));
        }
        assert_eq!(
            signs.shortfalls().len(),
            expected,
            "{names:?} and {noisy} noisy: {:?}",
            signs.shortfalls()
        );
    }

    #[test]
    fn gandcrab_in_uda_leaves_suffix_and_notes() {
        check(&[&format!("{RECORD}.KRAB"), "KRAB-DECRYPT.txt"], 0, 2);
    }

    #[test]
    fn phobos_leaves_its_suffix_behind_an_id() {
        check(&["report.docx.id[1A2B3C4D-2803].[nobody@example.invalid].eking"], 0, 1);
    }

    #[test]
    fn an_unknown_suffix_on_several_records_is_a_sign() {
        let names: Vec<String> = ["a", "b", "c"].map(|_| format!("{RECORD}.qwxyz")).to_vec();
        check(&names.iter().map(String::as_str).collect::<Vec<_>>(), 0, 1);
    }

    #[test]
    fn what_people_do_is_no_sign() {
        check(&[RECORD, "archive.tar.gz", "notes.txt", "a.docx.bak", "info.txt", "readme.html"], 2, 0);
        check(&[&format!("{RECORD}.bak")], 0, 0);
    }

    #[test]
    fn noise_in_several_records_is_a_sign() {
        check(&[RECORD], 3, 1);
    }
}
