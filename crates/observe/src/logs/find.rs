//! Log files below a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DEPTH_MAX: usize = 32;
const FILES_MAX: usize = 100_000;
/// What lies beside logs and is none.
const OTHERS: &[&str] =
    &["etl", "journal", "journal~", "bz2", "xz", "zst", "zip", "pcap", "pcapng", "db", "sqlite"];
const BINARY: &[&str] = &["wtmp", "btmp", "lastlog", "faillog", "utmp"];

/// The file itself, or all files below a folder that can be logs, in the order of their names. What cannot be looked at goes to `failed`.
pub fn files(path: &Path, failed: &mut impl FnMut(&Path, io::Error)) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(path, DEPTH_MAX, true, &mut found, failed);
    found
}

fn walk(
    path: &Path,
    depth: usize,
    is_named: bool,
    found: &mut Vec<PathBuf>,
    failed: &mut impl FnMut(&Path, io::Error),
) {
    if path == Path::new("-") || found.len() >= FILES_MAX {
        found.extend((found.len() < FILES_MAX).then(|| path.to_owned()));
        return;
    }
    // Links below a folder are not followed: they could lead round in circles.
    let meta = if is_named { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match meta {
        Ok(meta) if meta.is_dir() && depth > 0 => match entries(path) {
            Ok(entries) => entries.iter().for_each(|entry| walk(entry, depth - 1, false, found, failed)),
            Err(error) => failed(path, error),
        },
        Ok(meta) if meta.is_file() && (is_named || is_log(path)) => found.push(path.to_owned()),
        Ok(_) if is_named => failed(path, io::Error::from(io::ErrorKind::InvalidInput)),
        Ok(_) => {}
        Err(error) => failed(path, error),
    }
}

fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn is_log(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
    !OTHERS.contains(&extension.as_str()) && !BINARY.iter().any(|start| name.starts_with(start))
}
