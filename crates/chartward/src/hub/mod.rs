//! The hub: watchers' lines come in, incidents and countermeasures come out; people ask through [`Hub`].
//!
//! `intake` reads lines, `decide` correlates and plans, `hands` carries out, `outcomes` writes down what came of it; `outbox` tells
//! people, `jobs` runs what is due, `promise` keeps the one sentence current. `core` is the thread that ties them together.

mod core;
mod decide;
mod door;
mod handle;
mod hands;
mod intake;
mod jobs;
mod keeper;
mod outbox;
mod outcomes;
mod promise;
mod reconnect;
pub(crate) mod report;
mod requests;
mod setup;
mod start;
mod tide;
mod week;

pub(crate) use door::ask as ask_running;
pub(crate) use handle::{Answer, Command, Hub, Live, Refusal, Request, Shown};
pub(crate) use outcomes::in_words;
pub(crate) use requests::status_ja;
pub(crate) use setup::{read_private, secret};
pub(crate) use start::{Running, Settings, start};
