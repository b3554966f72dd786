use std::fmt;
use std::path::PathBuf;

use super::super::reads::Coverage;

/// Something that is wrong with the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the id of the pack or file.
    pub what: String,
    /// Paths in snapshots that cannot be restored because of it, at most a thousand.
    pub paths: Vec<PathBuf>,
    /// How many there are in all.
    pub paths_total: u64,
    /// What to do.
    pub next_step: String,
}

impl Problem {
    /// One that costs nobody a path, as far as is known.
    pub(super) fn new(what: &str, next_step: &str) -> Problem {
        Problem { what: what.to_owned(), paths: Vec::new(), paths_total: 0, next_step: next_step.to_owned() }
    }
}

impl fmt::Display for Problem {
    /// What is wrong, the first few paths that it costs, and what to do, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if self.paths_total > 0 {
            let some: Vec<String> =
                self.paths.iter().take(10).map(|path| path.display().to_string()).collect();
            write!(f, "; it costs {} paths: {}", self.paths_total, some.join(", "))?;
            if self.paths_total > some.len() as u64 {
                f.write_str(" …")?;
            }
        }
        write!(f, "; next: {}", self.next_step)
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// Those of them that were read whole.
    pub packs_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// How much has been read lately, this time included, if a record is kept.
    pub coverage: Option<Coverage>,
    /// Blobs that the index lists.
    pub blobs: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// What is wrong. Empty in a whole repository.
    pub problems: Vec<Problem>,
    /// What is unusual and harmless.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}
