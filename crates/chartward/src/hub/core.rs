//! The core: one thread that owns the correlation, decides, and writes down what it decided before anybody acts on it.
//!
//! The order in which things become durable: a watcher's line in the lake's journal; then, in one transaction,
//! the incidents and countermeasures that follow from it; then the hands act; then the ledger tells. Killed between
//! any two of them, the next start goes on from the journal: the same lines give the same incidents, and what was
//! approved is applied.
