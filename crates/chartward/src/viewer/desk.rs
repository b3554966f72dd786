//! The threads that hold the charts. Each has its own handle of the source, so that one that is slow to read keeps
//! nobody else from theirs.

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::civil::Date;
use recover::charts::{Chart, Charts};
use schema::PatientId;

/// Requests that wait for a thread.
const WAITING_MAX: usize = 64;

/// A patient's chart is wanted.
pub(super) struct Asked {
    patient: PatientId,
    /// `None` when there is no such patient.
    answer: Sender<Option<Box<Chart>>>,
}

/// Where charts are asked for. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desk {
    asks: Sender<Asked>,
}

impl Desk {
    /// The desk, and what the threads behind it take their work from.
    pub(super) fn open() -> (Desk, Receiver<Asked>) {
        let (asks, asked) = bounded(WAITING_MAX);
        (Desk { asks }, asked)
    }

    /// Reads a chart, waiting for it; an error when the viewer ends.
    pub(super) fn chart(&self, patient: PatientId) -> anyhow::Result<Option<Box<Chart>>> {
        let (answer, answered) = bounded(1);
        self.asks.send(Asked { patient, answer })?;
        Ok(answered.recv()?)
    }
}

/// Answers until nobody can ask any more.
pub(super) fn sit(charts: &Charts<'_>, as_of: Option<Date>, asked: &Receiver<Asked>) {
    for Asked { patient, answer } in asked {
        let _ = answer.send(charts.chart(&patient, as_of).map(Box::new));
    }
}
