//! Tells the ledger of openings for contractors that have ended by themselves.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use prove::Ledger;

use super::handle::{Hub, Live};
use crate::wiring::logins::grants::Grants;

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A ledger or a file that cannot be read is not read every second.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// Starts the thread; it ends when `end` is closed. What ended while no hub ran is told at once.
pub(super) fn start(
    folder: PathBuf,
    ledger: Arc<Ledger>,
    hub: Hub,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("grants".into()).spawn(move || {
        loop {
            let told = Grants::tell_ended(&folder, &ledger, Timestamp::now());
            let wait = if told.is_ok() { LOOK_AGAIN } else { AFTER_TROUBLE };
            note_trouble(&hub, told.err().map(|error| format!("{error:#}")));
            if end.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })
}

fn note_trouble(hub: &Hub, trouble: Option<String>) {
    if hub.shown().grants_trouble != trouble {
        hub.show(|shown| shown.grants_trouble = trouble, Live::Promise);
    }
}
