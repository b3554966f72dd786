//! Removals in the guard's loop: who did it, keeping what was removed, and one word about many at once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use judge::removal::{Bursts, Said};
use observe::files::{Actor, Removed, Stat};
use schema::{Entity, Finding, FindingClass, Removal, Subject, SubjectRole};

use super::removed::{Bounds, Job, Keeper, Place, Remover};
use super::response::subjects_of_machine;
use super::{Guard, Report};

const REMOVERS_MAX: usize = 1024;
const FOLDERS_MAX: usize = 65_536;
/// Later a process id may be another process's, and who empties a folder removes it soon.
const HEARD_OF_WITHIN: Duration = Duration::from_secs(2);
/// What packers that put a file in the place of another call it.
const PACKED: [&str; 7] = [".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".Z"];

/// What the loop needs for them.
#[derive(Debug)]
pub(super) struct Removals {
    keeper: Keeper,
    bounds: Bounds,
    bursts: Bursts,
    /// By the process that did it, which may have ended since.
    removers: HashMap<(Option<Actor>, i32), Remover>,
    vanished: Vanished,
    /// By number.
    actors: HashMap<u64, (Option<Actor>, Remover)>,
}

/// Whole folders that were removed: of the files in them only who removed them is told, since the folder's name is gone with it.
#[derive(Debug, Default)]
struct Vanished {
    folders: Vec<(PathBuf, i32, Option<Actor>)>,
    /// Who removed folders lately.
    by: HashMap<i32, Instant>,
    /// Who, and a number for the folder, for each file. The kernel tells of all of the file system: only those count whose remover also
    /// removed a folder of a protected tree.
    files: Vec<(i32, u64, Instant)>,
}

impl Removals {
    pub(super) fn start(store: &Path, state: &Path, bounds: Bounds) -> anyhow::Result<Self> {
        let place = Place::new(store, bounds);
        // On a full disk the commands do not find it; protecting comes first.
        let _ = place.write(state);
        Ok(Self {
            keeper: Keeper::start(place)?,
            bounds,
            bursts: Bursts::default(),
            removers: HashMap::new(),
            vanished: Vanished::default(),
            actors: HashMap::new(),
        })
    }
}

impl Guard {
    pub(super) fn keep_what_is_removed(&mut self, bounds: Bounds) -> anyhow::Result<Removals> {
        self.tracker.keep_removed();
        Removals::start(self.tracker.store().dir(), &self.settings.state, bounds)
    }

    /// Hands on what was removed since.
    pub(super) fn keep_removed(&mut self) {
        if !self.tracker.has_removed() {
            return;
        }
        for removed in self.tracker.take_removed() {
            self.keep_one(removed);
        }
    }

    /// A folder is gone; what was in it is looked for at the next tick, once for all of them.
    pub(super) fn folder_removed(&mut self, path: PathBuf, process: i32, actor: Option<Actor>) {
        let Some(removals) = &mut self.removals else { return };
        if removals.vanished.folders.len() < FOLDERS_MAX {
            removals.vanished.folders.push((path, process, actor));
        }
    }

    /// Known files that went with their folders are removed by whoever removed the folders; the others are counted.
    fn look_for_vanished(&mut self, now: Timestamp) {
        let files = self.watch.as_mut().map(observe::files::fanotify::Watch::vanished).unwrap_or_default();
        let Some(removals) = &mut self.removals else { return };
        let vanished = &mut removals.vanished;
        vanished.by.retain(|_, at| at.elapsed() < HEARD_OF_WITHIN);
        vanished.files.retain(|(.., at)| at.elapsed() < HEARD_OF_WITHIN);
        vanished.files.extend(files.into_iter().map(|(pid, folder)| (pid, folder, Instant::now())));
        let folders = std::mem::take(&mut vanished.folders);
        vanished.by.extend(folders.iter().map(|(_, pid, _)| (*pid, Instant::now())));
        let by = &vanished.by;
        let (ours, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut vanished.files).into_iter().partition(|(pid, ..)| by.contains_key(pid));
        vanished.files = others;
        vanished.files.truncate(FOLDERS_MAX);
        if folders.is_empty() && ours.is_empty() {
            return;
        }
        let folders: HashMap<PathBuf, (i32, Option<Actor>)> =
            folders.into_iter().map(|(folder, pid, actor)| (folder, (pid, actor))).collect();
        let mut known: HashMap<i32, usize> = HashMap::new();
        for path in self.tracker.nameless() {
            let by = path.ancestors().find_map(|folder| folders.get(folder)).copied();
            let last = || ours.last().map(|(pid, ..)| (*pid, self.lineage.actor(*pid)));
            let Some((process, actor)) = by.or_else(last) else { continue };
            *known.entry(process).or_default() += 1;
            self.tracker.removing(actor, process, &path, now);
            self.tracker.deleted(actor, &path, now);
        }
        self.keep_removed();
        for (process, folder, _) in ours {
            if let Some(known) = known.get_mut(&process).filter(|known| **known > 0) {
                *known -= 1;
                continue;
            }
            let actor = self.lineage.actor(process);
            let remover = self.remover(actor, process);
            let Some(removals) = &mut self.removals else { return };
            let number = actor.map_or(0, Actor::number);
            removals.bursts.take(&Removal { actor: number, folder, made: false, hidden: false }, now);
            removals.actors.entry(number).or_insert((actor, remover));
        }
    }

    fn keep_one(&mut self, removed: Removed) {
        let Some(tree) = self.trees.iter().map(|(tree, _)| tree).find(|tree| removed.path.starts_with(tree))
        else {
            return;
        };
        let tree = tree.clone();
        if self.is_of_database(&removed.path) {
            return;
        }
        let remover = self.remover(removed.actor, removed.process);
        let Some(removals) = &mut self.removals else { return };
        let number = removed.actor.map_or(0, Actor::number);
        let made = removed.held.as_ref().is_some_and(|held| held.made);
        let look = Removal {
            actor: number,
            folder: number_of(removed.path.parent()),
            made,
            hidden: is_hidden(&removed.path, &tree),
        };
        if !has_successor(&removed) {
            removals.bursts.take(&look, removed.at);
        }
        if removals.actors.len() >= REMOVERS_MAX {
            removals.actors.clear();
        }
        removals.actors.entry(number).or_insert_with(|| (removed.actor, remover.clone()));
        if let Some(held) = removed.held {
            let (path, at, actor) = (removed.path, removed.at, number);
            removals.keeper.keep(Job { path, tree, at, remover, actor, held });
        }
    }

    /// Says, once for each burst, that many files were removed.
    pub(super) fn tell_removals(&mut self, tell: &mut dyn FnMut(Report)) {
        self.look_for_vanished(Timestamp::now());
        self.keep_removed();
        let Some(removals) = &mut self.removals else { return };
        removals.keeper.kept().for_each(|actor| removals.bursts.kept(actor));
        let now = Timestamp::now();
        for said in removals.bursts.due(now) {
            let Some((actor, remover)) =
                self.removals.as_ref().and_then(|all| all.actors.get(&said.actor).cloned())
            else {
                continue;
            };
            // Whoever was stopped is told of as such, and its files are put back.
            if actor.is_none_or(|actor| !self.is_stopped(actor)) {
                tell(Report::Finding(self.burst(said, actor, &remover, now)));
            }
        }
    }

    fn remover(&mut self, actor: Option<Actor>, process: i32) -> Remover {
        let known = self.removals.as_ref().and_then(|removals| removals.removers.get(&(actor, process)));
        if let Some(known) = known {
            return known.clone();
        }
        let words = actor.and_then(|actor| self.client_words(actor));
        let uid = |pid: i32| std::fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid());
        let command = |pid: i32| Stat::of(pid).map(|stat| stat.command);
        let job = actor.filter(|actor| !actor.is_client()).map(|actor| actor.pid);
        let remover = Remover {
            words: words.unwrap_or_else(|| match (command(process), job) {
                (Some(command), Some(job)) if job != process => {
                    let of = self::command_of(job);
                    format!("process {process} ({command}) of job {job} ({of})")
                }
                (Some(command), _) => format!("process {process} ({command})"),
                (None, Some(job)) => format!("a process of job {job} ({})", command_of(job)),
                (None, None) => "a process that has ended".to_owned(),
            }),
            pid: job.or(Some(process)),
            uid: uid(process).or_else(|| job.and_then(uid)),
        };
        if let Some(removals) = &mut self.removals {
            if removals.removers.len() >= REMOVERS_MAX {
                removals.removers.clear();
            }
            removals.removers.insert((actor, process), remover.clone());
        }
        remover
    }

    fn burst(&self, said: Said, actor: Option<Actor>, remover: &Remover, now: Timestamp) -> Finding {
        let entry = &judge::removal::ENTRY;
        let Said { files, kept, folders, severity, .. } = said;
        let bounds = self.removals.as_ref().map(|removals| removals.bounds);
        let until = bounds.and_then(|bounds| now.checked_add(bounds.keep).ok()).unwrap_or(now);
        let until = until.strftime("%Y-%m-%d %H:%M:%SZ");
        let (state, lost) = (self.settings.state.display(), files.saturating_sub(kept));
        let mut reasons =
            vec![format!("{files} files were removed from {folders} folders; nobody was stopped")];
        let mut reasons_ja =
            vec![format!("{folders}個のフォルダーから{files}ファイルが削除されました（停止はしていません）")];
        if kept > 0 {
            reasons.push(format!(
                "{kept} are kept until {until}, as long as there is room; bring them back with: chartward guard removed --restore --state {state}"
            ));
            reasons_ja.push(format!(
                "{kept}ファイルは {until} まで保管します（容量に余裕がある限り）。元に戻すには: chartward guard removed --restore --state {state}"
            ));
        }
        if lost > 0 {
            reasons.push(format!(
                "{lost} could not be kept: nobody had opened them while the guard ran, or they found no room. The vault has them, up to its last backup"
            ));
            reasons_ja.push(format!(
                "{lost}ファイルは保管できませんでした（監視中に一度も開かれていないか、容量が足りません）。最後のバックアップまでは保管庫にあります"
            ));
        }
        let by = actor.filter(|actor| !actor.is_client()).map(|actor| Subject {
            role: SubjectRole::Actor,
            entity: Entity::Process { pid: actor.pid, start_ticks: actor.start_ticks },
        });
        Finding {
            time: now,
            class: FindingClass::Detection,
            detector: entry.id.to_owned(),
            title: entry.title.to_owned(),
            title_ja: entry.title_ja.to_owned(),
            severity_id: severity,
            attacks: (entry.attacks)(),
            actor: remover.words.clone(),
            reasons,
            reasons_ja,
            uid: format!("{}-{}-{}", entry.id, now.as_nanosecond(), said.actor),
            subjects: by.into_iter().chain(subjects_of_machine(&self.settings)).collect(),
        }
    }
}

fn command_of(pid: i32) -> String {
    Stat::of(pid).map_or_else(|| "ended".to_owned(), |stat| stat.command)
}

fn number_of(folder: Option<&Path>) -> u64 {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    hasher.finish()
}

/// A newer version stands where it was before it was put aside, or a packed one beside it: it was not lost. What stands there is judged by
/// its content, as everything is.
fn has_successor(removed: &Removed) -> bool {
    let stands = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let packed = |suffix: &&str| {
        let mut path = removed.path.as_os_str().to_owned();
        path.push(suffix);
        stands(Path::new(&path))
    };
    removed.first_path.as_deref().is_some_and(stands) || PACKED.iter().any(packed)
}

/// Below a folder whose name begins with a dot.
fn is_hidden(path: &Path, tree: &PathBuf) -> bool {
    let below = path.strip_prefix(tree).unwrap_or(path).parent();
    let mut folders = below.into_iter().flat_map(Path::components);
    folders.any(|folder| folder.as_os_str().as_encoded_bytes().starts_with(b"."))
}
