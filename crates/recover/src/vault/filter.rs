//! What a backup leaves out by rules, as restic's options of the same names do.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::glob::{Pattern, any_matches};
use crate::Error;

/// Longest beginning of a marker that is compared.
const MAX_HEADER: usize = 4096;

/// Rules for what is left out of a backup.
#[derive(Debug, Default)]
pub struct Filter {
    /// Paths that these match; a later one with `!` takes back, though nothing below a folder that is left out.
    pub patterns: Vec<Pattern>,
    /// Folders with one of these in them keep only it.
    pub if_present: Vec<Marker>,
    /// Regular files that are larger than so many bytes.
    pub larger_than: Option<u64>,
    /// Whether folders on which another file system is mounted are kept empty, and files of other file systems left out.
    pub one_file_system: bool,
}

/// A file that says that its folder need not be backed up, such as `CACHEDIR.TAG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    name: Vec<u8>,
    /// What it begins with.
    header: Vec<u8>,
}

impl Marker {
    /// From `NAME` or `NAME:BEGINNING`.
    pub fn parse(text: &str) -> Result<Marker, Error> {
        let (name, header) = text.split_once(':').unwrap_or((text, ""));
        let bad = |reason| Err(Error::Pattern { pattern: text.to_owned(), reason });
        if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
            return bad("it does not begin with the name of a file");
        }
        if header.len() > MAX_HEADER {
            return bad("what the file should begin with is too long");
        }
        Ok(Marker { name: name.into(), header: header.into() })
    }

    /// The marker of folders whose content programs can make again (bford.info/cachedir).
    pub fn cache() -> Marker {
        let header = b"Signature: 8a477f597d28d172789f06886806bc55";
        Marker { name: b"CACHEDIR.TAG".to_vec(), header: header.to_vec() }
    }

    fn is(&self, open: &dyn Fn(&[u8]) -> io::Result<File>) -> bool {
        if self.header.is_empty() {
            return true;
        }
        let mut beginning = Vec::with_capacity(self.header.len());
        // One that cannot be read leaves nothing out.
        let read =
            open(&self.name).and_then(|file| file.take(self.header.len() as u64).read_to_end(&mut beginning));
        read.is_ok() && beginning == self.header
    }
}

/// Leaves nothing out.
pub(crate) static NO_FILTER: Filter =
    Filter { patterns: Vec::new(), if_present: Vec::new(), larger_than: None, one_file_system: false };

impl Filter {
    /// Whether a path is left out; `size` of a regular file.
    pub fn leaves_out(&self, path: &Path, size: Option<u64>) -> bool {
        size.zip(self.larger_than).is_some_and(|(size, limit)| size > limit)
            || any_matches(&self.patterns, path)
    }

    /// Leaves of the names in a folder, which are ordered, only the marker where there is one.
    pub(crate) fn thin_out(&self, names: &mut Vec<Vec<u8>>, open: &dyn Fn(&[u8]) -> io::Result<File>) {
        let marks = |marker: &&Marker| names.binary_search(&marker.name).is_ok() && marker.is(open);
        if let Some(marker) = self.if_present.iter().find(marks) {
            names.retain(|name| *name == marker.name);
        }
    }

    /// As [`Filter::thin_out`], for a folder by its path.
    pub(crate) fn is_marked(&self, folder: &Path) -> bool {
        let join = |name: &[u8]| folder.join(std::ffi::OsStr::from_bytes(name));
        let open = |name: &[u8]| File::open(join(name));
        self.if_present.iter().any(|marker| join(&marker.name).symlink_metadata().is_ok() && marker.is(&open))
    }

    /// The rules as the snapshot's file notes them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().map(|pattern| pattern.text().to_owned())
    }
}
