use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backend::FileKind;
use super::codec::Codec;
use super::id::{BlobKind, Id};
use super::lock;
use super::pack::{self, Entry};
use super::progress::{Phase, Progress};
use super::reads::{Coverage, Portion, Reads};
use super::repository::Vault;
use super::snapshot::Snapshot;
use super::tree::{Kind, MAX_DEPTH};
use crate::Error;

/// Paths that are named for one problem; the rest is counted.
const MAX_PATHS: usize = 1000;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckLevel {
    /// Index, packs' presence and length, snapshots and directories.
    Structure,
    /// All of it, and every byte of every pack.
    ReadData,
}

/// What a check looks at.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    /// How much of the packs is read; `None` for the structure alone.
    pub data: Option<Portion>,
    /// A folder outside the vault with the record of what was read when. Without it a portion begins anew each time.
    pub reads: Option<PathBuf>,
    /// The moment to note there.
    pub now: Timestamp,
    /// How long a pack counts as read.
    pub within: SignedDuration,
}

impl CheckRequest {
    /// A check that reads this much, and leaves no record.
    pub fn new(data: Option<Portion>) -> CheckRequest {
        CheckRequest { data, reads: None, now: Timestamp::now(), within: READ_WITHIN }
    }
}

/// Every byte is to be read once in a month.
pub(crate) const READ_WITHIN: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Something that is wrong with the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the id of the pack or file.
    pub what: String,
    /// Paths in snapshots that cannot be restored because of it, at most a thousand.
    pub paths: Vec<PathBuf>,
    /// How many there are in all.
    pub paths_total: u64,
    /// What to do.
    pub next_step: String,
}

impl fmt::Display for Problem {
    /// What is wrong, the first few paths that it costs, and what to do, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if self.paths_total > 0 {
            let some: Vec<String> =
                self.paths.iter().take(10).map(|path| path.display().to_string()).collect();
            write!(f, "; it costs {} paths: {}", self.paths_total, some.join(", "))?;
            if self.paths_total > some.len() as u64 {
                f.write_str(" …")?;
            }
        }
        write!(f, "; next: {}", self.next_step)
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// Those of them that were read whole.
    pub packs_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// How much has been read lately, this time included, if a record is kept.
    pub coverage: Option<Coverage>,
    /// Blobs that the index lists.
    pub blobs: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// What is wrong. Empty in a whole repository.
    pub problems: Vec<Problem>,
    /// What is unusual and harmless.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What is damaged: the blobs by pack, and the packs' own troubles.
#[derive(Default)]
struct Damage {
    packs: BTreeMap<Id, String>,
    blobs: HashMap<(BlobKind, Id), Vec<Id>>,
}

impl Vault {
    /// Checks the repository and names every problem and the files it costs.
    pub fn check(&self, level: CheckLevel, progress: &dyn Fn(Progress)) -> Result<CheckReport, Error> {
        let data = (level == CheckLevel::ReadData).then_some(Portion::All);
        self.check_as(&CheckRequest::new(data), progress)
    }

    /// As [`Vault::check`], of a portion, and with a record of what was read when.
    pub fn check_as(
        &self,
        request: &CheckRequest,
        progress: &dyn Fn(Progress),
    ) -> Result<CheckReport, Error> {
        let mut report = CheckReport::default();
        if let Some(owner) = lock::exclusive_owner(&self.backend, &self.codecs)? {
            report.notes.push(format!(
                "the vault is locked exclusively by {owner}: what is being changed may look wrong"
            ));
        }
        // Before the index: a backup that ends meanwhile writes its snapshot last, which would seem to lack its packs.
        let (snapshots, damaged) = self.snapshots()?;
        self.load_index()?;
        self.check_index_files(&mut report)?;
        self.check_small_files(&mut report)?;
        let mut damage = self.check_packs();
        report.packs = self.index().by_pack().len() as u64;
        report.blobs = self.index().blobs();
        self.read_portion(request, &mut damage, &mut report, progress)?;
        report.snapshots = snapshots.len() as u64;
        for error in damaged {
            report.problems.push(problem(
                &error.to_string(),
                "the other snapshots are not affected; fetch this file from another copy of the vault",
            ));
        }
        let walked = self.walk_snapshots(&snapshots, &damage, progress)?;
        name_damage(damage, walked, &mut report);
        report.notes.extend(self.notes());
        Ok(report)
    }

    fn read_portion(
        &self,
        request: &CheckRequest,
        damage: &mut Damage,
        report: &mut CheckReport,
        progress: &dyn Fn(Progress),
    ) -> Result<(), Error> {
        let there = self.packs_there();
        let mut reads = request.reads.as_deref().map(|folder| Reads::load(folder, self));
        if let Some(portion) = request.data {
            let nothing_known = Reads::default();
            let chosen = reads.as_ref().unwrap_or(&nothing_known).choose(&there, portion);
            let packs: Vec<Vec<u32>> = {
                let index = self.index();
                chosen.iter().map(|at| index.listings(&there[*at].0).collect()).collect()
            };
            report.packs_read = packs.len() as u64;
            report.bytes_read = self.read_packs(&packs, damage, progress)?;
            if let Some(reads) = &mut reads {
                reads.note(&there, &chosen, |id| damage.packs.contains_key(id), request.now);
                if let Err(error) = reads.save(self) {
                    // What was found still counts; the next check reads the same part again.
                    report.notes.push(format!("what was read cannot be noted: {}", with_source(&error)));
                }
            }
        }
        report.coverage = reads.map(|reads| reads.coverage(&there, request.now, request.within));
        Ok(())
    }

    fn check_index_files(&self, report: &mut CheckReport) -> Result<(), Error> {
        let next = "nothing is lost by it; `restic rebuild-index` (`repair index` in newer versions) writes a new one";
        let files = self.backend.list(FileKind::Index)?;
        for (id, _) in &files {
            if let Err(error) = self.load_file(FileKind::Index, "index", id) {
                report.problems.push(problem(&error.to_string(), next));
            }
        }
        // Without a snapshot, it is what a first backup left that was killed before it wrote one.
        let has_snapshots = !self.backend.list(FileKind::Snapshot)?.is_empty();
        if files.is_empty() && has_snapshots && !self.index().packs().is_empty() {
            report.problems.push(problem("the index is lost", next));
        }
        Ok(())
    }

    /// Packs that are missing or have the wrong length, and blobs that only they hold.
    fn check_packs(&self) -> Damage {
        let mut damage = Damage::default();
        let index = self.index();
        for (number, pack) in index.packs().iter().enumerate() {
            let cause = match pack.size {
                None => "it is missing".to_owned(),
                Some(size) if size != pack.expected => {
                    format!("it has {size} bytes and should have {}", pack.expected)
                }
                Some(_) => continue,
            };
            damage.packs.insert(pack.id, cause);
            // Of a pack that is there, some blobs may be; reading tells.
            for entry in index.entries(number as u32) {
                let end = u64::from(entry.offset) + u64::from(entry.length);
                if pack.size.is_none_or(|size| end > size) {
                    damage.blobs.entry((entry.kind, entry.id)).or_default().push(pack.id);
                }
            }
        }
        damage
    }

    fn read_packs(
        &self,
        packs: &[Vec<u32>],
        damage: &mut Damage,
        progress: &dyn Fn(Progress),
    ) -> Result<u64, Error> {
        let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let found = Mutex::new(std::mem::take(damage));
        let work = || -> Result<(), Error> {
            let mut reader = PackReader { codec: self.codecs.take()?, pack: Vec::new(), opened: Vec::new() };
            while let Some(numbers) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (id, listings) = self.listings(numbers);
                if listings.is_empty() {
                    continue;
                }
                let (cause, lost) = self.read_pack(&mut reader, &id, &listings, &bytes);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(cause) = cause {
                    found.packs.entry(id).or_insert(cause);
                }
                for key in lost {
                    let packs = found.blobs.entry(key).or_default();
                    if !packs.contains(&id) {
                        packs.push(id);
                    }
                }
            }
            self.codecs.give_back(reader.codec);
            Ok(())
        };
        let total = Some(packs.len() as u64);
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            while running.iter().any(|thread| !thread.is_finished()) {
                let done = next.load(Ordering::Relaxed).min(packs.len()) as u64;
                progress(Progress {
                    phase: Phase::ReadData,
                    done,
                    total,
                    bytes: bytes.load(Ordering::Relaxed),
                });
                std::thread::sleep(Duration::from_millis(10));
            }
            let stopped =
                || Error::Engine { op: "read packs", source: std::io::Error::other("a thread ended early") };
            running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(stopped())))
        })?;
        *damage = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(bytes.into_inner())
    }

    /// A pack that is there, with what index files list in it.
    fn listings(&self, numbers: &[u32]) -> (Id, Vec<Vec<Entry>>) {
        let index = self.index();
        let there = numbers.iter().filter(|number| index.pack(**number).size.is_some());
        let id = numbers.first().map_or(Id([0; 32]), |number| index.pack(*number).id);
        (id, there.map(|number| index.entries(*number)).collect())
    }

    /// What is wrong with a pack as a whole, and which of its blobs are lost.
    fn read_pack(
        &self,
        reader: &mut PackReader,
        id: &Id,
        listings: &[Vec<Entry>],
        bytes: &AtomicU64,
    ) -> (Option<String>, Vec<(BlobKind, Id)>) {
        let entries = || listings.iter().flatten();
        let all = || entries().map(|entry| (entry.kind, entry.id)).collect();
        let PackReader { codec, pack: content, opened } = reader;
        let file = match self.backend.open_pack(id) {
            Ok(file) => file,
            Err(error) => return (Some(error.to_string()), all()),
        };
        if file.size > MAX_PACK {
            return (Some("it is larger than any pack may be".to_owned()), all());
        }
        if let Err(error) = file.read_at(0, file.size as usize, content) {
            return (Some(with_source(&error)), all());
        }
        bytes.fetch_add(file.size, Ordering::Relaxed);
        let mut cause = None;
        if Id::of(content) != *id {
            cause = Some("its content does not match its name".to_owned());
        } else {
            match pack::read_header(codec, id, &file) {
                Ok(header) if listings.iter().any(|listed| *listed != header) => {
                    cause = Some("the index lists other blobs in it than its own header".to_owned());
                }
                Ok(_) => {}
                Err(error) => cause = Some(error.to_string()),
            }
        }
        let mut lost = Vec::new();
        let mut whole = HashSet::new();
        let mut copy = Vec::new();
        for entry in entries() {
            let range = entry.offset as usize..(entry.offset as usize).saturating_add(entry.length as usize);
            let sealed = content.get_mut(range).map(|sealed| {
                if listings.len() == 1 {
                    return sealed;
                }
                // Opening overwrites, and another listing may need the same bytes.
                copy.clear();
                copy.extend_from_slice(sealed);
                copy.as_mut_slice()
            });
            let is_whole = sealed.is_some_and(|sealed| {
                codec.open_blob(entry.kind, &entry.id, sealed, entry.uncompressed, opened).is_ok()
            });
            if !is_whole {
                lost.push((entry.kind, entry.id));
            } else if listings.len() > 1 {
                whole.insert((entry.kind, entry.id));
            }
        }
        lost.retain(|key| !whole.contains(key));
        if cause.is_none() && !lost.is_empty() {
            cause = Some(format!("{} of its {} blobs are damaged", lost.len(), entries().count()));
        }
        (cause, lost)
    }

    /// Walks every directory of every snapshot once and finds what cannot be restored.
    fn walk_snapshots(
        &self,
        snapshots: &[Snapshot],
        damage: &Damage,
        progress: &dyn Fn(Progress),
    ) -> Result<Walked, Error> {
        let mut walked = Walked::default();
        let mut seen = HashSet::new();
        let mut codec = self.codecs.take()?;
        for (done, snapshot) in snapshots.iter().rev().enumerate() {
            let mut stack = vec![(snapshot.tree, PathBuf::from("/"), 0)];
            while let Some((tree, path, depth)) = stack.pop() {
                if !seen.insert(tree) {
                    continue;
                }
                let nodes = match self.load_tree(&mut codec, &tree) {
                    Ok(nodes) if depth <= MAX_DEPTH => nodes,
                    Ok(_) => {
                        walked.add(Cause::Other("directories are nested too deeply".to_owned()), path);
                        continue;
                    }
                    Err(error) => {
                        let cause = match damage.blobs.get(&(BlobKind::Tree, tree)) {
                            Some(packs) => Cause::Packs(packs.clone()),
                            None => Cause::Other(error.to_string()),
                        };
                        walked.add(cause, path);
                        continue;
                    }
                };
                for node in nodes {
                    let path = path.join(OsStr::from_bytes(&node.name));
                    if !node.has_safe_name() {
                        walked.add(Cause::Other("names lead out of their folders".to_owned()), path);
                    } else if node.kind == Kind::Dir {
                        match node.subtree {
                            Some(tree) => stack.push((tree, path, depth + 1)),
                            None => walked
                                .add(Cause::Other("directories without a list of entries".to_owned()), path),
                        }
                    } else {
                        self.check_content(
                            node.content.as_deref().unwrap_or_default(),
                            path,
                            damage,
                            &mut walked,
                        );
                    }
                }
            }
            let total = Some(snapshots.len() as u64);
            progress(Progress { phase: Phase::Structure, done: done as u64 + 1, total, bytes: 0 });
        }
        self.codecs.give_back(codec);
        Ok(walked)
    }

    fn check_content(&self, content: &[Id], path: PathBuf, damage: &Damage, walked: &mut Walked) {
        let index = self.index();
        for id in content {
            let places = index.locations(BlobKind::Data, id);
            if places.is_empty() {
                return walked.add(Cause::Other(format!("content {id} is nowhere in the vault")), path);
            }
            let Some(packs) = damage.blobs.get(&(BlobKind::Data, *id)) else { continue };
            if places.iter().all(|place| packs.contains(&index.pack(place.pack).id)) {
                return walked.add(Cause::Packs(packs.clone()), path);
            }
        }
    }
}

/// What a thread that reads packs keeps between them.
struct PackReader {
    codec: Codec,
    pack: Vec<u8>,
    opened: Vec<u8>,
}

/// Largest pack that is read at once; restic writes at most 128 MiB.
const MAX_PACK: u64 = 256 << 20;

enum Cause {
    Packs(Vec<Id>),
    Other(String),
}

/// What each pack, and each other cause, costs.
#[derive(Default)]
struct Walked {
    by_pack: BTreeMap<Id, BTreeSet<PathBuf>>,
    others: BTreeMap<String, BTreeSet<PathBuf>>,
}

impl Walked {
    fn add(&mut self, cause: Cause, path: PathBuf) {
        match cause {
            Cause::Packs(packs) => packs.into_iter().for_each(|pack| {
                self.by_pack.entry(pack).or_default().insert(path.clone());
            }),
            Cause::Other(what) => {
                self.others.entry(what).or_default().insert(path);
            }
        }
    }
}

fn name_damage(damage: Damage, mut walked: Walked, report: &mut CheckReport) {
    for (pack, cause) in damage.packs {
        let paths = walked.by_pack.remove(&pack).unwrap_or_default();
        let next = if paths.is_empty() {
            "no snapshot needs what is lost; the next backup stores again what it needs"
        } else {
            "fetch the pack from another copy of the vault; if there is none, back up again while the files still exist"
        };
        report.problems.push(Problem {
            paths_total: paths.len() as u64,
            ..problem(&format!("pack {pack}: {cause}"), next)
        });
        if let Some(last) = report.problems.last_mut() {
            last.paths = paths.into_iter().take(MAX_PATHS).collect();
        }
    }
    for (what, paths) in walked.others {
        let mut found =
            problem(&what, "fetch the missing packs from another copy of the vault, or back up again");
        found.paths_total = paths.len() as u64;
        found.paths = paths.into_iter().take(MAX_PATHS).collect();
        report.problems.push(found);
    }
}

fn problem(what: &str, next_step: &str) -> Problem {
    Problem { what: what.to_owned(), paths: Vec::new(), paths_total: 0, next_step: next_step.to_owned() }
}

fn with_source(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
