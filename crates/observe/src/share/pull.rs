//! Copies the files of a share here, read-only there, so that a server on which nothing may be installed can be backed up.
//!
//! The folder here becomes a mirror: what is as long and as old as there is not read again, and what is gone there goes here too, once
//! the share was listed to its end. It is only ever a folder that a pull made, marked by [`MARKER`], so that no other can lose files.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use smb2::client::{Connection, Tree};

use super::Bounds;
use super::canary::join;
use super::client::{Client, Listed, Stamp, within};
use super::shadow::{PastFile, Shadow};
use crate::Error;

/// In every folder that a pull made: the share's name.
pub(super) const MARKER: &str = ".chartward-pull";
/// In the marker: every file is of its instant.
const WHOLE: &str = "whole";
const MARKER_BYTES_MAX: u64 = 4096;
/// What is being written, before it gets its name.
const PARTIAL: &str = ".chartward-part-";

/// Longest time for one file's piece; a file may take many.
const PIECE_TIME: Duration = Duration::from_secs(20);
const PIECE: u64 = 1 << 20;
/// Files up to this size are read in one round trip.
const SMALL: u64 = 256 << 10;
/// Names that are told of each kind.
const TOLD_MAX: usize = 100;

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pulled {
    /// Files of the share.
    pub files: u64,
    /// Of those, files read now.
    pub fetched: u64,
    /// Bytes read now.
    pub bytes: u64,
    /// Of those, files that were here already.
    pub unchanged: u64,
    /// Files here that are gone there, and so here.
    pub removed: u64,
    /// Files that could not be read, or changed while they were.
    pub failed: u64,
    /// Files whose names this file system cannot hold.
    pub unstorable: u64,
    /// Entries that were not looked at: beyond bounds, links, folders that cannot be listed.
    pub left_out: u64,
    /// Whether the share was listed to its end.
    pub complete: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// What the files are of.
    pub instant: Instant,
    /// The first paths that could not be stored or read, for the operator's eyes only: they may name patients.
    #[serde(skip)]
    pub troubles: Vec<String>,
}

/// Of when the files are that were pulled.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(tag = "files_are_of", rename_all = "snake_case")]
pub enum Instant {
    /// All of the same instant: a previous version (shadow copy) of the share.
    One {
        /// That instant, by the server's clock.
        at: Timestamp,
    },
    /// Each of the moment at which it was read.
    #[default]
    Many,
    /// The same, although the server has previous versions: none is as young as was asked for, and younger than what is here.
    TooOld {
        /// The newest of them.
        newest: Timestamp,
    },
}

/// What is asked for of a pull besides its bounds.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// A previous version that is older than this is not used: it would lose what was written since.
    pub shadow_age_max: SignedDuration,
    /// Now.
    pub now: Timestamp,
}

struct Job {
    path: String,
    to: PathBuf,
    stamp: Stamp,
    shadow: Option<Shadow>,
}

/// Pulls the folders `below` of the share (all of it when empty) into `to`. Takes as long as `bounds.look_time`.
///
/// Read is the newest previous version (shadow copy) of the share if it is young enough, else the share as it is. What is here never goes
/// back in time for it.
pub fn pull(
    client: &Client,
    below: &[String],
    to: &Path,
    bounds: &Bounds,
    wish: Wish,
) -> Result<Pulled, Error> {
    let started = std::time::Instant::now();
    let deadline = started + bounds.look_time;
    let share = client.name().to_string();
    let before = own(to, &share)?;
    let (shadow, instant) = choose(&client.shadows()?, wish, before);
    // First: what is here is of this instant from now on, in parts at least.
    mark(to, &share, shadow.map_or(wish.now, |shadow| shadow.at()))?;
    let mut pulled = Pulled { instant, ..Pulled::default() };
    let mut jobs = Vec::new();
    let mut here = BTreeSet::new();
    let mut rest = plan(client, shadow, below, to, bounds, deadline, &mut pulled, &mut jobs, &mut here);
    pulled.complete = rest.is_empty() && pulled.left_out == 0;
    pulled.left_out += rest.drain(..).count() as u64;
    jobs.sort_by(|a, b| b.path.cmp(&a.path));
    let start = |tree, connection, job: Job| fetch(tree, connection, job);
    let mut take = |(path, outcome): (String, io::Result<u64>)| {
        match outcome {
            Ok(bytes) => {
                pulled.fetched += 1;
                pulled.bytes += bytes;
            }
            Err(_) => {
                pulled.failed += 1;
                trouble(&mut pulled.troubles, path);
            }
        }
        Vec::new()
    };
    client.many(&mut || jobs.pop(), start, &mut take, deadline);
    pulled.failed += jobs.len() as u64;
    if pulled.complete {
        sweep(to, to, &here, &mut pulled.removed)?;
    }
    if let (Some(shadow), true) = (shadow, pulled.complete && pulled.failed == 0 && pulled.unstorable == 0) {
        note(to, &share, shadow.at(), WHOLE)?;
    }
    pulled.seconds = started.elapsed().as_secs_f64();
    Ok(pulled)
}

/// The previous version to read, and what that makes the files.
fn choose(shadows: &[Shadow], wish: Wish, before: Option<Timestamp>) -> (Option<Shadow>, Instant) {
    let Some(newest) = shadows.iter().find(|shadow| shadow.at() <= wish.now) else {
        return (None, Instant::Many);
    };
    let is_young = wish.now.duration_since(newest.at()) <= wish.shadow_age_max;
    if is_young && before.is_none_or(|before| newest.at() >= before) {
        (Some(*newest), Instant::One { at: newest.at() })
    } else {
        (None, Instant::TooOld { newest: newest.at() })
    }
}

/// Makes the folder, or makes sure that an earlier pull of the same share made it. Of when its files are at the latest, as far as known.
fn own(to: &Path, share: &str) -> Result<Option<Timestamp>, Error> {
    let failed = |source| Error::PullWrite { path: to.to_owned(), source };
    fs::create_dir_all(to).map_err(failed)?;
    let marker = to.join(MARKER);
    match fs::read_to_string(&marker) {
        Ok(text) if text.lines().next().map(str::trim) == Some(share) => {
            return Ok(text.lines().nth(1).and_then(|line| line.trim().parse().ok()));
        }
        Ok(_) => return Err(failed(io::Error::other("it holds another share"))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Err(_) => {}
    }
    if fs::read_dir(to).map_err(failed)?.next().is_some() {
        return Err(failed(io::Error::other("it is not empty and no pull made it")));
    }
    fs::write(&marker, format!("{share}\n")).map_err(failed)?;
    Ok(None)
}

/// The instant that all files of a pulled folder show: that of a previous version (shadow copy) which was pulled to its end, every file
/// of it. `None` where they are of different instants, or no pull made the folder.
pub fn shown(folder: &Path) -> Option<Timestamp> {
    let file = fs::File::open(folder.join(MARKER)).ok()?;
    let mut text = String::new();
    file.take(MARKER_BYTES_MAX).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().skip(1);
    let at = lines.next()?.trim().parse().ok()?;
    (lines.next()?.trim() == WHOLE).then_some(at)
}

/// Notes of when the files here are at the latest. Whether all of them are is known at the end of a pull.
fn mark(to: &Path, share: &str, at: Timestamp) -> Result<(), Error> {
    note(to, share, at, "")
}

fn note(to: &Path, share: &str, at: Timestamp, what: &str) -> Result<(), Error> {
    let failed = |source| Error::PullWrite { path: to.to_owned(), source };
    let new = to.join(format!("{PARTIAL}marker"));
    fs::write(&new, format!("{share}\n{at}\n{what}\n")).map_err(failed)?;
    fs::rename(&new, to.join(MARKER)).map_err(failed)
}

/// Lists the share and says what to fetch.
#[allow(clippy::too_many_arguments, reason = "what one walk fills")]
fn plan(
    client: &Client,
    shadow: Option<Shadow>,
    below: &[String],
    to: &Path,
    bounds: &Bounds,
    deadline: std::time::Instant,
    pulled: &mut Pulled,
    jobs: &mut Vec<Job>,
    here: &mut BTreeSet<PathBuf>,
) -> Vec<String> {
    let roots = if below.is_empty() { vec![String::new()] } else { below.to_vec() };
    let mut visited = BTreeSet::new();
    let mut take = |listed: Listed| {
        pulled.left_out += listed.left_out;
        let Ok(entries) = listed.entries else {
            pulled.left_out += 1;
            trouble(&mut pulled.troubles, listed.path);
            return Vec::new();
        };
        let depth = listed.path.split('/').count();
        let mut folders = Vec::new();
        for entry in entries {
            let path = join(&listed.path, &entry.name);
            let seen = entry.is_folder && entry.identity.is_some_and(|identity| !visited.insert(identity));
            if seen || depth > bounds.depth_max || here.len() >= bounds.files_max {
                pulled.left_out += 1;
            } else if !is_storable(&entry.name) {
                pulled.unstorable += 1;
                trouble(&mut pulled.troubles, path);
            } else if entry.is_folder {
                folders.push(path);
            } else {
                pulled.files += 1;
                let to = to.join(&path);
                here.insert(to.clone());
                if is_same(&to, entry.stamp) {
                    pulled.unchanged += 1;
                } else {
                    jobs.push(Job { path, to, stamp: entry.stamp, shadow });
                }
            }
        }
        folders
    };
    client.list_as_it_was(shadow, roots, bounds.folder_entries_max, &mut take, deadline)
}

fn trouble(troubles: &mut Vec<String>, path: String) {
    if troubles.len() < TOLD_MAX {
        troubles.push(path);
    }
}

/// Names of 255 units of UTF-16 can be longer than a local file system takes.
fn is_storable(name: &str) -> bool {
    name.len() + PARTIAL.len() <= 255
        && name != MARKER
        && name != "."
        && name != ".."
        && !name.contains(['/', '\0'])
}

fn is_same(here: &Path, there: Stamp) -> bool {
    let Ok(meta) = fs::symlink_metadata(here) else { return false };
    meta.is_file() && meta.len() == there.size && meta.modified().ok() == time(there.modified)
}

fn time(ticks: u64) -> Option<SystemTime> {
    smb2::pack::FileTime(ticks).to_system_time()
}

async fn fetch(tree: Arc<Tree>, connection: Connection, job: Job) -> (String, io::Result<u64>) {
    let outcome = copy(&tree, connection, &job).await;
    (job.path, outcome)
}

async fn copy(tree: &Arc<Tree>, mut connection: Connection, job: &Job) -> io::Result<u64> {
    let Some(folder) = job.to.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
    fs::create_dir_all(folder)?;
    let slow = || io::Error::from(io::ErrorKind::TimedOut);
    let name = job.to.file_name().unwrap_or_default();
    let mut partial_name = std::ffi::OsString::from(PARTIAL);
    partial_name.push(name);
    let partial = folder.join(partial_name);
    let mut file = File::create(&partial)?;
    let bytes = if let Some(shadow) = job.shadow {
        let open = PastFile::open(tree, connection, shadow, &job.path);
        let past = within(PIECE_TIME, open).await.ok_or_else(slow)?.map_err(io::Error::other)?;
        let copied = copy_past(&past, &mut file, job.stamp.size).await;
        past.close().await;
        copied?
    } else if job.stamp.size <= SMALL {
        let read = tree.read_file_compound_sized(&mut connection, &job.path, job.stamp.size);
        let bytes = within(PIECE_TIME, read).await.ok_or_else(slow)?.map_err(io::Error::other)?;
        file.write_all(&bytes)?;
        bytes.len() as u64
    } else {
        let open = tree.open_file_reader(connection, &job.path);
        let reader = within(PIECE_TIME, open).await.ok_or_else(slow)?.map_err(io::Error::other)?;
        let mut at = 0;
        // No further than it was when it was listed: a file that grows while it is read comes next time.
        while at < job.stamp.size {
            let piece = reader.read_at(at, PIECE.min(job.stamp.size - at));
            let piece = within(PIECE_TIME, piece).await.ok_or_else(slow)?.map_err(io::Error::other)?;
            if piece.is_empty() {
                break;
            }
            file.write_all(&piece)?;
            at += piece.len() as u64;
        }
        at
    };
    if bytes != job.stamp.size {
        fs::remove_file(&partial)?;
        return Err(io::Error::other("it changed while it was read"));
    }
    if let Some(modified) = time(job.stamp.modified) {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    drop(file);
    fs::rename(&partial, &job.to)?;
    Ok(bytes)
}

/// Reads a file of a previous version, which neither grows nor changes.
async fn copy_past(past: &PastFile, file: &mut File, size: u64) -> io::Result<u64> {
    let mut at = 0;
    while at < size {
        let piece = past.read_at(at, size - at).await.map_err(io::Error::other)?;
        if piece.is_empty() {
            break;
        }
        file.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(at)
}

/// Removes what is here and not there.
fn sweep(root: &Path, dir: &Path, here: &BTreeSet<PathBuf>, removed: &mut u64) -> Result<(), Error> {
    let failed = |source| Error::PullWrite { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            sweep(root, &path, here, removed)?;
            // Only goes when it is empty.
            let _ = fs::remove_dir(&path);
        } else if !(here.contains(&path) || dir == root && entry.file_name() == MARKER) {
            fs::remove_file(&path).map_err(failed)?;
            *removed += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_a_pull_of_this_share_made_is_mirrored_into() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = dir.path().join("fresh");
        assert_eq!(own(&fresh, "//emr/ssmix").unwrap(), None);
        mark(&fresh, "//emr/ssmix", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(own(&fresh, "//emr/ssmix").unwrap(), Some(Timestamp::UNIX_EPOCH));
        assert!(own(&fresh, "//emr/other").is_err());
        let used = dir.path().join("used");
        fs::create_dir(&used).unwrap();
        fs::write(used.join("thesis.txt"), "mine").unwrap();
        assert!(own(&used, "//emr/ssmix").is_err());
    }

    #[test]
    fn a_previous_version_is_read_while_it_is_young_and_nothing_here_goes_back_for_it() {
        let at = |minute: i64| Timestamp::from_second(1_800_000_000 + minute * 60).unwrap();
        let wish = Wish { shadow_age_max: SignedDuration::from_mins(60), now: at(0) };
        let (young, old, future) = (Shadow::of(at(-10)), Shadow::of(at(-90)), Shadow::of(at(10)));
        for (shadows, before, expected) in [
            (vec![], None, Instant::Many),
            (vec![young, old], None, Instant::One { at: at(-10) }),
            (vec![future, young], Some(at(-10)), Instant::One { at: at(-10) }),
            (vec![young, old], Some(at(-5)), Instant::TooOld { newest: at(-10) }),
            (vec![old], None, Instant::TooOld { newest: at(-90) }),
        ] {
            assert_eq!(choose(&shadows, wish, before).1, expected);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_known() {
        for (name, expected) in [
            ("0000000042_20181016_OML-11_1_20181016054000000_01_1", true),
            ("診療録.pdf", true),
            ("..", false),
            (MARKER, false),
            (&"あ".repeat(100), false),
        ] {
            assert_eq!(is_storable(name), expected, "{name}");
        }
    }
}
