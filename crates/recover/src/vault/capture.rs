//! One moment out of a tree that goes on changing: after the first pass everything is looked at again, until two passes see the same.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schema::{Exception, ExceptionKind};

use super::archive::{Archive, Counts, Findings, Root, Setup};
use super::cache::Folders;
use super::progress::{Phase, Progress};
use super::repository::Vault;
use super::request::BackupReport;
use super::tree::{Kind, Node};
use super::work::{Dir, DirJob, Job, Work};
use super::write::{Stopped, Writer};
use super::{meta, open_at};
use crate::Error;

/// Looks after the first pass before what still changes is flagged.
const RECHECKS: usize = 3;
/// How coarse a file system's clock may be: two ticks of a kernel at 100 Hz.
pub(crate) const CLOCK_TICK: SignedDuration = SignedDuration::from_millis(20);
const COPIED: &str = "it kept changing; it is whole, as it was at one instant (reflink), but that of the other files is another";
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What a capture ends with.
pub(crate) struct Captured {
    /// The roots' nodes in their order. A root that vanished has none.
    pub(crate) nodes: Vec<Option<Node>>,
    /// The folders as the last pass left them.
    pub(crate) folders: Folders,
}

/// Runs passes until the tree holds still. `known` are the folders as the last backup left them.
pub(crate) fn capture(
    vault: &Vault,
    writer: &Writer<'_>,
    setup: &Setup<'_>,
    mut roots: Vec<Root>,
    mut known: Folders,
    report: &mut BackupReport,
    progress: &dyn Fn(Progress),
) -> Result<Captured, Error> {
    let (mut given_up, mut copied) = (BTreeSet::new(), BTreeSet::new());
    let (mut vanished, mut unread) = (Vec::new(), Vec::new());
    let mut seen: Option<Vec<Option<Node>>> = None;
    let mut last_began = None;
    for pass in 0..=RECHECKS {
        let began = Timestamp::now();
        let archive = Archive {
            vault,
            writer,
            setup,
            work: Work::default(),
            zeros: OnceLock::new(),
            distrust_from: last_began.map(|began: Timestamp| began - CLOCK_TICK),
            is_last: pass == RECHECKS,
            known: &known,
            trust_before: setup.pictures.since.map_or(began, |since| began.min(since)) - CLOCK_TICK,
            fresh: Mutex::default(),
            given_up: &given_up,
            counts: Counts::default(),
            findings: Mutex::default(),
        };
        let phase = if pass == 0 { Phase::Capture } else { Phase::Recheck };
        if let Some(observer) = setup.observer {
            (observer.pass)();
        }
        let nodes = run_pass(&archive, &roots, phase, progress).map_err(|Stopped| writer.failure())?;
        for (root, node) in roots.iter().zip(&nodes) {
            archive.tell_files(root.path.parent().unwrap_or(Path::new("/")), node.iter());
        }
        // The next pass reads back the trees that this one wrote.
        writer.flush().map_err(|Stopped| writer.failure())?;
        let Findings { exceptions, attributes, unstable, copied: copies, read } =
            archive.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        count(report, &archive.counts, pass == 0);
        known = archive.fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_still = seen.as_ref() == Some(&nodes);
        last_began = Some(began);
        vanished.extend(exceptions.iter().filter(|e| e.kind == ExceptionKind::Vanished).cloned());
        report.exceptions = exceptions.into_iter().filter(|e| e.kind != ExceptionKind::Vanished).collect();
        unread.extend(attributes);
        given_up.extend(unstable);
        copied.extend(copies);
        for (root, node) in roots.iter_mut().zip(&nodes) {
            root.previous.clone_from(node);
        }
        seen = Some(nodes);
        if is_still {
            break;
        }
        if pass == RECHECKS {
            given_up.extend(read);
        }
    }
    vanished.dedup();
    report.exceptions.extend(vanished);
    report.exceptions.extend(unread);
    report.exceptions.extend(given_up.iter().map(|path| Exception {
        path: path.to_string_lossy().into_owned(),
        kind: ExceptionKind::Unstable,
        cause: if copied.contains(path) { COPIED } else { "it kept changing while it was read" }.to_owned(),
    }));
    report.exceptions.sort_by(|a, b| (&a.path, &a.cause).cmp(&(&b.path, &b.cause)));
    report.exceptions.dedup();
    Ok(Captured { nodes: seen.unwrap_or_default(), folders: known })
}

fn count(report: &mut BackupReport, counts: &Counts, is_first: bool) {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    if is_first {
        report.files_new = get(&counts.new);
        report.files_changed = get(&counts.changed);
        report.files_unmodified = get(&counts.unmodified);
    }
    report.dirs = get(&counts.dirs);
    report.files = get(&counts.new) + get(&counts.changed) + get(&counts.unmodified);
    report.bytes = get(&counts.files_bytes);
    report.bytes_read += get(&counts.bytes_read);
}

fn run_pass(
    archive: &Archive<'_>,
    roots: &[Root],
    phase: Phase,
    progress: &dyn Fn(Progress),
) -> Result<Vec<Option<Node>>, Stopped> {
    let top = Arc::new(Dir::new(None, Node::new(b"", Kind::Dir), PathBuf::new(), roots.len(), None));
    top.left.fetch_add(roots.len(), Ordering::AcqRel);
    for (slot, root) in roots.iter().enumerate() {
        push_root(archive, &top, slot, root);
    }
    if top.finish_one() {
        archive.work.end();
    }
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
    // Once at least: a pass over what has not changed may be over before anybody looks.
    progress(Progress { phase, done: 0, total: None, bytes: 0 });
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| archive.run())).collect();
        while running.iter().any(|thread| !thread.is_finished()) {
            let counts = &archive.counts;
            let done = counts.new.load(Ordering::Relaxed)
                + counts.changed.load(Ordering::Relaxed)
                + counts.unmodified.load(Ordering::Relaxed);
            let bytes = counts.files_bytes.load(Ordering::Relaxed);
            progress(Progress { phase, done, total: None, bytes });
            wait(&running);
        }
        // A thread that panicked has left its directory unfinished: no snapshot may come of that.
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Err(Stopped)))
    })?;
    let mut slots = top.slots.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *slots))
}

/// Until a progress report is due, or sooner when all threads are done.
fn wait<T>(running: &[std::thread::ScopedJoinHandle<'_, T>]) {
    let slice = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < PROGRESS_EVERY && running.iter().any(|thread| !thread.is_finished()) {
        std::thread::sleep(slice);
        waited += slice;
    }
}

fn push_root(archive: &Archive<'_>, top: &Arc<Dir>, slot: usize, root: &Root) {
    let name = root.path.file_name().unwrap_or(OsStr::new("/")).as_bytes().to_owned();
    let looked = rustix::fs::statat(rustix::fs::CWD, &root.at, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    let result = looked.map_err(std::io::Error::from).and_then(|stat| {
        let stat = archive.setup.as_shown(stat);
        if meta::kind_of(&stat) == Kind::Dir {
            let fd = open_at::named_dir(&root.at)?;
            archive.work.push([Job::Dir(DirJob {
                parent: Arc::clone(top),
                slot,
                name,
                root: Arc::new(fd),
                relative: PathBuf::new(),
                path: root.path.clone(),
                previous: root.previous.as_ref().and_then(|node| node.subtree),
                depth: 0,
            })]);
        } else {
            let fd = open_at::named_dir(root.at.parent().unwrap_or(Path::new("/")))?;
            archive.push_single(top, slot, root, fd, &stat);
        }
        Ok(())
    });
    if let Err(error) = result {
        archive.report(&root.path, ExceptionKind::Unreadable, error.to_string());
        top.put(slot, None);
    }
}
