//! The guard's loop: observe holds an open, judge weighs what its actor did before, act stops it and puts back.
//!
//! One thread reads events and judges; a second one, in observe, reads them while this one is away, and answers the guard's own opens.
//! When this thread falls behind, opens wait, and a third one freezes whoever waits too long with unjudged writes; when the process dies, the kernel lets everything pass.

mod alive;
pub(crate) mod approval;
mod clients;
mod control;
mod culprits;
pub(crate) mod databases;
mod evidence;
mod folders;
mod frozen;
mod late;
mod limits;
mod mouth;
mod opens;
mod policy;
mod removals;
pub(crate) mod removed;
mod report;
mod response;
mod servants;
mod shelter;
pub(crate) mod snapshots;
pub(crate) mod stops;
mod turns;
mod unprivileged;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;
use observe::files::fanotify::{Change, Message, NameChange, Watch};
use observe::files::{Actor, Asked, Canaries, Lineage, Samba, Store, Tracker, pins, serves_all};
use schema::{Action, GateInput, Verdict};

use super::control::Control;

use clients::Door;
use evidence::Evidence;
use frozen::Frozen;
use late::Late;
use limits::Limits;
pub(crate) use mouth::Mouth;
pub(crate) use policy::{Event as PolicyEvent, News};
pub(crate) use report::{Ready, Report, Shortfall};
pub(crate) use shelter::Said as DatabaseSaid;
use shelter::Shelter;
pub(crate) use unprivileged::unprivileged;

const TICK: Duration = Duration::from_millis(100);
/// Ticks after which what is old is looked for.
const EXPIRES_EACH: u64 = 10;
const STAND_STILL: Duration = Duration::from_secs(2);

/// What the operator chose.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) store: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) max_store: u64,
    /// How long contents are kept that nobody used since.
    pub(crate) keep: jiff::SignedDuration,
    pub(crate) response: Response,
    pub(crate) never: act::NeverTouch,
    /// What the gate goes by.
    pub(crate) indicators: judge::gate::Indicators,
    /// Plant decoys among the records while it runs.
    pub(crate) canaries: bool,
    /// Where it is asked while it runs.
    pub(crate) control: Option<PathBuf>,
    /// Of this machine, for whoever may have to cut it off.
    pub(crate) addresses: Vec<std::net::IpAddr>,
    /// Where Samba's own tool is, for the names of its clients.
    pub(crate) samba: Samba,
    /// What the configuration allows for good.
    pub(crate) allowed: Vec<approval::Approval>,
    /// Databases that the operator named beside those that are found.
    pub(crate) databases: Vec<PathBuf>,
    pub(crate) pace: snapshots::Pace,
    /// What of removed files is kept; `None` keeps nothing.
    pub(crate) removed: Option<removed::Bounds>,
}

/// Whether a verdict has consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    /// Freeze, deny, put back.
    Armed,
    /// Say it and do nothing.
    ObserveOnly,
}

/// Guards with permission events until it is asked to end.
pub(crate) fn permission(settings: Settings, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
    let mut store = Store::open(&settings.store, settings.max_store)?;
    outside(&store, &settings.dirs)?;
    // Before anything is watched, so that planting them is nobody's act.
    let canaries = settings
        .canaries
        .then(|| Canaries::plant(&settings.dirs, &canary_list(&settings.store)))
        .transpose()?;
    let watch = Watch::start(&settings.dirs)?;
    let homes = watch.trees().map(|(path, _, tree)| (path.to_owned(), store.settle(tree))).collect();
    let trees = watch.trees().map(|(path, _, tree)| Ok((path.to_owned(), tree.try_clone_to_owned()?)));
    let trees = trees.collect::<std::io::Result<_>>().context("keep hold of the protected folders")?;
    let shelter =
        Shelter::start(&watch, &settings.databases, &settings.store, &settings.state, settings.pace)?;
    let mut ready = Ready::permission(&watch, homes, &settings);
    let (alive, gap) = limits::begin(store.dir())?;
    let mut tracker = Tracker::new(store, pins());
    tracker.keep_for(settings.keep);
    tracker.set_canaries(canaries.iter().flat_map(Canaries::keys));
    let armed = settings.response == Response::Armed;
    let board = std::sync::Arc::clone(watch.board());
    let mut guard = Guard::new(settings, tracker, trees, Some(watch))?;
    if !guard.lineage.listen() {
        ready.without_forks();
    }
    let (never, state) = (guard.settings.never.clone(), guard.settings.state.clone());
    guard.limits.late = Some(Late::watch(board, never, state, armed)?);
    guard.limits.alive = Some(alive);
    guard.removals = guard.settings.removed.map(|bounds| guard.keep_what_is_removed(bounds)).transpose()?;
    ready.shelter(&shelter);
    guard.shelter = Some(shelter);
    guard.inherit();
    ready.held_before(guard.take_in_held());
    tell(Report::Ready(ready));
    if let Some(from) = gap {
        let gap = Shortfall::Gap { from, to: Timestamp::now() };
        guard.tell_lapse(&gap, tell);
        tell(Report::Shortfall(gap));
    }
    let ended = guard.run(tell);
    guard.names();
    if let (Ok(()), Some(alive)) = (&ended, &guard.limits.alive) {
        let _removed: usize = canaries.iter().map(Canaries::remove).sum();
        alive.end();
    }
    guard.farewell(tell);
    ended
}

/// Where the decoys are listed.
pub(crate) fn canary_list(store: &Path) -> PathBuf {
    store.join("canaries.json")
}

/// The store may not lie where the attacker writes and the guard itself would wait.
fn outside(store: &Store, dirs: &[PathBuf]) -> anyhow::Result<()> {
    for dir in dirs {
        let root = observe::files::resolve(dir)?;
        if store.dir().starts_with(&root) {
            return Err(observe::Error::StoreInside { store: store.dir().to_owned(), root }.into());
        }
    }
    Ok(())
}

/// Everything that the loop carries.
struct Guard {
    /// With the turns before the watch, which cannot end while somebody waits.
    backlog: VecDeque<Message>,
    turns: turns::Turns,
    settings: Settings,
    tracker: Tracker,
    /// Each protected folder with a descriptor through which nothing waits.
    trees: Vec<(PathBuf, OwnedFd)>,
    watch: Option<Watch>,
    gate: judge::gate::Gate,
    circles: judge::circles::Circles,
    lineage: Lineage,
    asked: Asked,
    frozen: HashMap<Actor, Frozen>,
    /// Evidence that was begun, by its id, until everything is put back.
    begun: HashMap<String, Evidence>,
    /// Clients of Samba's that are no longer served.
    door: Door,
    /// Actors that were stopped and did something after all: it is undone at the next tick.
    late: BTreeSet<Actor>,
    /// Observe only: actors that were told of already.
    told: Vec<Actor>,
    overflows: u64,
    ticks: u64,
    /// Overflows that were told of.
    missed: u64,
    limits: Limits,
    since: Timestamp,
    control: Option<Control>,
    /// Processes that put an undo into effect: what they do is not judged.
    excused: Vec<(i32, u64)>,
    policy: policy::Policy,
    moves: folders::Moves,
    /// Databases; `None` where opens do not wait anyway.
    shelter: Option<Shelter>,
    /// What was released over the control socket and is not told of yet.
    released: (Sender<Action>, Receiver<Action>),
    /// Last: what is left to keep is kept when everything else has ended.
    removals: Option<removals::Removals>,
}

impl Guard {
    fn new(
        settings: Settings,
        tracker: Tracker,
        trees: Vec<(PathBuf, OwnedFd)>,
        watch: Option<Watch>,
    ) -> anyhow::Result<Self> {
        let control = settings.control.as_deref().map(Control::serve).transpose()?;
        let lineage = Lineage::with_samba(settings.samba.clone());
        let mut settings = settings;
        settings.never.pids.extend(lineage.own());
        let door = Door::new(&settings);
        let policy = policy::Policy::new(&settings.state, std::mem::take(&mut settings.allowed));
        Ok(Self {
            tracker,
            trees,
            watch,
            gate: judge::gate::Gate::with(settings.indicators),
            circles: judge::circles::Circles::default(),
            settings,
            lineage,
            asked: Asked::default(),
            frozen: HashMap::new(),
            begun: HashMap::new(),
            door,
            late: BTreeSet::new(),
            told: Vec::new(),
            backlog: VecDeque::new(),
            overflows: 0,
            ticks: 0,
            missed: 0,
            limits: Limits::default(),
            since: Timestamp::now(),
            control,
            excused: Vec::new(),
            policy,
            turns: turns::Turns::default(),
            moves: folders::Moves::default(),
            shelter: None,
            released: crossbeam_channel::unbounded(),
            removals: None,
        })
    }

    fn run(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let mut next_tick = Instant::now() + TICK;
        loop {
            let message = match self.backlog.pop_front() {
                Some(message) => Some(message),
                None => {
                    let Some(watch) = &mut self.watch else { return Ok(()) };
                    let rest = next_tick.saturating_duration_since(Instant::now());
                    watch.next(if self.turns.is_empty() { rest } else { rest.min(turns::LOOKS_EVERY) })
                }
            };
            match message {
                Some(Message::Open(waiting)) => self.open(waiting, tell)?,
                Some(Message::Access(waiting)) => self.access(waiting, tell)?,
                Some(Message::Pieces(file)) => self.pieces(&file),
                Some(Message::Past) => self.past(tell)?,
                Some(Message::Modified { file, tid }) => {
                    self.names();
                    self.modified(file, tid);
                }
                Some(Message::Overflow) => self.overflows += 1,
                Some(Message::Crowded) => self.make_room(),
                Some(Message::Terminate) => return Ok(()),
                Some(Message::Broken(error)) => return Err(error.into()),
                None => {}
            }
            self.take_turns(tell)?;
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.tick(tell)?;
            }
        }
    }

    /// Takes in the names that changed. They were queued before whatever open came after them, so reading them first keeps
    /// the order of causes.
    fn names(&mut self) {
        let Some(watch) = self.watch.as_mut() else { return };
        let (changes, overflow) = watch.names();
        self.renamed(changes, overflow);
    }

    /// The same, with what came since the last message.
    fn names_now(&mut self) {
        let Some(watch) = self.watch.as_mut() else { return };
        let (changes, overflow) = watch.names_now();
        self.renamed(changes, overflow);
    }

    fn renamed(&mut self, changes: Vec<NameChange>, overflow: bool) {
        self.overflows += u64::from(overflow);
        self.limits.names_lost |= overflow;
        for change in changes {
            self.name(change);
        }
        self.keep_removed();
    }

    fn name(&mut self, change: NameChange) {
        let now = Timestamp::now();
        if self.is_excused(change.pid) {
            if let Change::Deleted(path) = &change.change {
                self.tracker.let_go(path);
            }
            return;
        }
        // First the door: a process that was ended there may still be seen, without the connection that says whom it served.
        let actor = match self.door.ended(change.pid) {
            Some(address) => Some(self.lineage.stranger(address)),
            None => self.lineage.actor(change.pid),
        };
        self.late.extend(actor.filter(|actor| self.is_stopped(*actor)));
        match (change.change, change.is_directory) {
            (Change::Renamed { from: Some(from), to: Some(to) }, true) => {
                if let Some(actor) = actor {
                    self.moves.note(actor, now, &from, &to);
                }
                self.tracker.directory_renamed(&from, &to);
            }
            (Change::Renamed { from, to }, false) => self.tracker.renamed(actor, from.as_deref(), to, now),
            (Change::Exchanged { one, other }, true) => self.tracker.directories_exchanged(&one, &other),
            (Change::Exchanged { one, other }, false) => self.tracker.exchanged(actor, &one, &other, now),
            (Change::Created(path), true) => self.shelter_new(&path),
            (Change::Created(path), false) => {
                self.shelter_new(&path);
                if let Some(actor) = actor.or_else(|| self.tracker.maker_at(&path)) {
                    self.tracker.created(actor, path, now);
                }
            }
            (Change::Deleted(path), false) => {
                self.tracker.removing(actor, change.pid, &path, now);
                self.tracker.deleted(actor, &path, now);
            }
            (Change::Deleted(path), true) => self.folder_removed(path, change.pid, actor),
            (_, true) => {}
        }
    }

    /// What was left unjudged by an actor that opens nothing more, and whoever was set going again by somebody else.
    fn tick(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        self.lineage.keep_up();
        self.names_now();
        self.closes()?;
        for actor in self.tracker.unmeasured() {
            if self.is_stopped(actor) {
                self.late.insert(actor);
            } else {
                self.judge_and_stop(actor, tell)?;
            }
        }
        self.undo_late(tell)?;
        self.look_for_undos();
        self.keep_policy(tell)?;
        self.keep_shelter(tell)?;
        self.tell_removals(tell);
        self.hold_or_release();
        self.ticks += 1;
        if self.ticks.is_multiple_of(EXPIRES_EACH) {
            self.tracker.expire(Timestamp::now());
        }
        self.at_the_limits(tell)?;
        self.tell_missed(tell);
        self.answer(tell);
        Ok(())
    }

    /// Takes up approvals, tells of them, and holds against their users what was done under one that was recalled.
    fn keep_policy(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        self.policy.refresh(Timestamp::now());
        for news in self.policy.news() {
            tell(Report::Policy(news));
        }
        for (actor, evidence) in self.policy.recalled() {
            let input = GateInput { actor: actor.number(), evidence };
            if let Verdict::Stop(reasons) = self.gate.decide(&input, Timestamp::now())
                && !self.is_stopped(actor)
                && self.stop(actor, &self.processes(actor), &reasons, tell)?
            {
                self.set_right(&[actor], tell)?;
            }
        }
        Ok(())
    }

    /// Everything that the actor left unmeasured, so that what is put back is complete.
    fn measure_all(&mut self, actor: Actor) {
        for _ in 0..256 {
            let GateInput { evidence, .. } = self.tracker.evidence(actor);
            if evidence.is_empty() {
                return;
            }
        }
    }

    /// The actor's uppermost process and those that were seen at work for it.
    fn processes(&self, actor: Actor) -> Vec<(i32, u64)> {
        let mut processes = vec![(actor.pid, actor.start_ticks)];
        processes.extend(self.lineage.members(actor));
        // All clients hang on it, whoever its child was.
        processes.retain(|(pid, _)| !serves_all(*pid));
        processes
    }

    /// The tree that `path` lies in, and its path there.
    fn relative(&self, path: &Path) -> Option<(&OwnedFd, PathBuf)> {
        self.trees.iter().find_map(|(root, tree)| Some((tree, path.strip_prefix(root).ok()?.to_owned())))
    }
}
