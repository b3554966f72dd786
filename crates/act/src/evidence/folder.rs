//! What the folder says about itself: the notes' text, a list of everything with hashes, and words for whoever opens it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{sha256_of, write_json, write_private};
use crate::Error;

const NOTES_MAX: usize = 16;
const NOTE_BYTES_MAX: u64 = 64 * 1024;
/// Beyond so many bytes in all, files are listed without a hash: nobody waits for it while others are being attacked.
const HASHED_MAX: u64 = 512 << 20;
const LISTED_MAX: usize = 100_000;
const MANIFEST: &str = "manifest.json";

/// What stands in each evidence folder as `README.txt`.
pub const README: &str = "\
Evidence of an actor that Chartward's guard stopped. It holds names of records and may hold their contents:
keep it as closed as the records themselves. Make a copy before you look into anything.

  finding.json    why it was stopped
  processes.json  who: processes with their ancestors, command lines, programs' hashes, open files, connections
  programs/       copies of programs and scripts, named by SHA-256. They may be hostile: do not run them
  notes.json      what the ransom notes say
  files.json      every file that was touched, and what became of it
  undo.json       what `chartward guard undo` goes by
  taken/          what the actor had put in the files' place
  manifest.json   all of these with size and SHA-256; the hub's ledger holds the hash of this list

Chartwardのガードが停止させた処理の証拠です。記録の名前と、場合によってはその内容が含まれます。
記録そのものと同じ厳重さで扱い、中を調べる前に複製を作ってください。

  finding.json    停止した理由
  processes.json  停止したプロセスと親プロセス、コマンドライン、プログラムのハッシュ、開いていたファイル、通信先
  programs/       プログラムとスクリプトの複製（名前はSHA-256）。悪意のあるものかもしれません。実行しないでください
  notes.json      脅迫文の内容
  files.json      触れられたすべてのファイルと、その後どうしたか
  undo.json       chartward guard undo が使う情報
  taken/          元のファイルの代わりに置かれていたもの
  manifest.json   以上のすべての大きさとSHA-256。この一覧のハッシュはハブの台帳にあります
";

/// A text that was left for the victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where it was found.
    pub path: PathBuf,
    /// How it begins.
    pub text: String,
}

/// Reads the notes in `files`: where each was found, and the file.
pub fn notes<'a>(files: impl Iterator<Item = (&'a Path, &'a File)>) -> Vec<Note> {
    files
        .take(NOTES_MAX)
        .filter_map(|(path, file)| {
            let mut bytes = vec![0; usize::try_from(NOTE_BYTES_MAX).unwrap_or(0)];
            let len = std::os::unix::fs::FileExt::read_at(file, &mut bytes, 0).ok()?;
            bytes.truncate(len);
            Some(Note { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
        })
        .collect()
}

#[derive(Debug, Serialize)]
struct Listed {
    bytes: u64,
    sha256: Option<String>,
}

/// Writes the README and the list of all files with their hashes, and gives the list's own SHA-256.
pub fn seal(folder: &Path) -> Result<String, Error> {
    write_private(&folder.join("README.txt"), README.as_bytes())?;
    let mut listed = BTreeMap::new();
    let mut room = HASHED_MAX;
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        let entries = fs::read_dir(&at).map_err(|source| Error::ReadEvidence { path: at.clone(), source })?;
        for entry in entries.flatten() {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
            let name = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            if meta.is_dir() {
                folders.push(path);
            } else if name != Path::new(MANIFEST) && listed.len() < LISTED_MAX {
                let sha256 = (meta.len() <= room).then(|| sha256(&path)).flatten();
                room = room.saturating_sub(meta.len());
                listed.insert(name, Listed { bytes: meta.len(), sha256 });
            }
        }
    }
    let manifest = folder.join(MANIFEST);
    write_json(&manifest, &listed)?;
    sha256(&manifest).ok_or(Error::Differs)
}

fn sha256(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    sha256_of(&mut file.take(HASHED_MAX + 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_everything_beside_itself() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        fs::write(dir.path().join("taken/record.0"), "abc").unwrap();
        let hash = seal(dir.path()).unwrap();
        assert_eq!(seal(dir.path()).unwrap(), hash);
        let list: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.path().join(MANIFEST)).unwrap()).unwrap();
        assert_eq!(
            list["taken/record.0"]["sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(list.as_object().unwrap().len(), 2);
    }
}
