//! A vault host with real clients and real attackers.

mod attack;
mod clients;
mod forge;
mod protection;
mod retention;
mod slow;
mod stage;
