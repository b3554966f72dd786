//! What the host received and when, by its own clock: retention goes by that, never by what a client says of itself.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Held};
use super::name::{ClientName, FileName, Kind};
use crate::Error;
use crate::vault::Id;

/// A fact about one file of a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// The host's clock, never earlier than in the line before.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    /// Bytes.
    #[serde(default)]
    pub size: u64,
    /// Whose key it was; the host's own command line is `host`.
    pub by: String,
    /// For what belongs to a removal: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<u64>,
    /// For a file that was set aside: when it may be removed for good, not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Timestamp>,
}

/// What may happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It was received whole and is durable.
    Received,
    /// It was there without a receipt: the host died between the two, or somebody put it there. It counts from now.
    Found,
    /// An administrator removed it; it is kept out of sight.
    SetAside,
    /// The removal was cancelled.
    PutBack,
    /// It was removed for good.
    Removed,
}

impl Receipt {
    pub(super) fn new(event: Event, name: &FileName, size: u64, by: &str) -> Receipt {
        Receipt {
            at: Timestamp::now(),
            event,
            kind: name.kind,
            id: (name.kind != Kind::Config).then_some(name.id),
            size,
            by: by.to_owned(),
            removal: None,
            keep_until: None,
        }
    }

    /// Which file.
    pub fn name(&self) -> FileName {
        self.id.map_or(FileName::CONFIG, |id| FileName { kind: self.kind, id })
    }
}

/// A file that is on the medium.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Since when it has been on the medium, set aside or not: views of the past go by it.
    pub(super) since: Timestamp,
    /// When it was last received: retention goes by it.
    pub(super) received: Timestamp,
    /// Bytes.
    pub(super) size: u64,
    /// Set when an administrator removed it.
    pub(super) aside: Option<Aside>,
}

/// A file that waits for its removal.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    /// Since when.
    pub(super) at: Timestamp,
    /// Not removed for good before.
    pub(super) keep_until: Timestamp,
    /// Number of the removal.
    pub(super) removal: u64,
    /// Whose key it was.
    pub(super) by: String,
}

/// What a repository holds, as its receipts say.
#[derive(Debug, Default)]
pub(super) struct Stock {
    pub(super) files: HashMap<FileName, Kept>,
    /// Bytes, each file counted in whole blocks.
    pub(super) bytes: u64,
    pub(super) counts: HashMap<Kind, u64>,
    /// Receipt of the newest snapshot, removed ones included.
    pub(super) newest_snapshot: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Number of the newest removal, by whom and since when.
    pub(super) last_removal: Option<(u64, String, Timestamp)>,
}

/// Tiny files take their room, too.
pub(super) fn on_medium(size: u64) -> u64 {
    size.div_ceil(4096).max(1).saturating_mul(4096)
}

impl Stock {
    pub(super) fn take(&mut self, receipt: &Receipt) {
        let name = receipt.name();
        self.last = self.last.max(Some(receipt.at));
        match receipt.event {
            Event::Received | Event::Found => {
                // The same content comes again after it was set aside: it never left the medium.
                let since = self.files.get(&name).map_or(receipt.at, |before| before.since);
                let kept = Kept { since, received: receipt.at, size: receipt.size, aside: None };
                match self.files.insert(name, kept) {
                    Some(before) => self.give_back(before.size),
                    None => *self.counts.entry(name.kind).or_default() += 1,
                }
                // A line that was tampered with may claim any length.
                self.bytes = self.bytes.saturating_add(on_medium(receipt.size));
                if name.kind == Kind::Snapshots {
                    self.newest_snapshot = self.newest_snapshot.max(Some(receipt.at));
                }
            }
            Event::SetAside => {
                let number = receipt.removal.unwrap_or_default();
                if self.last_removal.as_ref().is_none_or(|last| last.0 != number) {
                    self.last_removal = Some((number, receipt.by.clone(), receipt.at));
                }
                if let Some(kept) = self.files.get_mut(&name) {
                    kept.aside = Some(Aside {
                        at: receipt.at,
                        keep_until: receipt.keep_until.unwrap_or(Timestamp::MAX),
                        removal: number,
                        by: receipt.by.clone(),
                    });
                }
            }
            Event::PutBack => {
                self.last_removal = None;
                if let Some(kept) = self.files.get_mut(&name) {
                    kept.aside = None;
                }
            }
            Event::Removed => {
                if let Some(kept) = self.files.remove(&name) {
                    self.give_back(kept.size);
                    *self.counts.entry(name.kind).or_default() -= 1;
                }
            }
        }
    }

    fn give_back(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_sub(on_medium(size));
    }
}

/// The receipts of one repository.
#[derive(Debug)]
pub(super) struct Receipts {
    chain: Chain,
    stock: Stock,
}

/// Held while a repository is changed: no other process changes it meanwhile.
pub(super) struct Open<'r> {
    held: Held<'r>,
    pub(super) stock: &'r mut Stock,
}

impl Receipts {
    pub(super) fn open(root: &Path, client: &ClientName) -> Result<Receipts, Error> {
        let chain = Chain::open(&root.join("receipts").join(format!("{client}.jsonl")))?;
        Ok(Receipts { chain, stock: Stock::default() })
    }

    pub(super) fn hold(&mut self) -> Result<Open<'_>, Error> {
        let stock = &mut self.stock;
        let held = self.chain.hold(|_, receipt: Receipt| stock.take(&receipt))?;
        Ok(Open { held, stock })
    }

    /// The stock as it is now, and the line at which the chain is broken.
    pub(super) fn look(&mut self) -> Result<(&Stock, Option<u64>), Error> {
        self.hold()?;
        Ok((&self.stock, self.chain.broken_at()))
    }

    /// All lines, oldest first.
    pub(super) fn all(root: &Path, client: &ClientName) -> Result<(Vec<Receipt>, Option<u64>), Error> {
        let mut chain = Chain::open(&root.join("receipts").join(format!("{client}.jsonl")))?;
        let mut all = Vec::new();
        chain.hold(|_, receipt: Receipt| all.push(receipt))?;
        Ok((all, chain.broken_at()))
    }
}

impl Open<'_> {
    /// The time of what is written now: a clock that was set back does not make old what came later.
    pub(super) fn now(&self) -> Timestamp {
        self.stock.last.map_or_else(Timestamp::now, |last| last.max(Timestamp::now()))
    }

    pub(super) fn next_line(&self) -> u64 {
        self.held.lines() + 1
    }

    pub(super) fn append(&mut self, mut receipts: Vec<Receipt>) -> Result<(), Error> {
        let now = self.now();
        receipts.iter_mut().for_each(|receipt| receipt.at = now);
        self.held.append(&receipts)?;
        receipts.iter().for_each(|receipt| self.stock.take(receipt));
        Ok(())
    }
}
