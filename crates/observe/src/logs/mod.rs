//! Logs: files with their rotation, sockets of syslog, a journal, what collectors post. All of them become lines in batches.
//!
//! A source blocks where its input can wait (a file) and counts what it throws away where it cannot (a datagram). A line is at most
//! [`LINE_BYTES_MAX`] long; what is longer is cut and counted. Nothing here looks into a line.

mod batch;
pub mod evtx;
mod find;
mod follow;
mod http;
mod journal;
mod listen;
mod read;
mod room;
mod split;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Losses, Source};
pub use find::files;
pub use follow::{At, Follow, Position};
pub use http::serve_http;
pub use journal::Journal;
pub use listen::{Listener, Transport, tcp, udp};
pub use read::{FileLines, Stopped};
pub use split::LINE_BYTES_MAX;
