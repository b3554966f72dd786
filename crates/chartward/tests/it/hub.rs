//! `chartward up` as a whole: what its watchers say becomes incidents and acts, and survives whatever happens to the hub.

mod acts;
mod alarms;
mod clock;
mod browser;
mod crash;
mod first;
mod interrupted;
mod ordinary;
mod stage;
mod storage;
mod vault;
mod watchers;
