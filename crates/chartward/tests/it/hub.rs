//! `chartward up` as a whole: what its watchers say becomes incidents and acts, and survives whatever happens to the hub.

mod acts;
mod alarms;
pub(crate) mod browser;
mod bundle;
mod clock;
mod crash;
mod first;
mod freeze;
mod gap;
mod grants;
mod guarded;
mod interrupted;
mod mail;
mod media;
mod notices;
mod ordinary;
mod passwords;
mod sensor;
mod shutout;
mod stage;
mod storage;
mod vault;
mod wall;
mod watchers;
