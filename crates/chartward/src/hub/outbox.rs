//! The outbox: a notice stands in the state until its channel accepted it, and the receiver's words are kept as proof.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use act::notify::{self, Channel};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::{SignedDuration, Timestamp};
use prove::State;
use prove::state::QueuedNotice;

use super::hands::Done;
use super::notices::Queued;
use crate::output::printable;

/// A receiver that says nothing for this long is tried again later.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the outbox.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Notices sent one after another before the outbox is looked at again.
const BATCH_MAX: u32 = 16;
/// A notice that no try delivered in two days tells nobody anything new.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(48);

/// The channels of the configuration, and secrets by their names.
pub(crate) struct Channels {
    pub(crate) named: BTreeMap<String, Channel>,
    pub(crate) secret: Box<dyn Fn(&str) -> Option<String> + Send>,
}

/// Starts the thread that empties the outbox; it ends when `end` is closed.
pub(crate) fn start(
    state: State,
    channels: Channels,
    done: Sender<Done>,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("outbox".into()).spawn(move || {
        while end.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
            for queued in state.notices_due(Timestamp::now(), BATCH_MAX).unwrap_or_default() {
                deliver(&state, &channels, &done, &queued);
            }
        }
    })
}

fn deliver(state: &State, channels: &Channels, done: &Sender<Done>, queued: &QueuedNotice) {
    let Ok(content) = serde_json::from_str::<Queued>(&queued.json) else {
        let _ =
            state.write(|tx| tx.notice_failed(queued.id, None, "the notice in the outbox cannot be read"));
        return;
    };
    let id = content.countermeasure;
    let notice = content.notice(queued.incident);
    let sent = match channels.named.get(&queued.channel) {
        Some(channel) => notify::send(channel, &notice, &*channels.secret, PATIENCE)
            .map(|delivery| delivery.proof)
            .map_err(|error| printable(&format!("{:#}", anyhow::Error::from(error)))),
        None => Err(format!("the configuration has no channel {:?} any more", queued.channel)),
    };
    let now = Timestamp::now();
    let tell = |result| {
        let _ = done.send(Done { id, at: now, undo: false, result });
    };
    // A crash between delivery and this line delivers twice: told twice is better than not at all.
    match sent {
        Ok(proof) => {
            let _ = state.write(|tx| tx.notice_delivered(queued.id, now, &proof));
            tell(Ok(proof));
        }
        Err(cause) => {
            let is_late = now.duration_since(queued.created_at) > GIVE_UP;
            let tries = u32::try_from(queued.tries).unwrap_or(u32::MAX);
            let pause = notify::retry_after(tries, spread(queued.id));
            let next = SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
            let next = next.filter(|_| !is_late);
            let _ = state.write(|tx| tx.notice_failed(queued.id, next, &cause));
            if next.is_none() {
                tell(Err(cause));
            }
        }
    }
}

/// Between 0 and 1, so that many notices to one receiver do not all come back at the same moment.
fn spread(id: i64) -> f64 {
    f64::from(u32::try_from(id.rem_euclid(97)).unwrap_or(0)) / 97.0
}
