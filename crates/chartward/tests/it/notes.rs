//! Downtime notes and their reconciliation, with the real viewer, over HTTP and in a real Chromium.

mod browser;
mod entry;
mod reconcile;
mod stage;
