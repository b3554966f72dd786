//! The hub: watchers' lines come in, incidents and countermeasures come out; people ask through [`Hub`].
//!
//! `intake` reads lines, `decide` correlates and plans, `settle` writes down, `scribe` waits for the disk, `replay` does so again after a crash, `hands` carries out, `outcomes` writes down what came of it; `outbox` tells
//! people, `jobs` runs what is due, `promise` keeps the one sentence current. `core` is the thread that ties them together.

mod alarms;
mod book;
pub(crate) mod bundle;
mod clock;
mod core;
mod decide;
mod door;
mod grants;
mod guard_said;
mod handed;
mod handle;
mod hands;
mod intake;
mod jobs;
mod keeper;
mod media;
mod notices;
mod outbox;
mod outcomes;
mod packets;
mod pending;
mod promise;
mod reconnect;
mod replay;
pub(crate) mod report;
mod requests;
mod scribe;
mod settle;
mod setup;
mod start;
mod tide;
mod viewer;
mod wall_kept;
mod wall_policy;
mod wall_said;
mod week;
mod words;

pub(crate) use door::ask as ask_running;
#[cfg(test)]
pub(crate) use handle::Request;
pub(crate) use handle::{Answer, Command, Hub, Live, Refusal};
pub(crate) use keeper::medium;
pub(crate) use setup::{read_private, secret, wall_settings};
pub(crate) use start::{Running, Settings, start};
pub(crate) use viewer::Entrance;
pub(crate) use words::{in_words, state_in_words, status_in_words};
