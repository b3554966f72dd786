use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::verify::{Expect, verify};
use super::{Fact, Head, Ledger};
use crate::Error;
use crate::durable::sync_dir;

/// A verified copy of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Entries in it.
    pub entries: u64,
    /// The last of them.
    pub head: Head,
}

pub(super) fn export(ledger: &Ledger, to: &Path, now: Timestamp) -> Result<Exported, Error> {
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    if to.symlink_metadata().is_ok() {
        return Err(Error::TargetExists(to.to_owned()));
    }
    // Taken before the copy: what others append meanwhile may be in it, what is there now must be.
    let expect = Expect::from(&ledger.head()?);
    let copied = copy(ledger, partial).and_then(|()| check(ledger, partial, &expect));
    let exported = match copied {
        Ok(exported) => exported,
        Err(cause) => {
            // The cause matters more than a leftover that could not be removed.
            let _ = fs::remove_file(partial);
            return Err(cause);
        }
    };
    fs::rename(partial, to).map_err(Error::file("write", to))?;
    sync_dir(to)?;
    let fact = Fact::LedgerExported { entries: exported.entries, head: exported.head.hash.clone() };
    ledger.append(fact, now)?;
    Ok(exported)
}

fn copy(ledger: &Ledger, to: &Path) -> Result<(), Error> {
    let mut from = File::open(&ledger.path).map_err(Error::file("open", &ledger.path))?;
    flock(&from, FlockOperation::LockShared)
        .map_err(|cause| Error::file("lock", &ledger.path)(cause.into()))?;
    let mut write = || {
        // A leftover of a killed export; made anew, so that nobody's link is followed.
        let _ = fs::remove_file(to);
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut from, &mut copy)?;
        copy.sync_all()
    };
    write().map_err(Error::file("write", to))
}

/// Reads the copy back, so that what was given out is what was verified.
fn check(ledger: &Ledger, copy: &Path, expect: &Expect) -> Result<Exported, Error> {
    let report = verify(copy, expect)?;
    match (report.first_bad, report.head) {
        (None, Some(head)) => Ok(Exported { entries: report.entries, head }),
        (Some((line, fault)), _) => Err(Error::NotIntact { path: ledger.path.clone(), line, fault }),
        (None, None) => Err(Error::NoLedger(ledger.path.clone())),
    }
}
