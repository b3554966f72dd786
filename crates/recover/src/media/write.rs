//! Bringing a medium up to date and reading it back.

use std::path::Path;

use jiff::Timestamp;
use schema::SnapshotId;

use super::book::{Attempt, Book, Trouble};
use super::identity::{self, Identity, Presence, Receipt, look};
use crate::vault::{CopyReport, CopyRequest, Progress, Vault, folder_on};
use crate::{Error, proof};

/// What is to be written.
#[derive(Debug, Clone)]
pub struct WriteRequest<'r> {
    /// Where the medium is.
    pub path: &'r Path,
    /// The rotation and the set that must be in; `None`: whichever of ours is.
    pub wanted: Option<(&'r str, &'r str)>,
    /// A medium that was written since then is done; `None`: it is brought up to date anyhow.
    pub since: Option<Timestamp>,
    /// Only so many of the newest snapshots of each job; `None`: all of them.
    pub newest: Option<usize>,
    /// Whether everything on the medium is read back, not only what was written now.
    pub read_all: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The medium holds what it should, and it was read there.
    Written {
        /// Which.
        identity: Identity,
        /// What was done.
        report: CopyReport,
        /// What the medium carries now.
        receipt: Receipt,
    },
    /// It was done before.
    Done(Identity),
    /// It does not.
    Failed {
        /// Why.
        trouble: Trouble,
        /// As it was found.
        cause: String,
        /// The set that is in, where one is.
        set: Option<String>,
        /// What was done nevertheless.
        report: Option<CopyReport>,
    },
}

/// Writes to the medium that is in and notes in the book what came of it. The caller makes the book durable.
///
/// An error is about the vault or this machine; what is wrong with the medium is an [`Outcome`].
pub fn write(
    vault: &Vault,
    book: &mut Book,
    request: &WriteRequest<'_>,
    now: &dyn Fn() -> Timestamp,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, Error> {
    let outcome = match try_write(vault, book, request, now, progress) {
        Ok(outcome) => outcome,
        Err(error) => of_medium(&error, request.path).ok_or(error)?,
    };
    let (rotation, set, trouble, cause) = match (&outcome, request.wanted) {
        (Outcome::Done(_), _) => return Ok(outcome),
        (Outcome::Written { identity, .. }, _) => {
            (identity.rotation.clone(), identity.set.clone(), None, String::new())
        }
        (Outcome::Failed { trouble, cause, .. }, Some((rotation, set))) => {
            (rotation.to_owned(), set.to_owned(), Some(*trouble), cause.clone())
        }
        (Outcome::Failed { trouble, cause, .. }, None) => match look(request.path) {
            Presence::Claimed(identity) => (identity.rotation, identity.set, Some(*trouble), cause.clone()),
            _ => return Ok(outcome),
        },
    };
    // That nothing is in says nothing new about what went wrong when something was.
    let is_news = !matches!(trouble, Some(Trouble::Absent | Trouble::WrongSet));
    if is_news || !book.attempts.contains_key(&rotation) {
        book.attempts.insert(rotation, Attempt { at: now(), set, trouble, cause });
    }
    Ok(outcome)
}

fn try_write(
    vault: &Vault,
    book: &mut Book,
    request: &WriteRequest<'_>,
    now: &dyn Fn() -> Timestamp,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, Error> {
    let identity = match identify(vault, book, request.path)? {
        Ok(identity) => identity,
        Err(failed) => return Ok(failed),
    };
    if let Some((rotation, set)) = request.wanted
        && (identity.rotation != rotation || identity.set != set)
    {
        let cause = format!(
            "set {} of {} is in, and it is the turn of set {set} of {rotation}",
            identity.set, identity.rotation
        );
        return Ok(Outcome::Failed {
            trouble: Trouble::WrongSet,
            cause,
            set: Some(identity.set),
            report: None,
        });
    }
    let last = book.known(&identity.id).and_then(|known| known.last.clone());
    if request.since.is_some_and(|since| last.as_ref().is_some_and(|last| last.at >= since)) {
        return Ok(Outcome::Done(identity));
    }
    let first = newest_proven(vault)?;
    let copy = CopyRequest { first, newest: request.newest, read_all: request.read_all };
    let report = vault.copy_to(&folder_on(request.path), &copy, progress)?;
    if let Some((trouble, cause)) = fault(&report) {
        return Ok(Outcome::Failed { trouble, cause, set: Some(identity.set), report: Some(report) });
    }
    let number = last.map_or(0, |last| last.number) + 1;
    let receipt = acknowledge(vault, request.path, &identity, number, &report, now())?;
    let known = book.enter(&identity);
    known.last = Some(receipt.clone());
    known.disk = identity::disk(request.path);
    known.path = Some(request.path.to_owned());
    Ok(Outcome::Written { identity, report, receipt })
}

/// Who is in, if it is one of ours that can be believed.
fn identify(vault: &Vault, book: &mut Book, path: &Path) -> Result<Result<Identity, Outcome>, Error> {
    let failed = |trouble, cause: &str, set: Option<&str>| {
        let (cause, set) = (cause.to_owned(), set.map(str::to_owned));
        Ok(Err(Outcome::Failed { trouble, cause, set, report: None }))
    };
    let claimed = match look(path) {
        Presence::Absent => return failed(Trouble::Absent, "nothing is mounted there", None),
        Presence::Blank => return failed(Trouble::Blank, "there is nothing on it", None),
        Presence::Foreign => return failed(Trouble::Foreign, "it was never prepared", None),
        Presence::Unreadable(cause) => return failed(Trouble::Other, &cause, None),
        Presence::Claimed(identity) => identity,
    };
    let set = Some(claimed.set.as_str());
    let Some(identity) = identity::authentic(vault, path)? else {
        return failed(Trouble::Swapped, "its identity is not sealed with the key of this vault", set);
    };
    let receipt = identity::receipt(vault, path)?.filter(|receipt| receipt.medium == identity.id);
    let known = book.enter(&identity);
    let remembered = known.last.as_ref().map_or(0, |last| last.number);
    if receipt.as_ref().map_or(0, |receipt| receipt.number) < remembered {
        return failed(
            Trouble::Swapped,
            "it holds an older state than was written to it: it is a copy, or was set back",
            set,
        );
    }
    if receipt.as_ref().is_some_and(|receipt| receipt.number > remembered) {
        // This machine was told of less than it did: its book was lost, or is an older one.
        known.last = receipt;
    }
    Ok(Ok(identity))
}

fn fault(report: &CopyReport) -> Option<(Trouble, String)> {
    let first = report.problems.first().cloned().unwrap_or_default();
    if report.bytes_without_room > 0 {
        return Some((
            Trouble::Full,
            format!("{} bytes more than there is room for", report.bytes_without_room),
        ));
    }
    if report.medium_fails {
        return Some((Trouble::ReadsBackWrong, first));
    }
    if report.snapshots == 0 {
        return Some((Trouble::Incomplete, "the vault holds no snapshot that could be copied".to_owned()));
    }
    (!report.problems.is_empty()).then_some((Trouble::Incomplete, first))
}

/// Writes the receipt and reads it there.
fn acknowledge(
    vault: &Vault,
    path: &Path,
    identity: &Identity,
    number: u64,
    report: &CopyReport,
    at: Timestamp,
) -> Result<Receipt, Error> {
    let copy = vault.open_copy(&folder_on(path))?;
    let newest = proof::data_snapshots(&copy)?.last().map(|snapshot| snapshot.time);
    let receipt = Receipt {
        medium: identity.id.clone(),
        number,
        at,
        snapshots: report.snapshots,
        newest,
        newest_proven: proof::newest_proven(&copy)?.map(|proof| proof.captured_at),
        bytes_read: report.read_back.bytes(),
        read_for_certain: report.read_back.is_certain(),
    };
    identity::save_receipt(vault, path, &receipt)?;
    let there = identity::authentic(vault, path)?.is_some_and(|found| found == *identity);
    match identity::receipt(vault, path)? {
        Some(found) if there && found == receipt => Ok(receipt),
        _ => Err(Error::MediumAbsent { dir: path.to_owned() }),
    }
}

/// The newest proven snapshot of each job.
fn newest_proven(vault: &Vault) -> Result<Vec<SnapshotId>, Error> {
    let proofs = proof::proofs(vault)?;
    let last = |id: &SnapshotId| proofs.iter().rev().find(|proof| proof.snapshot == *id);
    let proven = |id: &SnapshotId| last(id).is_some_and(|proof| proof.passed);
    let of_job = |job: proof::Job| job.snapshots.iter().rev().map(|s| s.id.clone()).find(proven);
    Ok(proof::jobs(vault)?.into_iter().filter_map(of_job).collect())
}

/// What an error says of the medium; `None` when it is not about the medium.
fn of_medium(error: &Error, path: &Path) -> Option<Outcome> {
    let is_ours = |other: &Path| other.starts_with(path);
    let trouble = match error {
        Error::MediumAbsent { dir } if is_ours(dir) => Trouble::PulledOut,
        Error::VaultFull { dir, .. } if is_ours(dir) => Trouble::Full,
        Error::ReadOnly { dir, .. } if is_ours(dir) => Trouble::ReadOnly,
        Error::OtherVault { dir } if is_ours(dir) => Trouble::Swapped,
        Error::NoRepository { dir } | Error::ConfigLost { dir } if is_ours(dir) => Trouble::ReadsBackWrong,
        Error::Io { path: at, source, .. } if is_ours(at) => match (source.kind(), look(path)) {
            (std::io::ErrorKind::PermissionDenied, _) => Trouble::ReadOnly,
            (_, Presence::Claimed(_)) => Trouble::Other,
            _ => Trouble::PulledOut,
        },
        _ => return None,
    };
    Some(Outcome::Failed { trouble, cause: error.chain(), set: None, report: None })
}

/// Reads everything on a medium and compares it with what was written. It changes nothing, on the medium or in the book.
pub fn verify(
    vault: &Vault,
    book: &Book,
    path: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, Error> {
    let mut seen = book.clone();
    let identity = match identify(vault, &mut seen, path)? {
        Ok(identity) => identity,
        Err(failed) => return Ok(failed),
    };
    let failed = |trouble, cause, report| {
        Ok(Outcome::Failed { trouble, cause, set: Some(identity.set.clone()), report })
    };
    let copy = match vault.open_copy(&folder_on(path)) {
        Ok(copy) => copy,
        Err(error) => return of_medium(&error, path).ok_or(error),
    };
    let report = match copy.read_back(progress) {
        Ok(report) => report,
        Err(error) => return of_medium(&error, path).ok_or(error),
    };
    if let Some((trouble, cause)) = fault(&report) {
        return failed(trouble, cause, Some(report));
    }
    match identity::receipt(vault, path)?.filter(|receipt| receipt.medium == identity.id) {
        Some(receipt) => Ok(Outcome::Written { identity, report, receipt }),
        None => failed(Trouble::Blank, "nothing was ever written to it to the end".to_owned(), Some(report)),
    }
}
