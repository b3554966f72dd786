//! Removals: what an administrator removed is out of sight at once, and gone only after a time in which it can be put back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::name::{ClientName, FileName, Kind};
use super::receipts::{Event, Receipt, Stock};
use super::repository::Repository;
use crate::Error;

/// What one administrator removes within a day is one removal.
const ONE_REMOVAL: SignedDuration = SignedDuration::from_hours(24);

/// A removal that can still be cancelled.
#[derive(Debug, Clone)]
pub struct Removal {
    /// Its number in its repository.
    pub number: u64,
    /// Whose files.
    pub repository: ClientName,
    /// Whose key it was.
    pub by: String,
    /// When it began.
    pub opened: Timestamp,
    /// When its first file may go for good.
    pub first_due: Timestamp,
    /// When its last file may go for good.
    pub last_due: Timestamp,
    /// Files.
    pub files: u64,
    /// Snapshots among them.
    pub snapshots: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Stock {
    /// The removal that somebody's next file belongs to.
    pub(super) fn removal_under_way(&self, by: &str, now: Timestamp) -> Option<u64> {
        let (number, last_by, opened) = self.last_removal.as_ref()?;
        (last_by == by && now.duration_since(*opened) < ONE_REMOVAL).then_some(*number)
    }
}

impl Repository {
    /// The removals that wait, oldest first.
    pub fn removals(&self) -> Result<Vec<Removal>, Error> {
        let mut receipts = self.receipts();
        let (stock, _) = receipts.look()?;
        let mut found: BTreeMap<u64, Removal> = BTreeMap::new();
        for (name, kept) in &stock.files {
            let Some(aside) = &kept.aside else { continue };
            let removal = found.entry(aside.removal).or_insert_with(|| Removal {
                number: aside.removal,
                repository: self.name.clone(),
                by: aside.by.clone(),
                opened: aside.at,
                first_due: aside.keep_until,
                last_due: aside.keep_until,
                files: 0,
                snapshots: 0,
                bytes: 0,
            });
            removal.opened = removal.opened.min(aside.at);
            removal.first_due = removal.first_due.min(aside.keep_until);
            removal.last_due = removal.last_due.max(aside.keep_until);
            removal.files += 1;
            removal.snapshots += u64::from(name.kind == Kind::Snapshots);
            removal.bytes = removal.bytes.saturating_add(kept.size);
        }
        Ok(found.into_values().collect())
    }

    /// Puts every file of a removal back; returns how many.
    pub fn cancel(&self, number: u64, by: &str) -> Result<u64, Error> {
        self.hold(|open| {
            let mut lines = Vec::new();
            for (name, kept) in &open.stock.files {
                if kept.aside.as_ref().is_some_and(|aside| aside.removal == number) {
                    self.put_back(name)?;
                    let mut line = Receipt::new(Event::PutBack, name, kept.size, by);
                    line.removal = Some(number);
                    lines.push(line);
                }
            }
            let count = lines.len() as u64;
            open.append(lines)?;
            Ok(count)
        })
    }

    fn put_back(&self, name: &FileName) -> Result<(), Error> {
        let failed = self.failed("put back a file of");
        // A run that was killed had put it back already.
        if self.aside.has(name).map_err(&failed)? {
            self.aside.thaw(name).map_err(&failed)?;
            self.aside.hand_over(&self.live, name).map_err(&failed)?;
        }
        if self.settings.immutable { self.live.freeze(name).map_err(failed) } else { Ok(()) }
    }

    /// Removes for good what may go by now; returns how many files and bytes. Receipts that cannot be trusted remove nothing.
    pub fn remove_due(&self, by: &str) -> Result<(u64, u64), Error> {
        let broken_at = self.usage()?.1;
        if let Some(line) = broken_at {
            return Err(Error::ReceiptsBroken { repository: self.name.to_string(), line });
        }
        self.hold(|open| {
            let now = Timestamp::now();
            let mut lines = Vec::new();
            for (name, kept) in &open.stock.files {
                let Some(aside) = kept.aside.as_ref().filter(|aside| aside.keep_until <= now) else {
                    continue;
                };
                self.discard_aside(name)?;
                let mut line = Receipt::new(Event::Removed, name, kept.size, by);
                line.removal = Some(aside.removal);
                lines.push(line);
            }
            let gone =
                (lines.len() as u64, lines.iter().fold(0u64, |sum, line| sum.saturating_add(line.size)));
            if !lines.is_empty() {
                open.append(lines)?;
            }
            Ok(gone)
        })
    }
}
