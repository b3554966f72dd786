//! Which files below a folder are logs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Give, Limits, Piece, source};
use crate::Error;

/// Endings of logs' names below a folder; a file that was named itself may be called anything.
const ENDINGS: &[&str] = &["evtx", "xml", "json", "jsonl", "ndjson", "zip"];

/// Gives the blocks of a file or of all logs below a folder.
pub(super) fn walk(path: &Path, limits: &Limits, give: &mut Give<'_>) -> bool {
    let mut left = limits.files;
    visit(path, limits, limits.depth, true, &mut left, give)
}

fn visit(
    path: &Path,
    limits: &Limits,
    depth: usize,
    is_named: bool,
    left: &mut usize,
    give: &mut Give<'_>,
) -> bool {
    let failed = |source: io::Error| Piece::Failed(Error::OpenLog { path: path.to_owned(), source });
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => match entries(path) {
            Ok(_) if depth == 0 => give(failed(io::Error::other("folders lie too deep in one another"))),
            Ok(entries) => entries.iter().all(|entry| visit(entry, limits, depth - 1, false, left, give)),
            Err(error) => give(failed(error)),
        },
        Ok(meta) if meta.is_file() => {
            if !is_named && !is_log(path) {
                return true;
            }
            if *left == 0 {
                give(failed(io::Error::other("more files than are read at once")));
                return false;
            }
            *left -= 1;
            match File::open(path) {
                Ok(file) => source::file(file, path, limits, give),
                Err(error) => give(failed(error)),
            }
        }
        // Pipes and devices below a folder are no logs, and to read them could hang.
        Ok(_) if !is_named => true,
        Ok(_) => give(failed(io::Error::other("neither a file nor a folder"))),
        Err(error) => give(failed(error)),
    }
}

/// In the order of their names; a link could lead in a circle, or out of the folder that was named.
fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.retain(|entry| !entry.is_symlink());
    entries.sort();
    Ok(entries)
}

fn is_log(path: &Path) -> bool {
    let ends = |path: &Path| path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase);
    let ending = match ends(path).as_deref() {
        Some("gz") => path.file_stem().and_then(|stem| ends(Path::new(stem))),
        Some(other) => Some(other.to_owned()),
        None => None,
    };
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}
