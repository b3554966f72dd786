//! Lets a mail out of the quarantine, from the command line and from the console.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use observe::mail::quarantine::{Done, Keeping, Store};
use observe::mail::reinject::{Given, Way};

use super::decide::RELEASED;

const WITHIN: Duration = Duration::from_secs(60);

/// Where the quarantine lies below the state folder, when nothing else is said.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("mail").join("quarantine")
}

/// The quarantine there; `None` where nothing was ever held back.
pub(crate) fn open(dir: &Path) -> anyhow::Result<Option<Store>> {
    match dir.join("secret").try_exists() {
        Ok(false) => Ok(None),
        // What keeps us from looking is said by opening it.
        _ => Ok(Some(Store::open(dir, Keeping::default())?)),
    }
}

/// A release that a person wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) id: &'a str,
    /// To whom; empty for those whom it was sent to.
    pub(crate) to: &'a [String],
    /// Whose wish it is.
    pub(crate) by: &'a str,
    /// Also when they have it already.
    pub(crate) again: bool,
}

/// Gives the mail to the mail server and writes it down; it stays in the quarantine until it is too old. Whom it went to.
pub(crate) fn release(store: &Store, way: &Way, wish: &Wish<'_>) -> anyhow::Result<Vec<String>> {
    let Wish { id, to, by, again } = *wish;
    let _held = store.hold(id)?;
    let kept = store.kept(id)?;
    let to = if to.is_empty() { kept.entry.envelope.to.clone() } else { to.to_vec() };
    let had = |address: &String| kept.done.iter().find(|done| done.released_to.contains(address));
    if let Some(done) = to.iter().find_map(had).filter(|_| !again) {
        bail!("{id} was released already, at {} by {}", done.at, done.by);
    }
    let (_, message) = store.read(id)?;
    let pass = store.pass(id, &message)?;
    let message = [format!("{RELEASED}: {pass}\r\n").as_bytes(), &message].concat();
    way.give(&Given { from: &kept.entry.envelope.from, to: &to, message: &message }, WITHIN)?;
    let done = Done { at: Timestamp::now(), by: by.to_owned(), released_to: to.clone() };
    store
        .note(id, &done)
        .with_context(|| format!("the mail {id} was delivered, and this could not be written down"))?;
    Ok(to)
}
