//! The sandboxes of this process, and their end by a signal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Threads that write are not stopped, so a folder has to be removed again until they have come to an end or find nothing to write to.
/// A busy disk takes its time with many files; who cannot wait kills the process, and the next run removes them.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(10);

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { folders: Vec::new() });
static HANDLER: Once = Once::new();

/// Folders that must not outlive the process.
pub(super) struct Registry {
    folders: Vec<PathBuf>,
}

/// The registry. From the first signal on it is never given out again, so that the process does nothing more with what vanishes.
pub(super) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Never returns once a signal has come; at once else. Called between two steps, it keeps a command that is about to end from
/// taking the files that vanish for files that are missing.
pub(crate) fn wait_if_ending() {
    drop(lock());
}

impl Registry {
    pub(super) fn add(&mut self, folder: &Path) {
        HANDLER.call_once(handle_signals);
        self.folders.push(folder.to_path_buf());
    }

    pub(super) fn remove(&mut self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        self.folders.retain(|known| known != folder);
    }

    fn clear(&self) {
        let asides: Vec<PathBuf> = self.folders.iter().map(|folder| put_aside(folder)).collect();
        for folder in &asides {
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                let _ = fs::remove_dir_all(folder);
                if !folder.exists() {
                    break;
                }
                thread::sleep(PAUSE);
            }
        }
        for folder in &self.folders {
            let _ = fs::remove_file(folder);
        }
    }
}

/// Puts an empty file in the folder's place in one step, so that no thread that still writes makes the folder anew; gives where the folder
/// lies now. Where the file system cannot do that, it stays where it is.
fn put_aside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".ending");
    let aside = PathBuf::from(name);
    if File::create_new(&aside).is_err() {
        return folder.to_path_buf();
    }
    if rustix::fs::renameat_with(CWD, folder, CWD, &aside, RenameFlags::EXCHANGE).is_err() {
        let _ = fs::remove_file(&aside);
        return folder.to_path_buf();
    }
    aside
}

/// Installed with the first sandbox only: a command without one keeps its own ways with signals.
fn handle_signals() {
    let wanted = [SIGTERM, SIGINT, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
    let started = Signals::new(wanted)
        .and_then(|signals| thread::Builder::new().name("signals".into()).spawn(move || end(signals)));
    if let Err(error) = started {
        eprintln!("chartward: a signal will leave the sandbox to the next run: {error}");
    }
}

fn end(mut signals: Signals) {
    if let Some(signal) = signals.forever().next() {
        let registry = lock();
        registry.clear();
        // As if nobody had handled it, so that the parent sees how the process ended.
        let _ = emulate_default_handler(signal);
        drop(registry);
    }
}

/// Whether the parent wants the signal ignored, as `nohup` does.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}
