//! `chartward up` as a whole: what its watchers say becomes incidents and acts, and survives whatever happens to the hub.

mod acts;
mod alarms;
mod browser;
mod clock;
mod crash;
mod first;
mod freeze;
mod gap;
mod interrupted;
mod media;
mod notices;
mod ordinary;
mod passwords;
mod stage;
mod storage;
mod vault;
mod wall;
mod watchers;
