//! Stopping an actor where it stands: SIGSTOP to its processes and all that descend from them, undone with SIGCONT.
//!
//! Not killed: the memory of a stopped attacker may hold the key, a stopped program that was suspected wrongly goes on as if nothing
//! had happened.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use schema::{Act, Action, Outcome, Plan};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evidence::{private_dir, write_json};
use crate::never::NeverTouch;
use crate::process::{self, Process};

/// A plan that was not applied by then is no longer meant.
const PLAN_HOLDS: SignedDuration = SignedDuration::from_secs(10);
const ROUNDS_MAX: u32 = 16;
const PLAN_BYTES_MAX: u64 = 16 << 20;

/// Plans to stop the processes in `roots` (process id and start ticks) with all that descend from them.
pub fn plan(roots: &[(i32, u64)], because: &str, now: Timestamp) -> Plan {
    let acts = process::tree(roots)
        .into_iter()
        .map(|process| Act::Freeze { pid: process.pid, start_ticks: process.start_ticks })
        .collect();
    Plan {
        acts,
        because: because.to_owned(),
        deadline: now.checked_add(PLAN_HOLDS).unwrap_or(Timestamp::MAX),
    }
}

/// Carries a plan out. What is forked meanwhile is stopped as well and stands among the actions, so that undoing them leaves nobody behind.
pub fn apply(plan: &Plan, never: &NeverTouch, now: Timestamp) -> Vec<Action> {
    let action =
        |pid, start_ticks, outcome| Action { act: Act::Freeze { pid, start_ticks }, at: now, outcome };
    let mut roots: Vec<(i32, u64)> = plan.acts.iter().filter_map(Act::process).collect();
    if now > plan.deadline {
        let late = || Outcome::Failed { cause: "the plan's deadline has passed".into() };
        return roots.into_iter().map(|(pid, start)| action(pid, start, late())).collect();
    }
    let mut actions: Vec<Action> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let done: Vec<i32> = processes(&actions, |_| true).map(|(pid, _)| pid).collect();
        let fresh: Vec<Process> =
            process::tree(&roots).into_iter().filter(|process| !done.contains(&process.pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for process in fresh {
            roots.push((process.pid, process.start_ticks));
            let outcome = if never.holds_process(&process).is_some() {
                Outcome::NeverTouch
            } else {
                signal(process.pid, process.start_ticks, Signal::STOP, Outcome::Applied)
            };
            actions.push(action(process.pid, process.start_ticks, outcome));
        }
    }
    actions
}

/// Waits until everybody that was stopped stands still; `false` when somebody still runs at the end of `patience`.
pub fn wait(actions: &[Action], patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let still = stopped(actions).all(|(pid, start_ticks)| Process::stands_still(pid, start_ticks));
        if still || Instant::now() >= end {
            return still;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// Stops again whoever was continued by somebody else.
pub fn hold(actions: &[Action]) {
    for (pid, start_ticks) in stopped(actions) {
        if !Process::stands_still(pid, start_ticks) {
            signal(pid, start_ticks, Signal::STOP, Outcome::Applied);
        }
    }
}

/// Those that were stopped and have not ended since.
pub fn frozen(actions: &[Action]) -> Vec<i32> {
    alive(&stopped(actions).collect::<Vec<_>>())
}

/// Those of `processes` (process id and start ticks) that have not ended.
pub fn alive(processes: &[(i32, u64)]) -> Vec<i32> {
    let alive = processes.iter().filter(|(pid, start_ticks)| {
        Process::of(*pid)
            .is_some_and(|process| process.start_ticks == *start_ticks && !matches!(process.state, 'Z' | 'X'))
    });
    alive.map(|(pid, _)| *pid).collect()
}

/// Process id and start ticks of those that were stopped, in order.
fn stopped(actions: &[Action]) -> impl DoubleEndedIterator<Item = (i32, u64)> {
    processes(actions, |action| action.outcome == Outcome::Applied)
}

fn processes(actions: &[Action], wanted: fn(&Action) -> bool) -> impl DoubleEndedIterator<Item = (i32, u64)> {
    actions.iter().filter(move |action| wanted(action)).filter_map(|action| action.act.process())
}

/// Lets everybody go on.
pub fn undo(actions: &[Action], now: Timestamp) -> Vec<Action> {
    stopped(actions)
        .rev()
        .map(|(pid, start_ticks)| Action {
            act: Act::Freeze { pid, start_ticks },
            at: now,
            outcome: signal(pid, start_ticks, Signal::CONT, Outcome::Undone),
        })
        .collect()
}

/// Signals exactly the process that was meant: the descriptor is taken first and the start time is compared after, so that a
/// process id given out anew in between is never hit.
pub(crate) fn signal(pid: i32, start_ticks: u64, signal: Signal, done: Outcome) -> Outcome {
    let failed = |cause: String| Outcome::Failed { cause };
    let Some(target) = Pid::from_raw(pid) else { return failed("no such process".into()) };
    let descriptor = match pidfd_open(target, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(error) => return failed(error.to_string()),
    };
    if Process::of(pid).is_none_or(|process| process.start_ticks != start_ticks) {
        return failed("the process has ended".into());
    }
    match pidfd_send_signal(descriptor, signal) {
        Ok(()) => done,
        Err(error) => failed(error.to_string()),
    }
}

/// A plan that was applied, as it lies in the state folder until somebody takes it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The plan.
    pub plan: Plan,
    /// What came of it.
    pub actions: Vec<Action>,
}

/// Writes down an applied plan, for its owner only. The file's presence is what keeps the actor frozen; where nobody was left to
/// stop, none is written.
pub fn remember(state: &Path, applied: &Applied) -> Result<PathBuf, Error> {
    let dir = private_dir(&state.join("frozen"))?;
    let Some((pid, start_ticks)) = applied.plan.acts.iter().find_map(Act::process) else {
        return Ok(dir.join("nobody.json"));
    };
    let path = dir.join(format!("{pid}-{start_ticks}.json"));
    write_json(&path, applied)?;
    Ok(path)
}

/// Takes back the plan that froze process `pid`, and removes it from the state folder so that a running guard lets the actor
/// go on too. A plan that cannot be read keeps nobody else frozen; it is found by its name.
pub fn release(state: &Path, pid: i32, now: Timestamp) -> Result<Vec<Action>, Error> {
    take_back(find(state, pid)?, now)
}

/// The same of exactly the process that was meant, by its start in ticks as well: its number may be another's by now, who was frozen for
/// something else.
pub fn release_exactly(state: &Path, process: (i32, u64), now: Timestamp) -> Result<Vec<Action>, Error> {
    let (path, applied) = find(state, process.0)?;
    if !processes(&applied.actions, |_| true).any(|frozen| frozen == process) {
        return Err(Error::NoPlan { pid: process.0, state: state.to_owned() });
    }
    take_back((path, applied), now)
}

fn take_back((path, applied): (PathBuf, Applied), now: Timestamp) -> Result<Vec<Action>, Error> {
    // First the plan, else a running guard would stop the processes again.
    fs::remove_file(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
    thread::sleep(Duration::from_millis(300));
    Ok(undo(&applied.actions, now))
}

/// Ends the processes that were frozen together with `pid`, for good: nothing undoes it, so it is for a person to decide and for
/// evidence to be there before. The plan goes when nobody of them is left.
pub fn end(state: &Path, pid: i32, now: Timestamp) -> Result<Vec<Action>, Error> {
    let (path, applied) = find(state, pid)?;
    let mut ended: Vec<Action> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let roots: Vec<(i32, u64)> = stopped(&applied.actions).collect();
        let known: Vec<i32> = processes(&ended, |_| true).map(|(pid, _)| pid).collect();
        let fresh: Vec<Process> =
            process::tree(&roots).into_iter().filter(|process| !known.contains(&process.pid)).collect();
        if fresh.is_empty() {
            break;
        }
        ended.extend(fresh.into_iter().map(|process| {
            let (pid, start_ticks) = (process.pid, process.start_ticks);
            let outcome = signal(pid, start_ticks, Signal::KILL, Outcome::Applied);
            Action { act: Act::Freeze { pid, start_ticks }, at: now, outcome }
        }));
    }
    if ended.iter().all(|action| action.outcome == Outcome::Applied) {
        fs::remove_file(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(ended)
}

/// The applied plan that froze process `pid`, with its file.
pub fn find(state: &Path, pid: i32) -> Result<(PathBuf, Applied), Error> {
    let dir = state.join("frozen");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NoPlan { pid, state: state.to_owned() });
        }
        Err(source) => return Err(Error::ReadPlan { path: dir, source }),
    };
    let mut unreadable = None;
    for path in entries.flatten().map(|entry| entry.path()) {
        match read(&path) {
            Ok(applied) if processes(&applied.actions, |_| true).any(|(frozen, _)| frozen == pid) => {
                return Ok((path, applied));
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(root) = named_after(&path).filter(|(frozen, _)| *frozen == pid) {
                    return Ok((path, stopped_below(root)));
                }
                unreadable = Some(error);
            }
        }
    }
    Err(unreadable.unwrap_or(Error::NoPlan { pid, state: state.to_owned() }))
}

fn read(path: &Path) -> Result<Applied, Error> {
    let failed = |source| Error::ReadPlan { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(PLAN_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::ParsePlan { path: path.to_owned(), source })
}

/// Process id and start ticks in a plan's name.
fn named_after(path: &Path) -> Option<(i32, u64)> {
    let (pid, start_ticks) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((pid.parse().ok()?, start_ticks.parse().ok()?))
}

/// Stands in for a plan that cannot be read: whoever stands still among `root` and those that descend from it.
fn stopped_below(root: (i32, u64)) -> Applied {
    let still = process::tree(&[root]).into_iter().filter(|process| matches!(process.state, 'T' | 't'));
    let now = Timestamp::now();
    let action = |process: Process| {
        let act = Act::Freeze { pid: process.pid, start_ticks: process.start_ticks };
        Action { act, at: now, outcome: Outcome::Applied }
    };
    let plan = Plan { acts: vec![], because: String::new(), deadline: now };
    Applied { plan, actions: still.map(action).collect() }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeper() -> (Sleeper, i32, u64) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start = Process::of(pid).unwrap().start_ticks;
        (Sleeper(child), pid, start)
    }

    #[test]
    fn a_process_is_stopped_and_goes_on_when_released() {
        let (_sleeper, pid, start) = sleeper();
        let now = Timestamp::now();
        let plan = plan(&[(pid, start)], "test", now);
        let actions = apply(&plan, &NeverTouch::default(), now);
        assert!(wait(&actions, Duration::from_secs(5)));
        assert_eq!(Process::of(pid).unwrap().state, 'T');
        let state = tempfile::tempdir().unwrap();
        remember(state.path(), &Applied { plan, actions }).unwrap();
        assert!(matches!(release_exactly(state.path(), (pid, start + 1), now), Err(Error::NoPlan { .. })));
        assert_eq!(Process::of(pid).unwrap().state, 'T');
        let undone = release_exactly(state.path(), (pid, start), now).unwrap();
        assert!(undone.iter().all(|action| action.outcome == Outcome::Undone));
        assert_ne!(Process::of(pid).unwrap().state, 'T');
        assert!(matches!(release(state.path(), pid, now), Err(Error::NoPlan { .. })));
    }

    #[test]
    fn a_plan_that_cannot_be_read_keeps_nobody_else_frozen() {
        let (_sleeper, pid, start) = sleeper();
        let (_other, other, other_start) = sleeper();
        let now = Timestamp::now();
        let state = tempfile::tempdir().unwrap();
        for process in [(pid, start), (other, other_start)] {
            let plan = plan(&[process], "test", now);
            let actions = apply(&plan, &NeverTouch::default(), now);
            assert!(wait(&actions, Duration::from_secs(5)));
            remember(state.path(), &Applied { plan, actions }).unwrap();
        }
        let torn = state.path().join(format!("frozen/{other}-{other_start}.json"));
        fs::write(&torn, "{\"plan\": ").unwrap();
        fs::create_dir(state.path().join("frozen/a folder.json")).unwrap();
        assert_eq!(release(state.path(), pid, now).unwrap().len(), 1);
        assert_ne!(Process::of(pid).unwrap().state, 'T');
        assert_eq!(Process::of(other).unwrap().state, 'T');
        assert_eq!(release(state.path(), other, now).unwrap()[0].outcome, Outcome::Undone);
        assert!(!torn.exists());
        assert!(matches!(release(state.path(), other, now), Err(Error::ReadPlan { .. })));
    }

    #[test]
    fn what_is_ended_is_gone_with_its_plan() {
        let (mut sleeper, pid, start) = sleeper();
        let now = Timestamp::now();
        let state = tempfile::tempdir().unwrap();
        let plan = plan(&[(pid, start)], "test", now);
        let actions = apply(&plan, &NeverTouch::default(), now);
        let file = remember(state.path(), &Applied { plan, actions }).unwrap();
        assert_eq!(end(state.path(), pid, now).unwrap().len(), 1);
        assert!(!sleeper.0.wait().unwrap().success());
        assert!(!file.exists());
    }

    #[test]
    fn a_reused_process_id_the_never_touch_list_and_a_late_plan_stop_nobody() {
        let (_sleeper, pid, start) = sleeper();
        let now = Timestamp::now();
        assert!(plan(&[(pid, start + 1)], "test", now).acts.is_empty());
        let good = plan(&[(pid, start)], "test", now);
        let never = NeverTouch::of_commands(vec!["sleep".into()]);
        assert_eq!(apply(&good, &never, now)[0].outcome, Outcome::NeverTouch);
        let late = now + SignedDuration::from_secs(60);
        assert!(matches!(apply(&good, &NeverTouch::default(), late)[0].outcome, Outcome::Failed { .. }));
        assert_ne!(Process::of(pid).unwrap().state, 'T');
    }
}
