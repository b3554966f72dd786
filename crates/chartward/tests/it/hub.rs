//! `chartward up` as a whole: what its watchers say becomes incidents and acts, and survives whatever happens to the hub.

mod acts;
mod crash;
mod first;
mod freeze;
mod notices;
mod stage;
mod storage;
mod vault;
mod wall;
mod watchers;
