//! `encryption.smb`: files on a file server are read, written back and renamed, one after another.
//!
//! It counts files, not their rate (Morato, Berrueta, Magaña and Izal 2018 and 2022). Three shapes:
//!
//! - each file is read, written and renamed, and nothing is removed: eight files are enough. A save by Office renames too, but removes
//!   what was before; a copy writes nothing, a move neither reads nor writes;
//! - each file is read, written under a new name, and the old one removed; or written in place without a new name. Imports and bulk
//!   changes look like that, so many more files are asked for and the severity is lower.
//!
//! SMB 3 with encryption still shows each request's length, from which most requests are told (a close has 88 bytes, a read 112 to 116).

use std::collections::VecDeque;
use std::net::IpAddr;

use schema::{Attack, Lang, NetEvent, Severity, Sight, SmbSight, SmbVerb, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, span};
use crate::network::view::{HOUR, MINUTE, SECOND, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "encryption.smb",
    title: "Files on a file server are being encrypted over the network",
    title_ja: "ファイルサーバー上のファイルがネットワーク経由で暗号化されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 4096;
/// Requests that are looked at together.
const KEPT: usize = 512;
const WITHIN: i64 = HOUR;
/// Files of the weaker shapes, within [`WEAK_WITHIN`].
const WEAK_MANY: u32 = 60;
const WEAK_WITHIN: i64 = 15 * MINUTE;
/// What is guessed from lengths needs this much more.
const SEALED_MORE: u32 = 4;

fn attacks() -> Vec<Attack> {
    vec![attack("T1486", "Data Encrypted for Impact", Tactic::Impact)]
}

/// What clients do with file servers' files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Works {
    pairs: Table<(IpAddr, IpAddr), Work>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Work {
    deeds: VecDeque<Done>,
    /// Behind encryption: whether something is open, as far as lengths tell.
    open: bool,
    sealed: bool,
    /// Bytes that were read and written behind encryption, lately.
    volume: [u64; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    deed: Deed,
    at: i64,
    packet: u64,
}

/// What is done with a file, as far as it matters here. Reads and writes of one file in a row are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Deed {
    Read,
    Write,
    Make,
    Rename,
    Delete,
}

/// How often each was done.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    reads: u32,
    writes: u32,
    makes: u32,
    renames: u32,
    deletes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Renamed,
    Replaced,
    InPlace,
}

impl Default for Works {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX) }
    }
}

impl Works {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted()
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        let (client, server) = (event.contact.client.address, event.contact.server.address);
        let last = |work: &Work| work.deeds.back().map_or(0, |done| done.packet);
        self.pairs.warm(&(client, server), last);
    }

    /// Takes in requests to file servers.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Smb(sight) = view.sight() else { return };
        match *sight {
            SmbSight::Request { verb, .. } => {
                let Some(deed) = deed_of(verb) else {
                    if verb == SmbVerb::Close
                        && let Some(work) = self.pairs.get_mut(&(view.client(), view.server()))
                    {
                        work.open = false;
                    }
                    return;
                };
                let work = self.pairs.slot((view.client(), view.server()));
                work.sealed = false;
                work.take(deed, view, tell);
            }
            SmbSight::Sealed { bytes, from_client } => {
                let work = self.pairs.slot((view.client(), view.server()));
                work.sealed = true;
                if let Some(deed) = work.guess(bytes, from_client) {
                    work.take(deed, view, tell);
                }
            }
            _ => {}
        }
    }
}

fn deed_of(verb: SmbVerb) -> Option<Deed> {
    match verb {
        SmbVerb::Read => Some(Deed::Read),
        SmbVerb::Write => Some(Deed::Write),
        SmbVerb::Create | SmbVerb::CreateProgram => Some(Deed::Make),
        SmbVerb::Rename => Some(Deed::Rename),
        SmbVerb::Delete => Some(Deed::Delete),
        _ => None,
    }
}

impl Work {
    /// What an encrypted message probably was, by its length ([MS-SMB2] §2.2).
    fn guess(&mut self, bytes: u32, from_client: bool) -> Option<Deed> {
        // Header and fixed part of an answer to a read, or of a write.
        const READ_ANSWER: u32 = 80;
        const WRITE: u32 = 112;
        const DATA: u32 = 512;
        if !from_client {
            let data = bytes.saturating_sub(READ_ANSWER);
            if data >= DATA {
                self.volume[0] += u64::from(data);
            }
            return None;
        }
        match bytes {
            88 => {
                self.open = false;
                None
            }
            97 => Some(Deed::Delete),
            112..=116 => Some(Deed::Read),
            _ if bytes >= WRITE + DATA => {
                self.volume[1] += u64::from(bytes - WRITE);
                Some(Deed::Write)
            }
            // A create, and while something is open a rename: both carry a name, two bytes a letter.
            118..=600 if bytes.is_multiple_of(2) => {
                if std::mem::replace(&mut self.open, true) {
                    Some(Deed::Rename)
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    fn take(&mut self, deed: Deed, view: &View<'_>, tell: &mut Tell<'_>) {
        let at = view.at();
        let is_run = matches!(deed, Deed::Read | Deed::Write);
        if is_run && self.deeds.back().is_some_and(|last| last.deed == deed) {
            return;
        }
        while self.deeds.front().is_some_and(|done| at.saturating_sub(done.at).saturating_abs() > WITHIN)
            || self.deeds.len() >= KEPT
        {
            self.deeds.pop_front();
            // What was read and written long ago says nothing about now.
            self.volume = self.volume.map(|bytes| bytes - bytes / 256);
        }
        self.deeds.push_back(Done { deed, at, packet: view.event.packet });
        let ends_file = match deed {
            Deed::Rename | Deed::Delete => true,
            Deed::Write => self.deeds.len() >= WEAK_MANY as usize && self.deeds.len().is_multiple_of(16),
            Deed::Read | Deed::Make => false,
        };
        if ends_file && let Some((shape, files)) = self.shape(view) {
            self.tell(shape, files, view, tell);
        }
    }

    fn counts(&self, since: i64) -> Counts {
        let mut counts = Counts::default();
        for done in self.deeds.iter().filter(|done| done.at >= since) {
            let count = match done.deed {
                Deed::Read => &mut counts.reads,
                Deed::Write => &mut counts.writes,
                Deed::Make => &mut counts.makes,
                Deed::Rename => &mut counts.renames,
                Deed::Delete => &mut counts.deletes,
            };
            *count += 1;
        }
        counts
    }

    fn shape(&self, view: &View<'_>) -> Option<(Shape, u32)> {
        let least = view.rules.thresholds.files_replaced;
        let all = self.counts(i64::MIN);
        // A save by way of a temporary file renames once or twice for each file that it removes.
        let kept_renames = all.renames.saturating_sub(2 * all.deletes);
        let renamed = all.reads.min(all.writes).min(kept_renames);
        let least = if self.sealed { least + SEALED_MORE } else { least };
        let mostly = |part: u32, whole: u32| part * 10 >= whole * 6;
        let no_saves = kept_renames * 2 >= all.renames;
        if renamed >= least && no_saves && mostly(renamed, kept_renames) && all.writes <= 3 * all.renames {
            return (!self.sealed || self.is_balanced()).then_some((Shape::Renamed, renamed));
        }
        let late = self.counts(view.at() - WEAK_WITHIN);
        let both = late.reads.min(late.writes);
        if both < WEAK_MANY || self.sealed {
            return None;
        }
        let replaced = both.min(late.makes).min(late.deletes.saturating_sub(late.renames));
        if replaced >= WEAK_MANY && mostly(replaced, late.deletes) && mostly(replaced, late.reads) {
            return Some((Shape::Replaced, replaced));
        }
        let is_in_place = late.renames * 10 <= both && late.deletes * 10 <= both;
        let in_step = mostly(both, late.reads) && mostly(both, late.writes) && mostly(late.makes, both);
        (is_in_place && in_step).then_some((Shape::InPlace, both))
    }

    /// As much is written as was read.
    fn is_balanced(&self) -> bool {
        let [read, written] = self.volume;
        written * 2 >= read && read * 2 >= written && written > 0
    }

    fn tell(&self, shape: Shape, files: u32, view: &View<'_>, tell: &mut Tell<'_>) {
        let mut trail = Trail::default();
        for done in &self.deeds {
            trail.add_at(done.at, done.packet);
        }
        let fast = trail.last - trail.first <= files as i64 * 5 * SECOND;
        let severity = match shape {
            Shape::Renamed if fast => Severity::Critical,
            Shape::Renamed => Severity::High,
            Shape::Replaced | Shape::InPlace => Severity::Medium,
        };
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail)
            .severity(severity)
            .size(u64::from(files));
        tell.say(saying, || self.words(shape, files, trail, view));
    }

    fn words(&self, shape: Shape, files: u32, trail: Trail, view: &View<'_>) -> Words {
        let (client, server) = (view.client(), view.server());
        let took = trail.last - trail.first;
        let [en, ja] = match shape {
            Shape::Renamed => ["each was read, written and renamed", "いずれも読み取り・書き込み・名前変更"],
            Shape::Replaced => [
                "each was read and written anew, and the old one removed",
                "いずれも読み取り・新しいファイルへの書き込み・元ファイルの削除",
            ],
            Shape::InPlace => ["each was read and written in place", "いずれも読み取り後にその場で上書き"],
        };
        let counts = self.counts(i64::MIN);
        Words::new(
            [
                format!("{client} replaces files on {server} one after another, as an encryption does"),
                format!("{client} が {server} のファイルを次々に置き換えています（暗号化の疑い）"),
            ],
            attacks(),
        )
        .because(
            format!("At least {files} files in {}: {en}", span(took, Lang::En)),
            format!("{}の間に少なくとも{files}件: {ja}", span(took, Lang::Ja)),
        )
        .because(
            format!(
                "Runs of reads {}, of writes {}, renames {}, removals {}",
                counts.reads, counts.writes, counts.renames, counts.deletes
            ),
            format!(
                "読み取り{}回、書き込み{}回、名前変更{}回、削除{}回",
                counts.reads, counts.writes, counts.renames, counts.deletes
            ),
        )
        .because_if(
            self.sealed,
            "The connection is encrypted: the requests were told from their lengths",
            "通信は暗号化されており、要求の長さから判定しました",
        )
    }
}
