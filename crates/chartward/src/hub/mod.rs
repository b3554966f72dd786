//! The hub's core: watchers' lines come in, incidents and countermeasures come out; people ask through [`Hub`].

mod handle;

pub(crate) use handle::{Answer, Command, Hub, Live, Refusal, Request, Shown};
