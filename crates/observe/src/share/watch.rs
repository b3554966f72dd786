//! Looking at a share again and again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use decode::content::Sample;
use schema::{FileEvidence, ShareLook};

use super::Decoys;
use super::canary::join;
use super::client::{Entry, Listed, Stamp, Trouble};
use super::differ::{Changed, Files, differ};
use super::evidence::evidence;
use super::remember::Samples;
use super::view::View;

/// What one watch may take.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Files that are remembered; what is beyond is not watched, and said so.
    pub files_max: usize,
    /// Entries of one folder.
    pub folder_entries_max: usize,
    /// Folders below each other.
    pub depth_max: usize,
    /// Time for the first look, which is to be whole, and for a pull.
    pub look_time: Duration,
    /// Time for one later look; the next goes on where it stopped, so that glances come between.
    pub slice: Duration,
    /// Changed files of which one look reads a sample; the others wait for the next.
    pub samples_per_look: usize,
    /// Files of which a sample is read at the start.
    pub samples_at_start: usize,
    /// Bytes of samples kept in memory.
    pub sample_bytes_max: usize,
    /// Files that glances read beside the decoys.
    pub standing: usize,
    /// Files that one look reads again though their times say that nothing changed.
    pub spot_checks: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            files_max: 500_000,
            folder_entries_max: 100_000,
            depth_max: 40,
            look_time: Duration::from_secs(1800),
            slice: Duration::from_secs(4),
            samples_per_look: 256,
            samples_at_start: 512,
            sample_bytes_max: 32 << 20,
            standing: 16,
            spot_checks: 64,
        }
    }
}

/// Time for reading the samples of one look or glance.
const READING_MAX: Duration = Duration::from_secs(60);
/// Changed files that wait for a sample.
const WAITING_MAX: usize = 8192;

/// What a watch covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cover {
    /// Files that are remembered.
    pub files: usize,
    /// Folders that are remembered.
    pub folders: usize,
    /// Files whose former content is known by a sample.
    pub samples: usize,
    /// Files that every glance reads.
    pub standing: usize,
    /// Decoys that every glance reads.
    pub canaries: usize,
    /// Entries left out: beyond a bound, links, impossible names, folders that cannot be listed.
    pub left_out: u64,
    /// Whether a whole round over the share was made.
    pub complete: bool,
}

/// A share with what is remembered of it.
pub struct Watch {
    view: View,
    bounds: Bounds,
    decoys: Option<Decoys>,
    memory: Memory,
    standing: Vec<Standing>,
    /// Changed files that wait for a sample: folder and change.
    waiting: VecDeque<(String, Changed)>,
    /// Where the next spot checks go on.
    checked: usize,
}

/// A file that every glance reads.
struct Standing {
    folder: String,
    name: Box<str>,
    stamp: Stamp,
}

struct Memory {
    below: Vec<String>,
    folders: BTreeMap<String, Folder>,
    files: usize,
    samples: Samples,
    hasher: RandomState,
    /// Where the next look goes on.
    rest: Vec<String>,
    left_out: u64,
    complete: bool,
    /// Folders that this round came to, by their identity: a link in the server's tree leads to one twice.
    visited: HashSet<(u64, u64)>,
}

#[derive(Default)]
struct Folder {
    files: Files,
    below: BTreeSet<Box<str>>,
    /// It could not be listed the last time.
    lost: bool,
}

impl Watch {
    /// Takes the first look, which nothing is compared with, and reads the first samples.
    pub fn start(view: View, below: Vec<String>, decoys: Option<Decoys>, bounds: Bounds) -> Self {
        let memory = Memory {
            below: if below.is_empty() { vec![String::new()] } else { below },
            folders: BTreeMap::new(),
            files: 0,
            samples: Samples::new(bounds.sample_bytes_max),
            hasher: RandomState::new(),
            rest: Vec::new(),
            left_out: 0,
            complete: false,
            visited: HashSet::new(),
        };
        let mut watch =
            Self { view, bounds, decoys, memory, standing: Vec::new(), waiting: VecDeque::new(), checked: 0 };
        let deadline = Instant::now() + watch.bounds.look_time;
        watch.round(&mut ShareLook::default(), deadline);
        watch.waiting.clear();
        watch.first_samples();
        watch
    }

    /// How the share is reached, for pauses.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Goes on with a new connection after the old one was lost.
    pub fn reconnected(&mut self, view: View) {
        self.view = view;
    }

    /// What is covered now.
    pub fn cover(&self) -> Cover {
        Cover {
            files: self.memory.files,
            folders: self.memory.folders.len(),
            samples: self.memory.samples.len(),
            standing: self.standing.len(),
            canaries: self.decoys.as_ref().map_or(0, Decoys::count),
            left_out: self.memory.left_out,
            complete: self.memory.complete,
        }
    }

    /// Lists the share, compares it with what is remembered and reads samples of what changed.
    pub fn look(&mut self) -> ShareLook {
        let mut look =
            ShareLook { answered: true, files_known: self.memory.files as u64, ..ShareLook::default() };
        self.round(&mut look, Instant::now() + self.bounds.slice);
        if look.answered {
            self.sample_changes(&mut look);
            self.spot_checks(&mut look);
            self.choose_standing();
        }
        look
    }

    /// Reads the decoys and the standing files. The second value says whether anything about them changed, so that a look is due.
    pub fn glance(&mut self) -> (ShareLook, bool) {
        let mut look = ShareLook { answered: true, ..ShareLook::default() };
        let decoys = self.decoys.as_ref().map(Decoys::files).unwrap_or_default();
        let mut paths: Vec<(usize, String)> =
            decoys.iter().enumerate().map(|(number, decoy)| (number, decoy.path.clone())).collect();
        let standing = self.standing.iter().enumerate();
        paths.extend(standing.map(|(number, file)| (decoys.len() + number, join(&file.folder, &file.name))));
        let mut gone = HashSet::new();
        let nothing_asked = paths.is_empty();
        let (mut disturbed, mut heard) = (false, false);
        for (number, found) in self.view.samples(paths, self.deadline()) {
            heard |= !matches!(found, Err(Trouble::Slow | Trouble::Silent));
            match (found, decoys.get(number)) {
                (Err(Trouble::Silent), _) => look.answered = false,
                (Ok((now, _)), Some(decoy)) if now.head() == decoy.content => {}
                (Ok((now, _)), Some(decoy)) => {
                    let file = self.memory.number("", &decoy.path);
                    let before = Sample::whole(&decoy.content);
                    look.evidence.push(canary_evidence(file, &before, &now));
                    disturbed = true;
                }
                (Err(Trouble::Refused | Trouble::Slow), Some(_)) => look.unread += 1,
                (Err(Trouble::Gone), Some(decoy)) => {
                    disturbed = true;
                    match self.renamed_decoy(&decoy.path, &decoy.content) {
                        Some(evidence) => look.evidence.push(evidence),
                        None => look.canaries_missing += 1,
                    }
                }
                (found, None) => disturbed |= self.stood(number - decoys.len(), found, &mut look, &mut gone),
            }
        }
        let mut number = 0;
        self.standing.retain(|_| {
            number += 1;
            !gone.contains(&(number - 1))
        });
        look.answered &= heard || nothing_asked;
        let due = disturbed && look.answered;
        (look, due)
    }

    /// A standing file was read.
    fn stood(
        &mut self,
        number: usize,
        found: Result<(Sample, Stamp), Trouble>,
        look: &mut ShareLook,
        gone: &mut HashSet<usize>,
    ) -> bool {
        let Some(standing) = self.standing.get_mut(number) else { return false };
        match found {
            Ok((now, stamp)) => {
                let file = self.memory.number(&standing.folder, &standing.name);
                let before = self.memory.samples.get(file);
                // By content: a Samba server shows no time that an encryptor could not put back.
                if stamp == standing.stamp && before.is_none_or(|before| *before == now) {
                    return false;
                }
                let found = evidence(before, &standing.name, standing.stamp.size, &now);
                look.evidence.push(FileEvidence { file, ..found });
                standing.stamp = stamp;
                self.memory.samples.keep(file, now);
                true
            }
            Err(_) => gone.insert(number),
        }
    }

    /// A decoy whose name is gone may stand beside it with a suffix.
    fn renamed_decoy(&self, path: &str, content: &[u8]) -> Option<FileEvidence> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut beside = None;
        let mut take = |listed: Listed| {
            let entries = listed.entries.unwrap_or_default();
            let longer =
                |entry: &&Entry| entry.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            beside = entries.iter().find(longer).map(|entry| entry.name.clone());
            Vec::new()
        };
        self.view.list(vec![folder.to_owned()], self.bounds.folder_entries_max, &mut take, self.deadline());
        let found = self.view.samples(vec![(0, join(folder, &beside?))], self.deadline()).pop()?;
        let (now, _) = found.1.ok()?;
        let evidence = canary_evidence(self.memory.number("", path), &Sample::whole(content), &now);
        Some(FileEvidence { suffix_added: true, original_gone: true, ..evidence })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + READING_MAX
    }

    /// Whether the last look stopped before it had listed everything.
    pub fn is_unfinished(&self) -> bool {
        !self.memory.rest.is_empty()
    }

    /// Lists from where the last look stopped, or anew.
    fn round(&mut self, look: &mut ShareLook, deadline: Instant) {
        let folders = self.memory.next_round();
        let (memory, waiting, bounds) = (&mut self.memory, &mut self.waiting, &self.bounds);
        let mut suffixes = BTreeMap::new();
        let mut silent = Vec::new();
        let mut take = |listed: Listed| match listed.entries {
            Err(Trouble::Slow) if memory.below.contains(&listed.path) => {
                silent.push(listed.path);
                Vec::new()
            }
            Err(Trouble::Silent) => {
                silent.push(listed.path);
                Vec::new()
            }
            Err(trouble) => {
                memory.unlistable(&listed.path, trouble, look);
                Vec::new()
            }
            Ok(entries) => {
                memory.left_out += listed.left_out;
                memory.take(listed.path, entries, bounds, look, &mut suffixes, waiting)
            }
        };
        // With a dead connection every request fails at once, and the walk ends by itself.
        let rest = self.view.list(folders, bounds.folder_entries_max, &mut take, deadline);
        look.answered = silent.is_empty();
        look.suffixed_alike = suffixes.values().copied().max().unwrap_or(0);
        self.memory.complete |= rest.is_empty() && silent.is_empty();
        self.memory.rest = rest;
        self.memory.rest.append(&mut silent);
    }

    /// Reads samples of files that changed, those with a new suffix first.
    fn sample_changes(&mut self, look: &mut ShareLook) {
        let take = self.waiting.len().min(self.bounds.samples_per_look);
        let batch: Vec<(String, Changed)> = self.waiting.drain(..take).collect();
        let path =
            |(number, (folder, changed)): (usize, &(String, Changed))| (number, join(folder, &changed.now));
        let paths = batch.iter().enumerate().map(path).collect();
        let mut unread: Vec<bool> = batch.iter().map(|_| true).collect();
        for (number, found) in self.view.samples(paths, self.deadline()) {
            let Some((folder, changed)) = batch.get(number) else { continue };
            if let Some(unread) = unread.get_mut(number) {
                *unread = !matches!(found, Ok(_) | Err(Trouble::Gone));
            }
            let Ok((now, _)) = found else { continue };
            let file = self.memory.number(folder, &changed.before);
            let before = self.memory.samples.get(file);
            look.evidence.push(FileEvidence {
                file,
                suffix_added: changed.suffix_added,
                suffix_known: changed.suffix_known,
                original_gone: changed.before != changed.now,
                ..evidence(before, &changed.before, changed.size_before, &now)
            });
            if changed.before == changed.now {
                self.memory.samples.keep(file, now);
            }
        }
        for ((folder, changed), unread) in batch.into_iter().zip(unread) {
            if unread {
                look.unread += 1;
                self.waiting.push_back((folder, changed));
            }
        }
        self.waiting.truncate(WAITING_MAX);
    }

    /// Samples of files spread evenly over the share.
    fn first_samples(&mut self) {
        let wanted = self.bounds.samples_at_start.max(1);
        let stride = self.memory.files.div_ceil(wanted).max(1);
        let all = self
            .memory
            .folders
            .iter()
            .flat_map(|(path, folder)| folder.files.keys().map(move |name| (path, name)));
        let chosen: Vec<(String, Box<str>)> =
            all.step_by(stride).map(|(path, name)| (path.clone(), name.clone())).collect();
        let paths =
            chosen.iter().enumerate().map(|(number, (path, name))| (number, join(path, name))).collect();
        for (number, found) in self.view.samples(paths, self.deadline()) {
            if let (Some((path, name)), Ok((sample, _))) = (chosen.get(number), found) {
                let file = self.memory.number(path, name);
                self.memory.samples.keep(file, sample);
            }
        }
        self.choose_standing();
    }

    /// Reads some of the files with a known content again, whatever their times say; each look goes on where the last one stopped.
    fn spot_checks(&mut self, look: &mut ShareLook) {
        let known = self.memory.known();
        let chosen: Vec<(String, Box<str>)> = known
            .iter()
            .cycle()
            .skip(self.checked)
            .take(self.bounds.spot_checks.min(known.len()))
            .map(|(path, name, _)| ((*path).clone(), (*name).into()))
            .collect();
        self.checked = (self.checked + chosen.len()).checked_rem(known.len()).unwrap_or(0);
        let paths =
            chosen.iter().enumerate().map(|(number, (path, name))| (number, join(path, name))).collect();
        for (number, found) in self.view.samples(paths, self.deadline()) {
            let (Some((path, name)), Ok((now, _))) = (chosen.get(number), found) else { continue };
            let file = self.memory.number(path, name);
            let Some(before) = self.memory.samples.get(file).filter(|before| **before != now) else {
                continue;
            };
            look.evidence.push(FileEvidence { file, ..evidence(Some(before), name, before.len, &now) });
            self.memory.samples.keep(file, now);
        }
    }

    /// Files with a known content, first, last and evenly between: encryptors go through a tree in order.
    fn choose_standing(&mut self) {
        let wanted = self.bounds.standing;
        if self.standing.len() >= wanted {
            return;
        }
        let known = self.memory.known();
        let places = wanted.min(known.len());
        let spread = |place: usize| place * (known.len() - 1) / (places.max(2) - 1);
        self.standing = (0..places)
            .filter_map(|place| known.get(spread(place)))
            .map(|(path, name, stamp)| Standing {
                folder: (*path).clone(),
                name: (*name).into(),
                stamp: **stamp,
            })
            .collect();
    }
}

fn canary_evidence(file: u64, before: &Sample, now: &Sample) -> FileEvidence {
    FileEvidence { file, canary: true, ..evidence(Some(before), "", before.len, now) }
}

impl Memory {
    fn number(&self, folder: &str, name: &str) -> u64 {
        self.hasher.hash_one((folder, name))
    }

    /// Files of which a sample is kept, in order.
    fn known(&self) -> Vec<(&String, &str, &Stamp)> {
        self.folders
            .iter()
            .flat_map(|(path, folder)| folder.files.iter().map(move |(name, stamp)| (path, &**name, stamp)))
            .filter(|(path, name, _)| self.samples.get(self.number(path, name)).is_some())
            .collect()
    }

    fn next_round(&mut self) -> Vec<String> {
        if self.rest.is_empty() {
            self.left_out = 0;
            self.visited.clear();
            return self.below.clone();
        }
        std::mem::take(&mut self.rest)
    }

    fn unlistable(&mut self, path: &str, trouble: Trouble, look: &mut ShareLook) {
        if trouble == Trouble::Gone {
            look.removed += self.forget(path);
            return;
        }
        self.left_out += 1;
        if let Some(folder) = self.folders.get_mut(path)
            && !folder.lost
        {
            folder.lost = true;
            look.folders_lost += 1;
        }
    }

    /// Takes in one folder and says which folders below it are to be listed.
    fn take(
        &mut self,
        path: String,
        entries: Vec<Entry>,
        bounds: &Bounds,
        look: &mut ShareLook,
        suffixes: &mut BTreeMap<String, u64>,
        waiting: &mut VecDeque<(String, Changed)>,
    ) -> Vec<String> {
        let (folders, files): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.is_folder);
        let files: Files = files.into_iter().map(|file| (file.name.into(), file.stamp)).collect();
        look.files_seen += files.len() as u64;
        let deeper = self.deeper(&path, folders, bounds);
        let below: BTreeSet<Box<str>> =
            deeper.iter().filter_map(|path| path.rsplit('/').next()).map(Into::into).collect();
        let known = self.folders.get(&path);
        if known.is_some() || self.complete {
            let empty = Files::new();
            let found = differ(known.map_or(&empty, |known| &known.files), &files);
            look.added += found.added;
            look.removed += found.removed;
            look.rewritten += found.rewritten;
            look.notes += found.notes;
            for (suffix, count) in found.suffixes {
                look.suffixed += count;
                *suffixes.entry(suffix).or_default() += count;
            }
            for changed in found.changed {
                if changed.suffix_added {
                    waiting.push_front((path.clone(), changed));
                } else if waiting.len() < WAITING_MAX {
                    waiting.push_back((path.clone(), changed));
                }
            }
            waiting.truncate(WAITING_MAX);
        }
        let gone: Vec<String> = known
            .map(|known| known.below.difference(&below).map(|name| join(&path, name)).collect())
            .unwrap_or_default();
        look.removed += gone.iter().map(|path| self.forget(path)).sum::<u64>();
        let before = self.folders.get(&path).map_or(0, |known| known.files.len());
        if self.files - before + files.len() > bounds.files_max {
            self.left_out += files.len() as u64;
            self.files -= before;
            self.folders.remove(&path);
        } else {
            self.files = self.files - before + files.len();
            self.folders.insert(path, Folder { files, below, lost: false });
        }
        deeper
    }

    fn deeper(&mut self, path: &str, folders: Vec<Entry>, bounds: &Bounds) -> Vec<String> {
        let depth = if path.is_empty() { 0 } else { path.split('/').count() };
        let mut deeper = Vec::new();
        for folder in folders {
            let seen_before = folder.identity.is_some_and(|identity| !self.visited.insert(identity));
            let too_many = self.visited.len() > bounds.files_max;
            if seen_before || too_many || depth >= bounds.depth_max {
                self.left_out += 1;
            } else {
                deeper.push(join(path, &folder.name));
            }
        }
        deeper
    }

    /// Forgets a folder with everything below it; says how many files that were.
    fn forget(&mut self, path: &str) -> u64 {
        let Some(folder) = self.folders.remove(path) else { return 0 };
        let below: u64 = folder.below.iter().map(|name| self.forget(&join(path, name))).sum();
        self.files -= folder.files.len();
        folder.files.len() as u64 + below
    }
}
