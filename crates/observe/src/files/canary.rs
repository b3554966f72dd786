//! Decoys among the records: files that belong to no patient, that nobody has a reason to change, and that sort first and last in their
//! folders, where programs that walk a tree begin and end.
//!
//! They look like what lies there (SS-MIX2 records beside SS-MIX2 records, a list beside office files), have the owner and permissions of
//! a neighbour, and are known by their inodes. A list outside the tree survives the guard, so that decoys of a guard that was killed
//! are taken up again or removed.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::preimage::Stamp;
use crate::Error;

/// Folders of one tree that get decoys, and folders that are looked at for them.
const FOLDERS_MAX: usize = 8;
const LOOKED_AT_MAX: usize = 2048;
const ENTRIES_MAX: usize = 4096;
const LIST_BYTES_MAX: u64 = 1 << 20;
/// No patient has this number: SS-MIX2 identifiers are padded with zeros and never all zeros or nines.
const NOBODY: [(&str, &str); 2] = [("0000000000", "!00"), ("9999999999", "~99")];

/// One decoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Canary {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The decoys of one guard.
#[derive(Debug)]
pub struct Canaries {
    list: PathBuf,
    planted: Vec<Canary>,
}

impl Canaries {
    /// Takes up the decoys in `list` that still lie where they were, and plants what is missing below `dirs`. Before anything is watched.
    pub fn plant(dirs: &[PathBuf], list: &Path) -> Result<Self, Error> {
        let mut canaries = Self { list: list.to_owned(), planted: read(list)? };
        canaries.planted.retain(is_there);
        for dir in dirs {
            let dir =
                fs::canonicalize(dir).map_err(|source| Error::OpenRoot { path: dir.clone(), source })?;
            let has = canaries.planted.iter().any(|canary| canary.path.starts_with(&dir));
            for folder in if has { vec![] } else { folders(&dir) } {
                canaries.plant_in(&folder)?;
            }
        }
        Ok(canaries)
    }

    /// The decoys in `list`, to be removed.
    pub fn left(list: &Path) -> Result<Self, Error> {
        Ok(Self { list: list.to_owned(), planted: read(list)? })
    }

    /// Devices and inodes.
    pub fn keys(&self) -> impl Iterator<Item = (u64, u64)> {
        self.planted.iter().map(|canary| (canary.device, canary.inode))
    }

    /// Removes what still is the file that was planted, and the list. How many.
    pub fn remove(&self) -> usize {
        let there = self.planted.iter().filter(|canary| is_there(canary));
        let removed = there.filter(|canary| fs::remove_file(&canary.path).is_ok()).count();
        let _ = fs::remove_file(&self.list);
        removed
    }

    fn plant_in(&mut self, folder: &Path) -> Result<(), Error> {
        let Some((neighbour, meta)) = neighbour(folder) else { return Ok(()) };
        for (number, sorts) in NOBODY {
            let (name, content) = decoy(&neighbour, number, sorts);
            let path = folder.join(name);
            let failed = |source| Error::Canary { path: path.clone(), source };
            match make(&path, &content, &meta) {
                Ok(stamp) => {
                    self.planted.push(Canary { path: path.clone(), device: stamp.key.0, inode: stamp.key.1 });
                    // After each, so that none is forgotten when this is killed in between.
                    self.write().map_err(failed)?;
                }
                // Somebody's own file: left alone.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn write(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let beside = self.list.with_extension("new");
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(&self.planted)?)?;
        fs::rename(beside, &self.list)
    }
}

fn read(list: &Path) -> Result<Vec<Canary>, Error> {
    let failed = |source| Error::Canary { path: list.to_owned(), source };
    match fs::metadata(list) {
        Ok(meta) if meta.len() <= LIST_BYTES_MAX => {
            serde_json::from_slice(&fs::read(list).map_err(failed)?).map_err(|error| failed(error.into()))
        }
        Ok(_) => Err(failed(io::ErrorKind::FileTooLarge.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(failed(error)),
    }
}

fn is_there(canary: &Canary) -> bool {
    fs::symlink_metadata(&canary.path)
        .is_ok_and(|meta| (meta.dev(), meta.ino()) == (canary.device, canary.inode))
}

/// The first and the last folder with files of each level, within bounds: whoever walks the tree comes by one of them early.
fn folders(root: &Path) -> Vec<PathBuf> {
    let Ok(device) = fs::metadata(root).map(|meta| meta.dev()) else { return vec![] };
    let (mut level, mut found, mut looked_at) = (vec![root.to_owned()], Vec::new(), 0);
    while !level.is_empty() && found.len() < FOLDERS_MAX && looked_at < LOOKED_AT_MAX {
        level.sort();
        let with_files: Vec<&PathBuf> = level.iter().filter(|folder| neighbour(folder).is_some()).collect();
        let ends = [with_files.first(), with_files.last()].into_iter().flatten();
        found.extend(ends.map(|folder| (*folder).clone()));
        looked_at += level.len();
        let below = level.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        // Not into other file systems, whose servers may be silent.
        let below = below.filter(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir())
                && entry.metadata().is_ok_and(|meta| meta.dev() == device)
        });
        level = below.map(|entry| entry.path()).take(LOOKED_AT_MAX).collect();
    }
    found.sort();
    found.dedup();
    found.truncate(FOLDERS_MAX);
    found
}

/// A file of the folder after which decoys are made.
fn neighbour(folder: &Path) -> Option<(String, Metadata)> {
    let entries = fs::read_dir(folder).ok()?.flatten().take(ENTRIES_MAX);
    let mut files: Vec<String> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    files.sort();
    let name = files.into_iter().find(|name| !name.starts_with(['.', '!', '~']))?;
    let meta = fs::metadata(folder.join(&name)).ok()?;
    Some((name, meta))
}

/// Name and content. An SS-MIX2 record is named patient_date_type_order_department_flag.
fn decoy(neighbour: &str, number: &str, sorts: &str) -> (String, Vec<u8>) {
    let parts: Vec<&str> = neighbour.split('_').collect();
    let is_record =
        parts.len() >= 6 && parts.first().is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    if is_record {
        let kind = parts.get(2).copied().unwrap_or("OML-11");
        let mut text = format!(
            "MSH|^~\\&|HIS|SEND|GW|RECEIVE|20000101000000||OML^O33^OML_O33|{number}|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
             PID|0001||{number}^^^^PI||||19000101|U\r"
        );
        for line in 1..=24 {
            text += &format!("OBX|{line}|NM|3A0100000^TP^JC10||{}.{line}|g/dL|||||F\r", line * 3 % 9);
        }
        return (format!("{number}_20000101_{kind}_{number}_01_1"), text.into_bytes());
    }
    let suffix = Path::new(neighbour).extension().and_then(|suffix| suffix.to_str()).unwrap_or("txt");
    // Formats with a structure of their own would be found broken by whoever opens them: those get a list.
    let suffix =
        if ["txt", "csv", "log", "md", "html", "xml", "json"].contains(&suffix) { suffix } else { "csv" };
    let mut text = String::from("number,date,ward,remark\r\n");
    for line in 1..=96 {
        text += &format!("{line:04},2000-01-{:02},{},none\r\n", line % 28 + 1, line % 7);
    }
    (format!("{sorts}_list.{suffix}"), text.into_bytes())
}

fn make(path: &Path, content: &[u8], like: &Metadata) -> io::Result<Stamp> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    // Where only its owner could change it, an attacker with a user's rights would be refused instead of seen.
    let _ = fchown(&file, Some(like.uid()), Some(like.gid()));
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
    Stamp::of(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_look_like_their_neighbours_and_sort_first_and_last() {
        let record = "0001234567_20181016_OML-11_000000001234567_01_1";
        for (neighbour, sorted) in
            [(record, ["0000000000_2", "9999999999_2"]), ("report.docx", ["!00_list.csv", "~99_list.csv"])]
        {
            for ((number, sorts), start) in NOBODY.into_iter().zip(sorted) {
                let (name, content) = decoy(neighbour, number, sorts);
                assert!(name.starts_with(start), "{name}");
                assert!(content.len() > 500);
            }
        }
    }

    #[test]
    fn they_survive_a_restart_and_go_when_removed_but_nobody_elses_files_do() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, list) = (dir.path().join("tree"), dir.path().join("canaries.json"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/0001_20181016_OML-11_1_01_1"), b"MSH|").unwrap();
        fs::write(tree.join("letter.txt"), b"x").unwrap();
        let first = Canaries::plant(std::slice::from_ref(&tree), &list).unwrap();
        assert_eq!(first.keys().count(), 4);
        let again = Canaries::plant(std::slice::from_ref(&tree), &list).unwrap();
        assert_eq!(first.planted, again.planted);
        // Replaced by somebody: no decoy any more.
        let taken = &first.planted[0].path;
        fs::rename(taken, tree.join("moved")).unwrap();
        fs::write(taken, b"somebody's own").unwrap();
        assert_eq!(Canaries::left(&list).unwrap().remove(), 3);
        assert!(taken.exists() && !list.exists());
        assert_eq!(Canaries::left(&list).unwrap().remove(), 0);
    }
}
