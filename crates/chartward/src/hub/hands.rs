//! The hands: one thread that carries out what the core decided, in order, and says what came of it.
//!
//! Applying makes no choice. What was in force when the hub died is in force again after its next start: an
//! order to apply what is applied already changes nothing.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use act::cgroup::Cgroups;
use act::never::NeverTouch;
use act::wall::gate::Gate;
use act::wall::{Barrier, Cut, Look, Wall};
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use jiff::Timestamp;
use schema::{Act, Countermeasure, CountermeasureId, Outcome};

use super::keeper::Keeper;
use super::viewer::Entrance;
use super::wall_kept::{Kept, Missing, WallSaid, WallTold};
use super::wall_policy::{self, Mended};
use crate::output::printable;

/// Bans that come together are one change of the kernel's table, and no more than this many.
const BATCH_MAX: usize = 256;
/// How long a control group may take to stand still.
const STAND_STILL: Duration = Duration::from_secs(5);

/// Something to do.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Apply(Countermeasure),
    Undo(Countermeasure),
}

/// What came of an order.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) id: CountermeasureId,
    pub(crate) at: Timestamp,
    pub(crate) undo: bool,
    /// In words: what the kernel or the receiver said, or why it could not be done.
    pub(crate) result: Result<String, String>,
}

/// Starts a capture of what is protected under a name, and says so.
type SnapshotNow = Box<dyn Fn(&str) -> Result<String, String> + Send>;

/// What the hands need.
pub(crate) struct Tools {
    pub(crate) wall: Wall,
    /// The declared policy beside it, which people apply.
    pub(crate) gate: Gate,
    /// How often it is looked at whether the wall still stands.
    pub(crate) look_every: Duration,
    pub(crate) never: NeverTouch,
    /// State folder: where plans of frozen processes lie.
    pub(crate) state: PathBuf,
    /// `None` without a vault.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Starts a backup of the named store at once.
    pub(crate) snapshot_now: SnapshotNow,
    /// Starts the downtime viewer.
    pub(crate) start_viewer: Box<dyn Fn() -> Result<(Child, String), String> + Send>,
}

/// Starts the thread; it ends when `orders` is closed.
pub(crate) fn start(
    tools: Tools,
    orders: Receiver<Order>,
    done: Sender<Done>,
    wall_said: Sender<WallTold>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("hands".into()).spawn(move || {
        let (looks_in, looks) = bounded(1);
        let due = tick(tools.look_every);
        let mut hands = Hands {
            tools,
            done,
            wall_said,
            holds: HashMap::new(),
            viewer: None,
            spared: None,
            kept: Kept::default(),
            is_looking: false,
            is_told: false,
        };
        hands.tell_ended();
        for (what, address) in hands.tools.gate.surroundings() {
            hands.tools.never.spared.add(what, [address]);
        }
        // After a reboot the kernel holds nothing, which nobody did on purpose.
        let _ = wall_policy::mend(&hands.tools.gate);
        loop {
            select! {
                recv(orders) -> first => {
                    let Ok(first) = first else { break };
                    let mut batch = vec![first];
                    batch.extend(orders.try_iter().take(BATCH_MAX - 1));
                    hands.carry_out(batch);
                },
                recv(due) -> _ => hands.look(&looks_in),
                recv(looks) -> look => if let Ok(Looked { asked, bans, policy }) = look {
                    hands.is_looking = false;
                    hands.tell_ended();
                    hands.looked(asked, bans, policy);
                },
            }
        }
        hands.close();
    })
}

/// When a look at the wall began, and what it found.
struct Looked {
    asked: Instant,
    /// `None`: nothing is banned, so that nobody looked.
    bans: Option<Result<Look, act::Error>>,
    policy: Mended,
}

struct Hands {
    tools: Tools,
    done: Sender<Done>,
    holds: HashMap<CountermeasureId, recover::vault::Hold>,
    viewer: Option<(CountermeasureId, Child)>,
    /// The wall's list of those who are spared, as it was when the table was made; `None`: it was not.
    spared: Option<u64>,
    wall_said: Sender<WallTold>,
    kept: Kept,
    is_looking: bool,
    /// Whether it was told that the wall cannot be looked at or mended.
    is_told: bool,
}

impl Hands {
    /// Consecutive bans go out together, everything else one by one, in order.
    fn carry_out(&mut self, batch: Vec<Order>) {
        let mut bans: Vec<Countermeasure> = Vec::new();
        for order in batch {
            match order {
                Order::Apply(measure) if matches!(measure.act, Act::BlockAddress { .. }) => {
                    bans.push(measure)
                }
                other => {
                    self.ban(std::mem::take(&mut bans));
                    self.one(other);
                }
            }
        }
        self.ban(bans);
    }

    /// The table is made when it is first needed: a hub that only observes leaves the packet filter alone. It is brought up to
    /// date when somebody else is spared.
    fn wall(&mut self) -> Result<&Wall, String> {
        let spared = self.tools.never.spared.changes();
        if self.spared != Some(spared) {
            self.tools.wall.ensure().map_err(|error| chain(&error))?;
            self.spared = Some(spared);
            // What a restarted hub finds in force may be a lot, and no more than a second's work.
            self.kept.shape = self.tools.wall.look().ok().map(|look| look.shape);
        }
        Ok(&self.tools.wall)
    }

    /// Changes the wall. Where somebody took it away since it was last looked at, it is made anew first: no ban may fail for that.
    fn on_wall<T>(&mut self, change: impl Fn(&Wall) -> Result<T, act::Error>) -> Result<T, String> {
        let error = match change(self.wall()?) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let asked = Instant::now();
        match self.tools.wall.look() {
            Err(gone @ (act::Error::PacketFilter { .. } | act::Error::WallBroken { .. })) => {
                self.looked(asked, Some(Err(gone)), Mended::Whole);
                change(&self.tools.wall).map_err(|error| chain(&error))
            }
            _ => Err(chain(&error)),
        }
    }

    /// Looks at the wall in a thread of its own: listing 65,000 addresses takes a second, for which no ban may wait.
    fn look(&mut self, found: &Sender<Looked>) {
        if self.is_looking {
            return;
        }
        self.tools.never.spared.sweep(Timestamp::now());
        let has_bans = !self.kept.is_empty(Instant::now());
        let (wall, gate, found) = (self.tools.wall.clone(), self.tools.gate.clone(), found.clone());
        let look = move || {
            let asked = Instant::now();
            let bans = has_bans.then(|| wall.look());
            // The hands are gone only when the hub ends.
            let _ = found.send(Looked { asked, bans, policy: wall_policy::mend(&gate) });
        };
        self.is_looking = thread::Builder::new().name("wall".into()).spawn(look).is_ok();
    }

    fn tell_ended(&self) {
        if let Some(ended) = wall_policy::ended(&self.tools.gate) {
            let _ = self.wall_said.send(WallTold::Ended(ended));
        }
    }

    /// What a look found is told, and what it did not find is put back.
    fn looked(&mut self, asked: Instant, look: Option<Result<Look, act::Error>>, policy: Mended) {
        // Who was banned and has proven since who they are is let through: that is nothing to put back.
        for address in self.tools.never.spared.addresses() {
            self.kept.forget(Barrier::Ban, address);
        }
        let error = look.as_ref().and_then(|look| look.as_ref().err());
        let because = error.map_or_else(String::new, |error| chain(error));
        let look = match look {
            None => {
                let (missing, trouble) = policy.with(Missing::default(), None);
                return self.tell_wall(missing, policy.because(), trouble);
            }
            // Nothing is known of the wall: a gateway that does not answer still holds what it was given.
            Some(Err(act::Error::PacketFilterProgram { .. } | act::Error::PacketFilterListing(_))) => {
                return self.tell_wall(Missing::default(), String::new(), Some(because));
            }
            Some(look) => look.ok(),
        };
        let missing = self.kept.missing(look.as_ref(), asked);
        if let (None, Some(look)) = (&self.kept.shape, &look) {
            self.kept.shape = Some(look.shape.clone());
        }
        let trouble = if missing.is_nothing() { None } else { self.mend(&missing).err() };
        let (missing, trouble) = policy.with(missing, trouble);
        let because = if because.is_empty() { policy.because() } else { because };
        self.tell_wall(missing, because, trouble);
    }

    /// Puts back what is missing, and looks whether it stands.
    fn mend(&mut self, missing: &Missing) -> Result<(), String> {
        let wall = &self.tools.wall;
        let standing = self.kept.standing(Instant::now());
        let mended = if missing.rules {
            wall.rebuild(&standing)
        } else {
            let of = |barrier: Barrier| -> Vec<(IpAddr, Option<Duration>)> {
                let gone = standing.iter().filter(|known| {
                    missing
                        .gone
                        .iter()
                        .any(|(of, address, _)| (*of, *address) == (known.barrier, known.address))
                });
                gone.filter(|known| known.barrier == barrier)
                    .map(|known| (known.address, known.remaining))
                    .collect()
            };
            wall.ban(&of(Barrier::Ban))
                .and_then(|_| wall.isolate(&of(Barrier::Isolate)))
                .and_then(|()| wall.block_egress(&of(Barrier::Egress)))
        };
        mended.map_err(|error| chain(&error))?;
        let look = wall.look().map_err(|error| chain(&error))?;
        // The packet filter may list a newer version's rules in other words than those it was given.
        if missing.rules {
            self.kept.shape = Some(look.shape.clone());
        }
        match self.kept.missing(Some(&look), Instant::now()).is_nothing() {
            true => Ok(()),
            false => Err("what was put back is not there again".to_owned()),
        }
    }

    /// Tells what happened to the wall; of what goes on being wrong, once.
    fn tell_wall(&mut self, missing: Missing, because: String, trouble: Option<String>) {
        let is_news = trouble.is_some() != self.is_told || (trouble.is_none() && !missing.is_nothing());
        self.is_told = trouble.is_some();
        if is_news {
            let gone = missing.gone.into_iter().map(|(_, _, id)| id).collect();
            let said = WallSaid { at: Timestamp::now(), rules: missing.rules, gone, because, trouble };
            let _ = self.wall_said.send(WallTold::Said(said));
        }
    }

    fn ban(&mut self, measures: Vec<Countermeasure>) {
        // One forbidden address would refuse the whole batch.
        let (forbidden, measures): (Vec<_>, Vec<_>) =
            measures.into_iter().partition(|measure| self.tools.never.forbids(&measure.act).is_some());
        for measure in forbidden {
            self.tell(measure.id, false, Err("the never-touch list names it".to_owned()));
        }
        let targets: Vec<(IpAddr, Option<Duration>)> = measures
            .iter()
            .filter_map(|measure| match measure.act {
                Act::BlockAddress { address } => Some((address, lasts(measure))),
                _ => None,
            })
            .collect();
        if targets.is_empty() {
            return;
        }
        let begun = Instant::now();
        let result = self.on_wall(|wall| wall.ban(&targets));
        if result.is_ok() {
            for (measure, (address, lasts)) in measures.iter().zip(&targets) {
                self.kept.keep(measure.id, (Barrier::Ban, *address), *lasts, begun);
            }
        }
        let result = result.map(|cut| in_words(&cut));
        for measure in measures {
            self.tell(measure.id, false, result.clone());
        }
    }

    fn one(&mut self, order: Order) {
        let (measure, undo) = match order {
            Order::Apply(measure) => (measure, false),
            Order::Undo(measure) => (measure, true),
        };
        let result = if undo { self.undo(&measure) } else { self.apply(&measure) };
        self.tell(measure.id, undo, result);
    }

    fn tell(&self, id: CountermeasureId, undo: bool, result: Result<String, String>) {
        // The core is gone only when the hub ends, and then asks nothing any more.
        let _ = self.done.send(Done { id, at: Timestamp::now(), undo, result });
    }

    fn apply(&mut self, measure: &Countermeasure) -> Result<String, String> {
        if let Some(entry) = self.tools.never.forbids(&measure.act) {
            return Err(format!("the never-touch list names it: {entry}"));
        }
        match &measure.act {
            Act::Freeze { pid, start_ticks } => self.freeze(*pid, *start_ticks, &measure.because),
            Act::FreezeCgroup { path } => {
                let cgroups = Cgroups::find().map_err(|error| chain(&error))?;
                cgroups.freeze(path, &self.tools.never, STAND_STILL).map_err(|error| chain(&error))?;
                Ok(format!("every process of {path} stands still"))
            }
            Act::BlockAddress { .. } => Err("bans go out together".to_owned()),
            Act::IsolateHost { address } => {
                let (begun, lasts) = (Instant::now(), lasts(measure));
                self.on_wall(|wall| wall.isolate(&[(*address, lasts)]))?;
                self.kept.keep(measure.id, (Barrier::Isolate, *address), lasts, begun);
                Ok("this host reaches only the vault, the console and the named hosts".to_owned())
            }
            Act::BlockEgress { address } => {
                let (begun, lasts) = (Instant::now(), lasts(measure));
                self.on_wall(|wall| wall.block_egress(&[(*address, lasts)]))?;
                self.kept.keep(measure.id, (Barrier::Egress, *address), lasts, begun);
                Ok("the kernel drops what this host begins itself; who connects to it is answered".to_owned())
            }
            Act::SnapshotNow { protect } => (self.tools.snapshot_now)(protect),
            Act::LockVault => {
                let keeper = self.tools.keeper.as_ref().ok_or("the configuration names no vault")?;
                let hold = keeper.hold().map_err(|error| format!("{error:#}"))?;
                self.holds.insert(measure.id, hold);
                Ok("nobody can forget or prune in the vault, stock restic included".to_owned())
            }
            Act::StartViewer => self.start_viewer(measure.id),
            Act::Notify { channel } => Err(format!("the notice to {channel} goes through the outbox")),
        }
    }

    fn undo(&mut self, measure: &Countermeasure) -> Result<String, String> {
        match &measure.act {
            Act::Freeze { pid, .. } => act::freeze::release(&self.tools.state, *pid, Timestamp::now())
                .map(|actions| {
                    let go_on = actions.iter().filter(|action| action.outcome == Outcome::Undone).count();
                    format!("{go_on} processes go on, {} have ended", actions.len() - go_on)
                })
                .map_err(|error| chain(&error)),
            Act::FreezeCgroup { path } => {
                let cgroups = Cgroups::find().map_err(|error| chain(&error))?;
                cgroups.thaw(path, STAND_STILL).map_err(|error| chain(&error))?;
                Ok(format!("the processes of {path} go on"))
            }
            Act::BlockAddress { address } => {
                self.on_wall(|wall| wall.unban(&[*address]))?;
                self.kept.forget(Barrier::Ban, *address);
                Ok("packets pass again".to_owned())
            }
            Act::IsolateHost { address } => {
                self.on_wall(|wall| wall.release(&[*address]))?;
                self.kept.forget(Barrier::Isolate, *address);
                Ok("the host reaches everything again".to_owned())
            }
            Act::BlockEgress { address } => {
                self.on_wall(|wall| wall.unblock_egress(&[*address]))?;
                self.kept.forget(Barrier::Egress, *address);
                Ok("the host may begin connections again".to_owned())
            }
            Act::LockVault => {
                self.holds.remove(&measure.id);
                Ok("the vault may be pruned again".to_owned())
            }
            Act::StartViewer => {
                self.stop_viewer();
                Ok("the viewer is stopped".to_owned())
            }
            Act::SnapshotNow { .. } => {
                Ok("a snapshot stays in the vault; there is nothing to take back".to_owned())
            }
            Act::Notify { .. } => Err("a notice that was delivered cannot be taken back".to_owned()),
        }
    }

    fn freeze(&self, pid: i32, start_ticks: u64, because: &str) -> Result<String, String> {
        let now = Timestamp::now();
        let plan = act::freeze::plan(&[(pid, start_ticks)], because, now);
        if plan.acts.is_empty() {
            return Err("the process has ended".to_owned());
        }
        let actions = act::freeze::apply(&plan, &self.tools.never, now);
        let stopped = actions.iter().filter(|action| action.outcome == Outcome::Applied).count();
        let spared = actions.iter().find_map(|action| match &action.outcome {
            Outcome::Failed { cause } => Some(cause.clone()),
            Outcome::NeverTouch => Some("the never-touch list names it".to_owned()),
            Outcome::Applied | Outcome::Undone => None,
        });
        if stopped == 0 {
            return Err(spared.unwrap_or_else(|| "the process has ended".to_owned()));
        }
        // Whatever stands still must be there to be taken back, also where one of its children was spared.
        act::freeze::remember(&self.tools.state, &act::freeze::Applied { plan, actions: actions.clone() })
            .map_err(|error| {
                act::freeze::undo(&actions, now);
                chain(&error)
            })?;
        let still = act::freeze::wait(&actions, STAND_STILL);
        let spared = spared.map(|cause| format!("; another one goes on: {cause}")).unwrap_or_default();
        Ok(match still {
            true => format!("{stopped} processes stand still{spared}"),
            false => {
                format!("{stopped} processes were stopped, and one of them does not stand still yet{spared}")
            }
        })
    }

    fn start_viewer(&mut self, id: CountermeasureId) -> Result<String, String> {
        if let Some((_, child)) = &mut self.viewer
            && child.try_wait().is_ok_and(|ended| ended.is_none())
        {
            return Ok("the viewer runs already".to_owned());
        }
        let (child, where_to) = (self.tools.start_viewer)()?;
        self.viewer = Some((id, child));
        Ok(where_to)
    }

    fn stop_viewer(&mut self) {
        if let Some((_, mut child)) = self.viewer.take() {
            let _ = child.kill();
            let _ = child.wait();
            Entrance::forget(&self.tools.state);
        }
    }

    /// The wall and what is frozen stay as they are when the hub ends: an attacker must not go on because a
    /// service was stopped. The viewer and the vault's lock live with the hub and come back with it.
    fn close(&mut self) {
        self.stop_viewer();
        self.holds.clear();
    }
}

/// What the kernel did about those who were banned.
fn in_words(cut: &Cut) -> String {
    let mut said = "the kernel drops packets from and to this address".to_owned();
    if cut.connections > 0 || cut.sockets > 0 {
        let _ = write!(said, "; {} connections forgotten, {} sockets closed", cut.connections, cut.sockets);
    }
    if let Some(trouble) = &cut.trouble {
        let _ = write!(said, "; sessions that stand still may go on behind the ban: {}", printable(trouble));
    }
    said
}

/// How long it is to last from now on: what is adopted after a restart ends when it was meant to.
fn lasts(measure: &Countermeasure) -> Option<Duration> {
    let seconds = measure.lasts_seconds?;
    let gone = measure.applied_at.map_or(0, |at| Timestamp::now().duration_since(at).as_secs().max(0));
    Some(Duration::from_secs(seconds.saturating_sub(gone.unsigned_abs()).max(1)))
}

/// An error with its causes, as one line that cannot command a terminal.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    printable(&words.join(": "))
}
