//! Lines on their way to whoever reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schema::Micros;

use super::room::{Held, Room};

/// Where lines come from, by its place in the list of sources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// A file's path, a listener with the address of who sends, `journal`.
    pub name: Arc<str>,
}

impl Source {
    /// A source of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into() }
    }
}

/// Lines of one source, in their order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Whose.
    pub source: Source,
    /// When they came.
    pub arrived: Micros,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Where the source stands once these lines are dealt with; for files and journals.
    pub position: Option<super::Position>,
    /// The room that it takes among what came over doors, until nobody has it any more.
    held: Option<Arc<Held>>,
}

impl Batch {
    /// An empty one.
    #[must_use]
    pub fn new(source: Source, arrived: Micros) -> Self {
        Self { source, arrived, bytes: Vec::new(), ends: Vec::new(), position: None, held: None }
    }

    /// Takes room for what it weighs; `false`: there is none.
    pub(super) fn hold(&mut self, room: &Room) -> bool {
        self.held = room.hold(self.weight()).map(Arc::new);
        self.held.is_some()
    }

    /// What it takes of memory: lines, and where each ends.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    /// Adds a line without its end.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let line = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            line
        })
    }
}

/// What did not get through, counted by whoever threw it away, and the room for what is under way.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    inner: Arc<Counters>,
    pub(super) room: Room,
}

#[derive(Debug, Default)]
struct Counters {
    lost: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
}

impl Losses {
    /// Lines for which there was no room.
    pub fn lose(&self, lines: u64) {
        self.inner.lost.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that were longer than a line may be.
    pub fn cut(&self, lines: u64) {
        self.inner.cut.fetch_add(lines, Ordering::Relaxed);
    }

    /// Connections and requests that were not taken.
    pub fn refuse(&self) {
        self.inner.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Lost lines, cut lines, refused connections since the start.
    #[must_use]
    pub fn all(&self) -> [u64; 3] {
        [&self.inner.lost, &self.inner.cut, &self.inner.refused].map(|count| count.load(Ordering::Relaxed))
    }
}
