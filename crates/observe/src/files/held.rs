//! Files that were open for writing before the guard started. Writes through such descriptors and mappings wait for nobody.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FILES_MAX: usize = 4096;

/// One of them.
#[derive(Debug)]
pub struct Held {
    /// Who has it open.
    pub pid: i32,
    /// The file, read only.
    pub file: File,
    /// Where it stands.
    pub path: PathBuf,
}

/// Looks through the descriptors and shared mappings of all processes but `own` for files below `dirs` that can be written through them.
/// Regular files only, each once for every process.
pub fn held_for_writing(dirs: &[PathBuf], own: &[i32]) -> Vec<Held> {
    let mut found = Vec::new();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in pids.filter(|pid| !own.contains(pid)) {
        let mut paths: Vec<PathBuf> = Vec::new();
        for (link, path) in descriptors(pid, dirs).chain(mappings(pid, dirs)) {
            if found.len() >= FILES_MAX {
                return found;
            }
            // Through the link in /proc, which also finds files that have lost their names.
            let Ok(file) = File::open(&link) else { continue };
            if !paths.contains(&path) && file.metadata().is_ok_and(|meta| meta.is_file()) {
                paths.push(path.clone());
                found.push(Held { pid, file, path });
            }
        }
    }
    found
}

fn descriptors(pid: i32, dirs: &[PathBuf]) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let target = fs::read_link(entry.path()).ok().filter(|target| below(dirs, target))?;
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?)).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
        (flags & libc::O_ACCMODE != libc::O_RDONLY && flags & libc::O_PATH == 0)
            .then(|| (entry.path(), target))
    })
}

/// proc_pid_maps(5): address, permissions (`s` for shared), offset, device, inode, path.
fn mappings(pid: i32, dirs: &[PathBuf]) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let text = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let Some(path) = mapped_for_writing(line).filter(|path| below(dirs, path)) else { continue };
        let range = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        let link = Path::new("/proc").join(pid.to_string()).join("map_files").join(OsStr::from_bytes(range));
        found.push((link, path.to_owned()));
    }
    found.into_iter()
}

fn mapped_for_writing(line: &[u8]) -> Option<&Path> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let permissions = fields.nth(1)?;
    let (writes, shared) = (permissions.get(1) == Some(&b'w'), permissions.get(3) == Some(&b's'));
    let path = fields.nth(3)?.trim_ascii_start();
    (writes && shared && path.first() == Some(&b'/')).then(|| Path::new(OsStr::from_bytes(path)))
}

fn below(dirs: &[PathBuf], path: &Path) -> bool {
    dirs.iter().any(|dir| path.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_mappings_that_can_be_written_count() {
        for (line, expected) in [
            ("7f1-7f2 rw-s 00000000 fe:00 1234                       /srv/emr/a b", Some("/srv/emr/a b")),
            ("7f1-7f2 r--s 00000000 fe:00 1234                       /srv/emr/a", None),
            ("7f1-7f2 rw-p 00000000 fe:00 1234                       /srv/emr/a", None),
            ("7f1-7f2 rw-p 00000000 00:00 0 ", None),
            ("7f1-7f2", None),
        ] {
            assert_eq!(mapped_for_writing(line.as_bytes()), expected.map(Path::new), "{line}");
        }
    }

    #[test]
    fn a_file_that_somebody_has_open_for_writing_is_found_and_a_read_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().canonicalize().unwrap()];
        let (written, read) = (dirs[0].join("written"), dirs[0].join("read"));
        fs::write(&read, b"x").unwrap();
        let _open = (File::create(&written).unwrap(), File::open(&read).unwrap());
        let own = i32::try_from(std::process::id()).unwrap();
        let found = held_for_writing(&dirs, &[]);
        let ours: Vec<&Path> = found.iter().filter(|held| held.pid == own).map(|held| &*held.path).collect();
        assert_eq!(ours, [written.as_path()]);
        assert!(held_for_writing(&dirs, &[own]).is_empty());
    }
}
