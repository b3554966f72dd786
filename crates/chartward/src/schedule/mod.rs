//! When backups, drills, exports and checks are due, and which were missed.

mod due;
mod jobs;
mod run;
#[cfg(test)]
mod run_tests;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use jobs::{BUNDLE, Job, Known, jobs};
pub(crate) use run::{Finished, PARENT, Runner, Task, end_with_parent};
pub(crate) use table::{DueJob, Schedule, newest_snapshot};
