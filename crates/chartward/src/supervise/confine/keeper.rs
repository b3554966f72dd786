//! Stands between the hub and a watcher, and leaves nobody behind: neither what the watcher forked into the background, nor the watcher
//! itself when the hub is killed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use observe::files::Stat;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::Error;

/// Descendants that are killed can have forked meanwhile; a limit of processes makes that end.
const ROUNDS_MAX: u32 = 64;
const DEEP_MAX: usize = 65_536;

/// Runs `watcher` and returns how it ended, once all that it started has ended too. A hub that goes away ends it like a request to end: with
/// a time of grace and then without asking.
pub(crate) fn keep(mut watcher: Command, hub: Option<i32>, grace: Duration) -> Result<i32, Error> {
    let step = |step| move |source: io::Error| Error::Step { step, source };
    let asked = listen(&[SIGTERM, SIGINT, SIGHUP]).map_err(step("listen to signals"))?;
    let children = listen(&[SIGCHLD]).map_err(step("listen to signals"))?;
    // What the watcher orphans becomes ours instead of going to process 1.
    set_child_subreaper(Some(getpid())).map_err(|error| step("take in orphans")(error.into()))?;
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| step("ask to be told of the hub's end")(error.into()))?;
    if hub.is_some_and(|hub| getppid() != Pid::from_raw(hub)) {
        return Err(step("stay below the hub")(io::Error::other("the hub has ended already")));
    }
    let child = watcher.stdin(Stdio::null()).spawn().map_err(step("start the confined process"))?;
    let watcher = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let Some(watcher) = watcher else {
        return Err(step("keep the confined process")(io::Error::other("no id")));
    };
    only_kill();
    let status = attend(watcher, &asked, &children, grace);
    sweep();
    Ok(status)
}

/// A pipe that becomes readable with each of the signals.
fn listen(signals: &[i32]) -> io::Result<OwnedFd> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read.into())
}

/// From here on it only signals. Whoever took it over would find no other right of root's.
fn only_kill() {
    let kept = rustix::thread::capabilities(None)
        .map_or(CapabilitySet::empty(), |had| had.permitted & CapabilitySet::KILL);
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    let _ = set_capabilities(None, sets);
}

/// Waits for the watcher's end, or brings it about.
fn attend(watcher: Pid, asked: &OwnedFd, children: &OwnedFd, grace: Duration) -> i32 {
    let mut until: Option<Instant> = None;
    loop {
        if let Some(status) = reap(watcher) {
            return status;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            sweep();
        }
        let left = left.map(|left| left.max(Duration::from_millis(20)));
        let timeout = left.and_then(|left| rustix::time::Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(asked, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
        if poll(&mut fds, timeout.as_ref()).is_err() {
            continue;
        }
        let is_asked = !fds[0].revents().is_empty();
        drain(asked);
        drain(children);
        if is_asked && until.is_none() {
            until = Some(Instant::now() + grace);
            // The watcher leads a session and a group of its own; before it does, it is alone.
            if kill_process_group(watcher, Signal::TERM).is_err() {
                let _ = kill_process(watcher, Signal::TERM);
            }
        }
    }
}

fn drain(pipe: &impl AsFd) {
    let mut bytes = [0; 64];
    while rustix::io::read(pipe, &mut bytes).is_ok_and(|len| len > 0) {}
}

/// Reaps whoever has ended; the watcher's own status once it is among them.
fn reap(watcher: Pid) -> Option<i32> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == watcher {
            found = Some(status.as_raw());
        }
    }
    found
}

/// Ends everybody who descends from this process. They are stopped first, so that nobody forks while the others are found.
fn sweep() {
    for _ in 0..ROUNDS_MAX {
        let mut stopped: Vec<i32> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let fresh: Vec<i32> = descendants().into_iter().filter(|pid| !stopped.contains(pid)).collect();
            if fresh.is_empty() {
                break;
            }
            fresh.iter().for_each(|pid| signal(*pid, Signal::STOP));
            stopped.extend(fresh);
        }
        if stopped.is_empty() {
            return;
        }
        stopped.iter().for_each(|pid| signal(*pid, Signal::KILL));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// All that live below this process; none of them can have its id given to a stranger before it was waited for here, except below
/// a parent that lives, which is stopped.
fn descendants() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return vec![] };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<Stat> = pids.filter_map(Stat::of).collect();
    let mut found = vec![getpid().as_raw_nonzero().get()];
    let mut at = 0;
    while let Some(&parent) = found.get(at).filter(|_| found.len() < DEEP_MAX) {
        let children = all.iter().filter(|stat| stat.parent == parent && !matches!(stat.state, 'Z' | 'X'));
        let children: Vec<i32> = children.map(|stat| stat.pid).collect();
        found.extend(children);
        at += 1;
    }
    found.remove(0);
    found
}

/// Ends this process as the watcher ended, so that the hub sees the cause.
pub(crate) fn end_like(status: i32) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let status = ExitStatus::from_raw(status);
    if let Some(number) = status.signal() {
        let _ = signal_hook::low_level::emulate_default_handler(number);
        signal(getpid().as_raw_nonzero().get(), Signal::from_named_raw(number).unwrap_or(Signal::KILL));
    }
    status.code().unwrap_or(255)
}
