//! The list kept on disk for the next start: sealed with the vault's key, and good for exactly one snapshot.
//!
//! It is disposable. What is damaged, torn, forged, or of another snapshot or version is as good as absent, and the
//! list is read from the vault again. The file is written in pieces, so that neither way needs it whole in memory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use schema::{PatientId, SnapshotId};
use serde::{Deserialize, Serialize};

use super::{Index, RosterLine, day_number, day_of, sex_number, sex_of};
use crate::Error;
use crate::charts::model::{Bed, Unread};
use crate::vault::Vault;

/// First bytes of every piece.
const MAGIC: &str = concat!("chartward patient index 2 ", env!("CARGO_PKG_VERSION"));
const PREFIX: &str = "patients-";
/// Lines in a piece: about 400 kB.
const LINES: usize = 8_192;
/// No sealed piece is larger.
const PIECE_MAX: u32 = 64 << 20;
const LEVEL: i32 = 1;

/// What is sealed: it opens only at its own place of its own snapshot's file.
#[derive(Serialize, Deserialize)]
struct Piece {
    magic: String,
    snapshot: SnapshotId,
    number: u64,
    is_last: bool,
    lines: Vec<Line>,
    unread: Vec<(String, String, String)>,
    unread_count: usize,
}

/// Id, name, kana, day of birth, sex, and ward, room and bed.
type Line = (String, Option<String>, Option<String>, u32, u8, Option<[String; 3]>, Vec<String>);

impl Index {
    /// The list as it was kept for this snapshot; `None` when there is none that is whole.
    pub fn kept(folder: &Path, vault: &Vault, snapshot: &SnapshotId) -> Option<Index> {
        let mut file = BufReader::new(File::open(path(folder, snapshot)).ok()?);
        let mut index = Index::default();
        for number in 0.. {
            let piece = read(&mut file, vault)?;
            if piece.magic != MAGIC || piece.snapshot != *snapshot || piece.number != number {
                return None;
            }
            piece.lines.into_iter().for_each(|line| index.push(&roster_line(line)));
            let unread = piece.unread.into_iter().map(|(path, kind, cause)| Unread { path, kind, cause });
            index.unread.extend(unread);
            index.unread_count += piece.unread_count;
            if piece.is_last {
                index.finish();
                return Some(index);
            }
        }
        None
    }

    /// Keeps the list for the next start and forgets those of other snapshots.
    pub fn keep(&self, folder: &Path, vault: &Vault, snapshot: &SnapshotId) -> Result<(), Error> {
        let target = path(folder, snapshot);
        let failed = |source: io::Error| Error::Io { op: "write", path: target.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let unfinished = target.with_extension("new");
        let _ = fs::remove_file(&unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let mut file = BufWriter::new(file.map_err(failed)?);
        let pieces = self.order.len().div_ceil(LINES).max(1);
        for number in 0..pieces {
            let sealed = vault.seal(&self.piece(snapshot, number, number + 1 == pieces)?)?;
            let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
            file.write_all(&length.to_be_bytes()).and_then(|()| file.write_all(&sealed)).map_err(failed)?;
        }
        file.flush().and_then(|()| fs::rename(&unfinished, &target)).map_err(failed)?;
        forget_others(folder, &target);
        Ok(())
    }

    fn piece(&self, snapshot: &SnapshotId, number: usize, is_last: bool) -> Result<Vec<u8>, Error> {
        let numbers = self.order.iter().skip(number * LINES).take(LINES);
        let unread = self.unread.iter().filter(|_| number == 0);
        let piece = Piece {
            magic: MAGIC.to_owned(),
            snapshot: snapshot.clone(),
            number: number as u64,
            is_last,
            lines: numbers.map(|number| kept_line(self.line(&self.slots[*number as usize]))).collect(),
            unread: unread.map(|it| (it.path.clone(), it.kind.clone(), it.cause.clone())).collect(),
            unread_count: if number == 0 { self.unread_count } else { 0 },
        };
        let failed = |source: io::Error| Error::Io { op: "pack", path: PathBuf::from(PREFIX), source };
        let text = serde_json::to_vec(&piece).map_err(|error| failed(error.into()))?;
        zstd::bulk::compress(&text, LEVEL).map_err(failed)
    }
}

fn kept_line(line: RosterLine) -> Line {
    let born = day_number(line.birth_date);
    let bed = line.bed.map(|bed| [bed.ward, bed.room, bed.bed]);
    (line.patient.0, line.name, line.kana, born, sex_number(line.sex), bed, line.other_ids)
}

fn roster_line((patient, name, kana, born, sex, bed, other_ids): Line) -> RosterLine {
    RosterLine {
        other_ids,
        patient: PatientId(patient),
        name,
        kana,
        birth_date: day_of(born),
        sex: sex_of(sex),
        bed: bed.map(|[ward, room, bed]| Bed { ward, room, bed }),
    }
}

fn read(file: &mut impl Read, vault: &Vault) -> Option<Piece> {
    let mut length = [0; 4];
    file.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length);
    if length > PIECE_MAX {
        return None;
    }
    let mut sealed = Vec::new();
    file.take(u64::from(length)).read_to_end(&mut sealed).ok()?;
    let packed = vault.unseal(&mut sealed)?;
    let text = zstd::bulk::decompress(&packed, PIECE_MAX as usize).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Snapshot ids are hexadecimal; anything else must not lead to another folder.
fn path(folder: &Path, snapshot: &SnapshotId) -> PathBuf {
    let id: String = snapshot.0.chars().filter(char::is_ascii_alphanumeric).collect();
    folder.join(format!("{PREFIX}{id}"))
}

fn forget_others(folder: &Path, kept: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_ours && entry.path() != kept {
            let _ = fs::remove_file(entry.path());
        }
    }
}
