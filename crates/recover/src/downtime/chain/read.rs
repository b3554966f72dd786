//! Reading a chained file: every record that is whole, and what is wrong with the others.

use std::fmt;
use std::path::Path;

use schema::Lang;

use super::frame::{self, Found, HEADER_BYTES, Header, MARK, SLOT_BYTES, Seal, hash};
use super::key::Secret;
use super::{FILE_MAX, Purpose, RECORD_MAX, bounded, head_path};
use crate::Error;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 0.
    pub seq: u64,
    /// SHA-256 of it, which the next one names.
    pub hash: [u8; 32],
    /// What it holds.
    pub payload: Vec<u8>,
}

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Those that are whole, in their order in the file.
    pub records: Vec<Record>,
    /// What is wrong.
    pub damage: Vec<Damage>,
    /// Bytes at the end that a crash left of a record that nobody was told of.
    pub torn: u64,
    pub(super) id: [u8; 16],
    /// Where the last whole record ends, and its hash.
    pub(super) end: u64,
    pub(super) head: [u8; 32],
}

/// What can be wrong with a file. Records are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// These bytes are no record, or one that was changed.
    Altered {
        /// Where in the file.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Records are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A record stands where it was not written, or twice.
    OutOfPlace {
        /// Its number.
        seq: u64,
    },
    /// A record does not follow the one before it: one of them is from another history of the file.
    Unlinked {
        /// Its number.
        seq: u64,
    },
    /// Records that were acknowledged are missing at the end.
    Cut {
        /// How many were acknowledged.
        acknowledged: u64,
        /// How many are there.
        held: u64,
    },
    /// The file that says how many records were acknowledged is missing or was changed.
    NoHead,
}

impl Damage {
    /// In words.
    pub fn words(&self, lang: Lang) -> String {
        match self {
            Damage::Altered { offset, bytes } => lang.pick(
                format!("{bytes} bytes at {offset} were changed"),
                format!("{offset} バイト目から {bytes} バイトが書き換えられています"),
            ),
            Damage::Missing { from, to } => lang.pick(
                format!("records {from} to {to} are missing"),
                format!("{from} 番から {to} 番の記録がありません"),
            ),
            Damage::OutOfPlace { seq } => lang.pick(
                format!("record {seq} is not in its place"),
                format!("{seq} 番の記録が本来の位置にありません"),
            ),
            Damage::Unlinked { seq } => lang.pick(
                format!("record {seq} does not follow the one before it"),
                format!("{seq} 番の記録が直前の記録につながっていません"),
            ),
            Damage::Cut { acknowledged, held } => lang.pick(
                format!("the end was cut off: {acknowledged} records were acknowledged, {held} are there"),
                format!("末尾が切り取られています (保存済み {acknowledged} 件のうち {held} 件)"),
            ),
            Damage::NoHead => lang.pick(
                "the file that counts the records is missing or was changed".to_owned(),
                "記録数を保持するファイルがないか、書き換えられています".to_owned(),
            ),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(Lang::En))
    }
}

pub(super) fn read(path: &Path, purpose: Purpose, secret: Secret<'_>) -> Result<(Contents, Seal), Error> {
    let failed = |source| Error::Io { op: "read", path: path.to_path_buf(), source };
    let refused = |cause| Error::JournalKey { path: path.to_path_buf(), cause };
    // Before the file: whoever writes it writes the record first, so the file holds at least what the head says.
    let heads = id_of(path).ok().flatten().map(|id| bounded(&head_path(path, &id), 4096));
    let bytes = bounded(path, FILE_MAX).map_err(failed)?;
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(refused("it is no journal of Chartward"));
    };
    let parsed = Header::parse(header).ok_or_else(|| refused("it is no journal of Chartward"))?;
    if parsed.purpose != purpose.bytes() {
        return Err(refused("it is a journal of another kind"));
    }
    let seal = Seal::new(&secret.derive(header, path)?, parsed.id);
    let head = heads.and_then(Result::ok).and_then(|slots| head(&seal, &slots));
    let mut contents = records(&bytes, header, &seal);
    contents.id = parsed.id;
    if contents.records.is_empty() && head.is_none() && bytes.len() > HEADER_BYTES {
        return Err(refused("its key is another one, or nothing of it is left"));
    }
    against_head(&mut contents, head);
    Ok((contents, seal))
}

fn id_of(path: &Path) -> std::io::Result<Option<[u8; 16]>> {
    use std::io::Read;
    let mut header = [0; HEADER_BYTES];
    std::fs::File::open(path)?.read_exact(&mut header)?;
    Ok(Header::parse(&header).map(|header| header.id))
}

/// The later of the two slots.
fn head(seal: &Seal, slots: &[u8]) -> Option<(u64, [u8; 32])> {
    slots.chunks(SLOT_BYTES).filter_map(|slot| seal.open_slot(slot)).max_by_key(|(count, _)| *count)
}

fn records(bytes: &[u8], header: &[u8; HEADER_BYTES], seal: &Seal) -> Contents {
    let mut contents = Contents { end: HEADER_BYTES as u64, head: hash(header), ..Contents::default() };
    let (mut at, mut expected) = (HEADER_BYTES, 0u64);
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let whole = match frame::frame(rest, RECORD_MAX) {
            Found::Frame(frame) => seal.open(&frame).map(|payload| (frame, payload)),
            Found::Unfinished | Found::Other => None,
        };
        let Some((frame, payload)) = whole else {
            let skipped = next_record(rest, seal);
            match skipped {
                Some(skipped) => {
                    contents.damage.push(Damage::Altered { offset: at as u64, bytes: skipped as u64 });
                    at = at.saturating_add(skipped);
                    continue;
                }
                // Nothing whole comes after: a crash's remains, unless more was acknowledged (see below).
                None => {
                    contents.torn = rest.len() as u64;
                    break;
                }
            }
        };
        if frame.seq > expected {
            contents.damage.push(Damage::Missing { from: expected, to: frame.seq.saturating_sub(1) });
        } else if frame.seq < expected {
            contents.damage.push(Damage::OutOfPlace { seq: frame.seq });
        } else if frame.previous != contents.head {
            contents.damage.push(Damage::Unlinked { seq: frame.seq });
        }
        let is_known = frame.seq < expected && contents.records.iter().any(|known| known.payload == payload);
        expected = expected.max(frame.seq.saturating_add(1));
        at = at.saturating_add(frame.bytes.len());
        contents.end = at as u64;
        contents.head = hash(frame.bytes);
        if !is_known {
            contents.records.push(Record { seq: frame.seq, hash: contents.head, payload });
        }
    }
    contents.records.sort_by_key(|record| record.seq);
    contents
}

/// Bytes up to the next record that opens.
fn next_record(rest: &[u8], seal: &Seal) -> Option<usize> {
    let mut from = 1;
    loop {
        let tail = rest.get(from..)?;
        let found = tail.windows(MARK.len()).position(|window| window == MARK)?;
        let place = from.saturating_add(found);
        if let Found::Frame(frame) = frame::frame(rest.get(place..)?, RECORD_MAX)
            && seal.open(&frame).is_some()
        {
            return Some(place);
        }
        from = place.saturating_add(1);
    }
}

/// Whether everything that was acknowledged is there.
fn against_head(contents: &mut Contents, head: Option<(u64, [u8; 32])>) {
    let held = contents.records.len() as u64;
    match head {
        None if held == 0 => {}
        None => contents.damage.push(Damage::NoHead),
        Some((count, _)) if count > held => {
            // A changed record in the middle is named already.
            let last = contents.records.last().map_or(0, |record| record.seq.saturating_add(1));
            if count > last {
                contents.damage.push(Damage::Cut { acknowledged: count, held });
            }
        }
        Some((count, last)) => {
            let at_head = count.checked_sub(1).and_then(|seq| usize::try_from(seq).ok());
            if let Some(record) = at_head.and_then(|index| contents.records.get(index))
                && record.hash != last
                && contents.damage.is_empty()
            {
                contents.damage.push(Damage::Unlinked { seq: record.seq });
            }
        }
    }
}
