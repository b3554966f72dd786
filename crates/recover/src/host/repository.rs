//! One protected host's repository: it grows, and nothing in it changes or goes away by its client's hand.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Settings;
use super::folder::{self, Folder};
use super::name::{ClientName, FileName, Kind};
use super::receipts::{Event, Kept, Open, Receipt, Receipts, Stock, on_medium};
use super::refusal::Refusal;
use super::upload::Upload;
use crate::Error;
use crate::vault::{open_at, random_bytes};

/// What is looked at: all there is now, or what had been received at a time, whatever was added or removed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All there is now.
    Now,
    /// What the host had then. Nothing can be written to it.
    AsOf(Timestamp),
}

/// A repository of the host.
#[derive(Debug)]
pub struct Repository {
    pub(super) name: ClientName,
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    pub(super) live: Folder,
    pub(super) aside: Folder,
    pub(super) incoming: OwnedFd,
    receipts: Mutex<Receipts>,
    /// Bytes announced by uploads that are under way.
    pub(super) reserved: AtomicU64,
}

impl Repository {
    pub(super) fn open(root: &Path, name: &ClientName, settings: Settings) -> Result<Repository, Error> {
        let path = root.join("repositories").join(name.as_str());
        let failed = |source| Error::Io { op: "open the repository", path: path.clone(), source };
        let live = Folder::make(&path).map_err(failed)?;
        let aside = Folder::make(&root.join("aside").join(name.as_str())).map_err(failed)?;
        let incoming = root.join("incoming").join(name.as_str());
        fs::create_dir_all(&incoming).map_err(failed)?;
        let incoming = open_at::named_dir(&incoming).map_err(failed)?;
        for folder in ["repositories", "aside", "incoming", "receipts"] {
            File::open(root.join(folder)).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        let receipts = Mutex::new(Receipts::open(root, name)?);
        Ok(Repository {
            name: name.clone(),
            settings,
            live,
            aside,
            incoming,
            receipts,
            reserved: AtomicU64::new(0),
            path,
        })
    }

    /// Whose it is.
    pub fn name(&self) -> &ClientName {
        &self.name
    }

    /// Its folder, which a stock restic and [`crate::vault::Vault::open`] read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn failed(&self, op: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::VaultFull { dir: self.path.clone(), source }
            }
            _ => Error::Io { op, path: self.path.clone(), source },
        }
    }

    pub(super) fn receipts(&self) -> MutexGuard<'_, Receipts> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the host was killed: uploads that were cut off are cleared away, and files and receipts are brought together.
    /// Returns the files that should be there and are not.
    pub(super) fn settle(&self) -> Result<Vec<FileName>, Error> {
        folder::clear(&self.incoming).map_err(self.failed("clear the uploads of"))?;
        let mut receipts = self.receipts();
        let mut open = receipts.hold()?;
        let mut lines = Vec::new();
        let mut missing = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for kind in [Kind::Config, Kind::Keys, Kind::Snapshots, Kind::Index, Kind::Data] {
            for (name, size) in self.list_now(kind)? {
                seen.insert(name);
                match open.stock.files.get(&name) {
                    None => lines.push(Receipt::new(Event::Found, &name, size, "host")),
                    // The receipt of its removal was written, and then the host died.
                    Some(kept) if kept.aside.is_some() => self.move_aside(&name)?,
                    Some(_) => {}
                }
            }
        }
        for (name, kept) in &open.stock.files {
            let gone = match &kept.aside {
                None => !seen.contains(name),
                Some(_) => !self.aside.has(name).map_err(self.failed("look into"))?,
            };
            match (gone, &kept.aside) {
                (true, Some(aside)) => {
                    let mut line = Receipt::new(Event::Removed, name, kept.size, "host");
                    line.removal = Some(aside.removal);
                    lines.push(line);
                }
                (true, None) => missing.push(*name),
                (false, _) => {}
            }
        }
        if !lines.is_empty() {
            open.append(lines)?;
        }
        Ok(missing)
    }

    fn list_now(&self, kind: Kind) -> Result<Vec<(FileName, u64)>, Error> {
        if kind == Kind::Config {
            return match self.live.open(&FileName::CONFIG) {
                Ok((_, size)) => Ok(vec![(FileName::CONFIG, size)]),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(e) => Err(self.failed("look into")(e)),
            };
        }
        self.live.list(kind).map_err(self.failed("list"))
    }

    /// Names and lengths of all files of a kind.
    pub fn list(&self, kind: Kind, view: View) -> Result<Vec<(FileName, u64)>, Refusal> {
        let View::AsOf(time) = view else { return Ok(self.list_now(kind)?) };
        let mut receipts = self.receipts();
        let (stock, _) = receipts.look()?;
        let mut found: Vec<(FileName, u64)> = stock
            .files
            .iter()
            .filter(|(name, kept)| name.kind == kind && was_there(kept, time))
            .map(|(name, kept)| (*name, kept.size))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// A file and its length.
    pub fn read(&self, name: &FileName, view: View) -> Result<(File, u64), Refusal> {
        if let View::AsOf(time) = view {
            let mut receipts = self.receipts();
            let (stock, _) = receipts.look()?;
            if !stock.files.get(name).is_some_and(|kept| was_there(kept, time)) {
                return Err(Refusal::NotFound);
            }
        }
        let opened = match (self.live.open(name), view) {
            (Err(e), View::AsOf(_)) if e.kind() == io::ErrorKind::NotFound => self.aside.open(name),
            (result, _) => result,
        };
        opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Refusal::NotFound,
            _ => self.failed("read a file of")(e).into(),
        })
    }

    /// Begins to receive a file. Room for all of it is set aside at once.
    pub fn receive<'r>(
        &'r self,
        name: FileName,
        size: u64,
        quota: u64,
        by: &str,
    ) -> Result<Upload<'r>, Refusal> {
        if size > name.kind.size_max() {
            return Err(Refusal::TooLarge);
        }
        if self.live.has(&name).map_err(self.failed("look into"))? {
            return Err(Refusal::Exists);
        }
        if name.kind == Kind::Locks {
            let locks = self.live.list(Kind::Locks).map_err(self.failed("list"))?;
            if locks.len() as u64 >= Kind::Locks.count_max() {
                return Err(Refusal::TooMany);
            }
        } else {
            let mut receipts = self.receipts();
            let (stock, _) = receipts.look()?;
            if stock.counts.get(&name.kind).copied().unwrap_or(0) >= name.kind.count_max() {
                return Err(Refusal::TooMany);
            }
            // Under the same lock as the look, so that two uploads do not both take the last room.
            let taken = stock.bytes.saturating_add(self.reserved.load(Ordering::Acquire));
            if taken.saturating_add(on_medium(size)) > quota {
                return Err(Refusal::Quota { quota });
            }
            self.reserved.fetch_add(on_medium(size), Ordering::AcqRel);
        }
        let mut noise = [0; 16];
        random_bytes(&mut noise)?;
        Upload::begin(self, name, size, by, folder::temporary_name(noise))
    }

    /// Gives a file that is whole its name and its receipt.
    pub(super) fn admit(&self, temporary: &str, name: &FileName, size: u64, by: &str) -> Result<(), Refusal> {
        if name.kind == Kind::Locks {
            let admitted =
                self.live.admit(&self.incoming, temporary, name).map_err(self.failed("write to"))?;
            return if admitted { Ok(()) } else { Err(Refusal::Exists) };
        }
        let mut receipts = self.receipts();
        let mut open = receipts.hold()?;
        if !self.live.admit(&self.incoming, temporary, name).map_err(self.failed("write to"))? {
            return Err(Refusal::Exists);
        }
        if open.stock.files.get(name).is_some_and(|kept| kept.aside.is_some()) {
            // The same content was set aside before; one copy is enough.
            self.discard_aside(name)?;
        }
        if self.settings.immutable {
            self.live.freeze(name).map_err(self.failed("set the immutable flag in"))?;
        }
        open.append(vec![Receipt::new(Event::Received, name, size, by)])?;
        Ok(())
    }

    /// Removes a lock.
    pub fn remove_lock(&self, name: &FileName) -> Result<(), Refusal> {
        match self.live.remove(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Refusal::NotFound),
            result => Ok(result.map_err(self.failed("remove a lock of"))?),
        }
    }

    /// Puts a file out of sight for an administrator who asked for its removal; returns the removal's number.
    pub fn set_aside(&self, name: &FileName, by: &str) -> Result<u64, Refusal> {
        if matches!(name.kind, Kind::Config | Kind::Locks) {
            return Err(Refusal::Never);
        }
        let mut receipts = self.receipts();
        let mut open = receipts.hold()?;
        let Some(kept) = open.stock.files.get(name).filter(|kept| kept.aside.is_none()).cloned() else {
            return Err(Refusal::NotFound);
        };
        let mut line = Receipt::new(Event::SetAside, name, kept.size, by);
        let removal = open.stock.removal_under_way(by, open.now()).unwrap_or(open.next_line());
        line.removal = Some(removal);
        line.keep_until = Some(self.keep_until(open.stock, name, &kept, open.now()));
        open.append(vec![line])?;
        self.move_aside(name)?;
        Ok(removal)
    }

    /// When a file that is removed now may go for good.
    ///
    /// Without the passphrase the host cannot know which pack a snapshot needs. It knows that a snapshot needs nothing that came after
    /// it, so what came before the newest snapshot is kept as long as that snapshot has to be.
    fn keep_until(&self, stock: &Stock, name: &FileName, kept: &Kept, now: Timestamp) -> Timestamp {
        let later = |time: Timestamp, by: SignedDuration| time.saturating_add(by).unwrap_or(Timestamp::MAX);
        let needed_by = match name.kind {
            Kind::Snapshots => kept.received,
            _ => kept.received.max(stock.newest_snapshot.unwrap_or(kept.received)),
        };
        later(now, self.settings.delay).max(later(needed_by, self.settings.retain))
    }

    pub(super) fn move_aside(&self, name: &FileName) -> Result<(), Error> {
        let failed = self.failed("set aside a file of");
        self.live.thaw(name).map_err(&failed)?;
        self.live.hand_over(&self.aside, name).map_err(&failed)?;
        if self.settings.immutable { self.aside.freeze(name).map_err(failed) } else { Ok(()) }
    }

    pub(super) fn discard_aside(&self, name: &FileName) -> Result<(), Error> {
        let failed = self.failed("remove a file of");
        match self.aside.thaw(name).and_then(|()| self.aside.remove(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
            _ => Ok(()),
        }
    }

    pub(super) fn hold<T>(&self, work: impl FnOnce(&mut Open<'_>) -> Result<T, Error>) -> Result<T, Error> {
        work(&mut self.receipts().hold()?)
    }

    /// Bytes that it takes on the medium, and the line at which its receipts are broken.
    pub fn usage(&self) -> Result<(u64, Option<u64>), Error> {
        let mut receipts = self.receipts();
        let (stock, broken_at) = receipts.look()?;
        Ok((stock.bytes, broken_at))
    }
}

fn was_there(kept: &Kept, time: Timestamp) -> bool {
    kept.since <= time && kept.aside.as_ref().is_none_or(|aside| aside.at > time)
}
