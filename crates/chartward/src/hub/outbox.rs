//! The outbox: a notice stands in the state until its channel accepted it, and the receiver's words are kept as proof.
//!
//! Each channel has a thread of its own: a mail server that does not answer must not hold up the lamp.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use act::notify::{self, Channel};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::{SignedDuration, Timestamp};
use prove::State;
use prove::state::QueuedNotice;
use schema::{CountermeasureId, CountermeasureState};

use super::hands::Done;
use super::notices::Queued;
use crate::output::printable;

/// A receiver that says nothing for this long is tried again later.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the outbox.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Notices that are due, looked at once; those of all channels are among them.
const LOOKED_AT_MAX: u32 = 1_000;
/// Notices sent one after another before the outbox is looked at again.
const BATCH_MAX: usize = 16;
/// A notice that no try delivered in two days tells nobody anything new.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(48);
/// Fewer than two days hold, more than an afternoon does.
const TRIES_MIN: u32 = 64;

/// What the name of a secret stands for.
pub(crate) type FindSecret = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The channels of the configuration, and secrets by their names.
pub(crate) struct Channels {
    pub(crate) named: BTreeMap<String, Channel>,
    pub(crate) secret: Box<FindSecret>,
}

type Threads = Vec<(Sender<()>, JoinHandle<()>)>;

/// Starts a thread for each channel, and one for notices to channels that the configuration does not have any more. Each ends when its
/// sender is dropped.
pub(crate) fn start(state: &State, channels: Channels, done: &Sender<Done>) -> std::io::Result<Threads> {
    tell_again(state, done);
    let channels = Arc::new(channels);
    let names = channels.named.keys().cloned().map(Some).chain([None]);
    let start = |name: Option<String>| {
        let (state, channels, done) = (state.clone(), Arc::clone(&channels), done.clone());
        let mut outbox = Outbox { state, channels, name, done, unwritten: BTreeMap::new() };
        let (end, ended) = bounded(0);
        let run = move || outbox.run(&ended);
        Ok((end, thread::Builder::new().name("outbox".into()).spawn(run)?))
    };
    names.map(start).collect()
}

/// Notices of which the hub was killed before it took note of what came of them.
fn tell_again(state: &State, done: &Sender<Done>) {
    for notice in state.notices(None, LOOKED_AT_MAX).unwrap_or_default() {
        let Ok(content) = serde_json::from_str::<Queued>(&notice.json) else { continue };
        let id = content.countermeasure;
        let waits = || state.countermeasure(id).ok().flatten().map(|measure| measure.state);
        if notice.next_try_at.is_none() && waits() == Some(CountermeasureState::Approved) {
            let result = if notice.delivered_at.is_some() { Ok(notice.proof) } else { Err(notice.proof) };
            let at = notice.delivered_at.unwrap_or_else(Timestamp::now);
            let _ = done.send(Done { id, at, undo: false, result });
        }
    }
}

struct Outbox {
    state: State,
    channels: Arc<Channels>,
    /// `None`: all that the configuration does not name.
    name: Option<String>,
    done: Sender<Done>,
    /// What was tried while the state took nothing: a full disk must not send the same notice twice a second.
    unwritten: BTreeMap<i64, Tried>,
}

/// What came of one try.
struct Tried {
    id: Option<CountermeasureId>,
    at: Timestamp,
    sent: Result<String, String>,
    next: Option<Timestamp>,
}

impl Outbox {
    fn run(&mut self, end: &Receiver<()>) {
        while end.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
            let tried = std::mem::take(&mut self.unwritten);
            tried.into_iter().for_each(|(id, tried)| self.write(id, tried));
            let due = self.state.notices_due(Timestamp::now(), LOOKED_AT_MAX).unwrap_or_default();
            let due: Vec<QueuedNotice> =
                due.into_iter().filter(|it| self.is_ours(it)).take(BATCH_MAX).collect();
            for queued in due {
                if end.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected) {
                    return;
                }
                let tried = self.deliver(&queued);
                self.write(queued.id, tried);
            }
        }
    }

    fn is_ours(&self, queued: &QueuedNotice) -> bool {
        let is_for_us = match &self.name {
            Some(name) => queued.channel == *name,
            None => !self.channels.named.contains_key(&queued.channel),
        };
        is_for_us && !self.unwritten.contains_key(&queued.id)
    }

    fn deliver(&self, queued: &QueuedNotice) -> Tried {
        let Ok(content) = serde_json::from_str::<Queued>(&queued.json) else {
            let cause = "the notice in the outbox cannot be read".to_owned();
            return Tried { id: None, at: Timestamp::now(), sent: Err(cause), next: None };
        };
        let id = Some(content.countermeasure);
        let notice = content.notice(queued.incident);
        let sent = match self.channels.named.get(&queued.channel) {
            Some(channel) => notify::send(channel, &notice, &*self.channels.secret, PATIENCE)
                .map(|delivery| delivery.proof)
                .map_err(|error| printable(&format!("{:#}", anyhow::Error::from(error)))),
            None => Err(format!("the configuration has no channel {:?} any more", queued.channel)),
        };
        let at = Timestamp::now();
        let tries = u32::try_from(queued.tries).unwrap_or(u32::MAX);
        // Not by the clock alone: one that jumps ahead must not make a notice old that was never tried.
        let is_late = at.duration_since(queued.created_at) > GIVE_UP && tries >= TRIES_MIN;
        let pause = SignedDuration::try_from(notify::retry_after(tries, spread(queued.id))).ok();
        let next = pause.and_then(|pause| at.checked_add(pause).ok()).filter(|_| !is_late);
        Tried { id, at, sent, next }
    }

    /// A crash between delivery and this delivers twice: told twice is better than not at all.
    fn write(&mut self, id: i64, tried: Tried) {
        let written = self.state.write(|tx| match &tried.sent {
            Ok(proof) => tx.notice_delivered(id, tried.at, proof),
            Err(cause) => tx.notice_failed(id, tried.next, cause),
        });
        if written.is_err() {
            self.unwritten.insert(id, tried);
        } else if let Some(measure) = tried.id.filter(|_| tried.sent.is_ok() || tried.next.is_none()) {
            let _ = self.done.send(Done { id: measure, at: tried.at, undo: false, result: tried.sent });
        }
    }
}

/// Between 0 and 1, so that many notices to one receiver do not all come back at the same moment.
fn spread(id: i64) -> f64 {
    f64::from(u32::try_from(id.rem_euclid(97)).unwrap_or(0)) / 97.0
}
