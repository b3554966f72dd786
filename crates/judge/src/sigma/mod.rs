//! Sigma rules, unmodified: rules come in as text, records as [`schema::LogRecord`], and out come hits with their author.
//!
//! The way of a record: its channel and event id choose the rules that are for it ([`route`], one table); one pass over
//! each field finds the texts of all rules at once ([`finder`]); a rule is evaluated when one of the texts is there without which it cannot
//! hold ([`expr`]). Correlations go by the time of the records, in microseconds, and their memory is bounded ([`correlation`]).

mod compile;
mod correlation;
mod engine;
mod expr;
pub(crate) mod family;
mod finder;
mod finding;
mod glob;
mod hit;
mod logon;
mod matcher;
mod own;
mod read;
mod route;
mod rule;
mod ruleset;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;

pub use correlation::{GroupsState, Sighting};
pub use engine::{Engine, Filter, Matcher, NotLoaded, State};
pub use family::detector;
pub use finding::attacks;
pub use hit::{SigmaHit, Together};
pub use logon::{AUTHENTICATION, logon_record};
pub use own::own_rules;
pub use rule::{RuleInfo, Status};
