//! The outbox: a notice stands in the state until its channel accepted it, and the receiver's words are kept as proof.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use act::notify::{self, Channel, Notice};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::{SignedDuration, Timestamp};
use prove::State;
use schema::CountermeasureId;

use super::hands::Done;

/// A receiver that says nothing for this long is tried again later.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the outbox when nobody says that something is in it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Notices sent one after another before anything else is looked at.
const BATCH_MAX: usize = 16;
/// After so many tries a notice is given up: a day, with the pauses between them.
const TRIES_MAX: u32 = 30;

/// How a channel of the configuration is found, and secrets by their names.
pub(crate) struct Channels {
    pub(crate) named: Vec<(String, Channel)>,
    pub(crate) secret: Box<dyn Fn(&str) -> Option<String> + Send + Sync>,
}

impl Channels {
    fn get(&self, name: &str) -> Option<&Channel> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, channel)| channel)
    }
}
