//! Which packs' bytes were read and found right, and when: kept outside the vault, so that reading a part of it each day can be
//! shown to reach all of it. A random part each day does not: of 1 % a day, a third is still unread after a hundred days.
//!
//! The record is sealed with the vault's key. One that is missing, torn or forged says that nothing was read.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::crypto::random;
use super::id::Id;
use super::repository::Vault;
use crate::Error;

const MAGIC: &[u8] = b"chartward packs read 1\n";
/// A pack's id, seconds of its time, and whether it was read.
const RECORD: usize = 32 + 8 + 1;
/// Largest record that is read: six million packs, 100 TB.
const MAX_FILE: u64 = 256 << 20;

/// How much of the packs a check reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Portion {
    /// Every byte.
    All,
    /// The packs of one of several parts that together are everything; restic's `n/m`.
    Part {
        /// From 1.
        number: u32,
        /// How many parts there are.
        of: u32,
    },
    /// So many hundredths of the bytes, those that have not been read for the longest time.
    Percent(f64),
    /// So many bytes, those that have not been read for the longest time.
    Bytes(u64),
}

impl FromStr for Portion {
    type Err = String;

    /// `2/7`, `3.5%` or `50G`.
    fn from_str(text: &str) -> Result<Portion, String> {
        const WRONG: &str = "write a part such as 2/7, a share such as 3.5%, or a size such as 50G";
        let parsed = if let Some((number, of)) = text.split_once('/') {
            let (number, of) = (number.parse().ok(), of.parse().ok());
            number
                .zip(of)
                .filter(|(number, of)| (1..=*of).contains(number))
                .map(|(number, of)| Portion::Part { number, of })
        } else if let Some(percent) = text.strip_suffix('%') {
            percent.parse().ok().filter(|p| *p > 0.0 && *p <= 100.0).map(Portion::Percent)
        } else {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = match &text[digits.len()..] {
                "" | "B" => Some(0),
                "K" | "KiB" => Some(10),
                "M" | "MiB" => Some(20),
                "G" | "GiB" => Some(30),
                "T" | "TiB" => Some(40),
                _ => None,
            };
            let number: Option<u64> = digits.parse().ok().filter(|number| *number > 0);
            number.zip(unit).and_then(|(number, unit)| number.checked_mul(1 << unit)).map(Portion::Bytes)
        };
        parsed.ok_or_else(|| WRONG.to_owned())
    }
}

/// How much of a vault has been read lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Bytes of all packs.
    pub bytes: u64,
    /// Of them, read and found right within the time that was asked for.
    pub bytes_covered: u64,
    /// Of them, known for longer than that, and not read since.
    pub bytes_overdue: u64,
    /// When the pack that has waited longest was read last; `None` if one was never read.
    pub oldest_read: Option<Timestamp>,
}

impl Coverage {
    /// Hundredths of the bytes, rounded down: 100 means all.
    pub fn percent(&self) -> u64 {
        (u128::from(self.bytes_covered) * 100)
            .checked_div(u128::from(self.bytes))
            .map_or(100, |percent| percent as u64)
    }
}

/// When a pack was read last, or seen for the first time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Since {
    was_read: bool,
    second: i64,
}

/// The record of one vault in one place.
#[derive(Default)]
pub(crate) struct Reads {
    file: PathBuf,
    written: i64,
    packs: HashMap<Id, Since>,
}

impl Reads {
    /// The record for a vault, in a folder of this machine. The same vault on another medium has another record.
    pub(crate) fn load(folder: &Path, vault: &Vault) -> Reads {
        let mut name = vault.id().as_bytes().to_owned();
        name.extend_from_slice(vault.dir().as_os_str().as_bytes());
        let file = folder.join(format!("reads-{}", &Id::of(&name).to_string()[..32]));
        let found = read(&file).ok().and_then(|mut sealed| {
            let text = vault.key.open(&mut sealed)?;
            parse(text)
        });
        let (written, packs) = found.unwrap_or_default();
        Reads { file, written, packs }
    }

    fn is_new(&self) -> bool {
        self.packs.is_empty()
    }

    fn since(&self, id: &Id) -> Since {
        // A pack that is not known came after the last check.
        self.packs.get(id).copied().unwrap_or(Since { was_read: false, second: self.written })
    }

    /// The packs, by place in the list, that a check is to read; of `packs`, with their lengths.
    pub(crate) fn choose(&self, packs: &[(Id, u64)], portion: Portion) -> Vec<usize> {
        let total: u64 = packs.iter().map(|(_, size)| size).sum();
        let budget = match portion {
            Portion::All => return (0..packs.len()).collect(),
            Portion::Part { number, of } => {
                let is_in = |id: &Id| {
                    id.0.first_chunk::<4>().is_some_and(|b| u32::from_be_bytes(*b) % of == number - 1)
                };
                return (0..packs.len()).filter(|at| is_in(&packs[*at].0)).collect();
            }
            Portion::Percent(percent) => (total as f64 * percent / 100.0).ceil() as u64,
            Portion::Bytes(bytes) => bytes,
        };
        let mut order: Vec<usize> = (0..packs.len()).collect();
        order.sort_by_key(|at| (self.since(&packs[*at].0), packs[*at].0));
        let mut taken = 0;
        let chosen = order.into_iter().take_while(|at| {
            let is_wanted = taken < budget;
            taken += packs[*at].1;
            is_wanted
        });
        chosen.collect()
    }

    /// Notes what a check has read of the packs that there are, and what of that was wrong.
    pub(crate) fn note(
        &mut self,
        packs: &[(Id, u64)],
        read: &[usize],
        is_damaged: impl Fn(&Id) -> bool,
        now: Timestamp,
    ) {
        let mut noted = HashMap::with_capacity(packs.len());
        for (id, _) in packs {
            let unread = Since { was_read: false, second: now.as_second() };
            noted.insert(*id, self.packs.get(id).copied().unwrap_or(unread));
        }
        for at in read {
            let (id, _) = packs[*at];
            let since = if is_damaged(&id) {
                // It counts as unread until a check finds it right.
                Since { was_read: false, second: self.since(&id).second }
            } else {
                Since { was_read: true, second: now.as_second() }
            };
            noted.insert(id, since);
        }
        (self.packs, self.written) = (noted, now.as_second());
    }

    pub(crate) fn save(&self, vault: &Vault) -> Result<(), Error> {
        let mut text = Vec::with_capacity(MAGIC.len() + 8 + self.packs.len() * RECORD);
        text.extend_from_slice(MAGIC);
        text.extend_from_slice(&self.written.to_le_bytes());
        for (id, since) in &self.packs {
            text.extend_from_slice(&id.0);
            text.extend_from_slice(&since.second.to_le_bytes());
            text.push(u8::from(since.was_read));
        }
        let mut sealed = Vec::new();
        vault.key.seal(&text, &mut sealed)?;
        let mut noise = [0; 8];
        random(&mut noise)?;
        let temporary = self.file.with_extension(hex::encode(noise));
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let result = (|| {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.file)?;
            File::open(folder)?.sync_all()
        })();
        result.map_err(|source| {
            let _ = fs::remove_file(&temporary);
            Error::Io { op: "write", path: self.file.clone(), source }
        })
    }

    pub(crate) fn coverage(&self, packs: &[(Id, u64)], now: Timestamp, within: SignedDuration) -> Coverage {
        let from = now.as_second() - within.as_secs();
        let mut coverage = Coverage { bytes: 0, bytes_covered: 0, bytes_overdue: 0, oldest_read: None };
        let mut oldest = Some(i64::MAX);
        for (id, size) in packs {
            let since = self.since(id);
            coverage.bytes += size;
            // A time in the future is a clock that was wrong: nobody knows when that pack was read.
            let is_recent = (from..=now.as_second()).contains(&since.second);
            if !is_recent {
                coverage.bytes_overdue += size;
            } else if since.was_read {
                coverage.bytes_covered += size;
            }
            oldest = oldest.filter(|_| since.was_read).map(|oldest| oldest.min(since.second));
        }
        coverage.oldest_read = oldest.and_then(|second| Timestamp::from_second(second).ok());
        coverage
    }
}

impl Vault {
    /// How much of the vault was read and found right `within` this time before `now`, as the record in this folder has it; `None` if
    /// no check that read data ever left one.
    pub fn coverage(&self, folder: &Path, now: Timestamp, within: SignedDuration) -> Option<Coverage> {
        let reads = Reads::load(folder, self);
        (!reads.is_new()).then(|| reads.coverage(&self.packs_there(), now, within))
    }

    /// Packs that are there, each once, with their lengths.
    pub(crate) fn packs_there(&self) -> Vec<(Id, u64)> {
        let index = self.index();
        let first = |numbers: &Vec<u32>| numbers.first().map(|number| index.pack(*number));
        index.by_pack().iter().filter_map(first).filter_map(|pack| Some((pack.id, pack.size?))).collect()
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    File::open(file)?.take(MAX_FILE).read_to_end(&mut sealed)?;
    Ok(sealed)
}

fn parse(text: &[u8]) -> Option<(i64, HashMap<Id, Since>)> {
    let (written, rest) = text.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    let (records, []) = rest.as_chunks::<RECORD>() else { return None };
    let packs = records.iter().filter_map(|record| {
        let (id, rest) = record.split_first_chunk::<32>()?;
        let (second, flag) = rest.split_first_chunk::<8>()?;
        Some((Id(*id), Since { was_read: flag == [1], second: i64::from_le_bytes(*second) }))
    });
    Some((i64::from_le_bytes(*written), packs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    #[test]
    fn portions_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2/7", Some(Portion::Part { number: 2, of: 7 })),
            ("3.5%", Some(Portion::Percent(3.5))),
            ("50G", Some(Portion::Bytes(50 << 30))),
            ("1048576", Some(Portion::Bytes(1 << 20))),
            ("0/7", None),
            ("8/7", None),
            ("0%", None),
            ("101%", None),
            ("NaN%", None),
            ("0", None),
            ("5 apples", None),
            ("99999999999T", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_part_each_day_reaches_everything_in_as_many_days_as_there_are_parts() {
        let packs: Vec<(Id, u64)> = (0..100u8).map(|n| (Id::of(&[n]), 1000 + u64::from(n))).collect();
        let mut reads = Reads { file: PathBuf::new(), written: 0, packs: HashMap::new() };
        let month = SignedDuration::from_hours(31 * 24);
        for day in 1..=40 {
            let chosen = reads.choose(&packs, Portion::Percent(4.0));
            reads.note(&packs, &chosen, |_| false, at(day));
        }
        let coverage = reads.coverage(&packs, at(41), month);
        assert_eq!((coverage.percent(), coverage.bytes_overdue), (100, 0));
        // A month without a check, and all of it is overdue.
        let later = reads.coverage(&packs, at(80), month);
        assert_eq!((later.percent(), later.bytes_overdue), (0, coverage.bytes));
        // A pack that came yesterday is not overdue; one that was found damaged is not covered.
        let mut more = packs.clone();
        more.push((Id::of(b"new"), 500));
        let with_new = reads.coverage(&more, at(41), month);
        assert_eq!((with_new.bytes - with_new.bytes_covered, with_new.bytes_overdue), (500, 0));
        reads.note(&packs, &[7], |_| true, at(41));
        assert_eq!(reads.coverage(&packs, at(41), month).oldest_read, None);
        // Parts by number are disjoint, and all of them are everything.
        let mut all: Vec<usize> =
            (1..=7).flat_map(|number| reads.choose(&packs, Portion::Part { number, of: 7 })).collect();
        all.sort_unstable();
        assert_eq!(all, (0..packs.len()).collect::<Vec<_>>());
    }
}
