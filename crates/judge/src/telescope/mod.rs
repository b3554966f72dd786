//! The observation network: counts that can be merged, surges, shares.
//!
//! Packets to addresses that nobody uses are counted per destination port, protocol, kind and the family of systems that their SYN
//! looks like, hour by hour. Counts of several sensors merge to what one sensor would have counted. Every table is bounded: what is
//! too much is counted together and said.

mod count;
mod day;
mod hour;
mod letters;
mod probe;
mod quarter;
mod share;
mod sketch;
mod sources;
mod surge;
mod trend;

pub use count::{Counter, Filter, HOURS_OPEN_MAX};
pub use day::{Confirmed, Day, Record, SourceRow, Sources};
pub use hour::{Hour, Key, Tally};
pub use letters::{Contacts, group};
pub use probe::Probe;
pub use quarter::{Pass, Survey};
pub use share::wilson;
pub use sketch::{EXACT_MAX, RELATIVE_ERROR, Sketch};
pub use surge::{Judged, Settings as SurgeSettings, judge as judge_surges};
pub use trend::figure as trend_figure;

#[cfg(test)]
mod tests;
