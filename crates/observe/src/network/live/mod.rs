//! Packets as they pass by interfaces of this machine: packet sockets with a ring in memory (TPACKET_V3).
//!
//! Opening needs CAP_NET_RAW; everything after works without any right, so that the process gives its rights up in between. A socket
//! outlives its interface: when the interface goes and comes back, the same socket is bound to it again.

mod block;
mod interface;
mod sys;

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Error;
use interface::Interface;
pub use interface::{Batch, Counters, State};

/// How often the kernel is asked what it dropped, and how the interfaces stand.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Blocks of one interface that are read before it is the others' turn.
const BLOCKS_PER_TURN: usize = 4;

/// How much memory waits for packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Of each interface's ring, in bytes; rounded to whole blocks of 1 MiB.
    pub ring_bytes: u64,
    /// The longest that a packet waits in a block that is not full, in milliseconds.
    pub retire_ms: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self { ring_bytes: 64 << 20, retire_ms: 40 }
    }
}

/// An interface that stands otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub interface: String,
    /// How it stood.
    pub before: State,
    /// How it stands.
    pub now: State,
}

/// Open packet sockets. Dropped, all are closed.
#[derive(Debug)]
pub struct Capture {
    interfaces: Vec<Interface>,
    looked: Option<Instant>,
    changes: Vec<Change>,
}

impl Capture {
    /// Opens a socket for each interface; all of them have to be there.
    pub fn open(names: &[String], memory: Memory) -> Result<Self, Error> {
        let open = |name: &String| Interface::open(name, memory);
        let interfaces = names.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { interfaces, looked: None, changes: Vec::new() })
    }

    /// Waits until packets are there, or so long.
    pub fn wait(&mut self, patience: Duration) -> Result<(), Error> {
        if self.interfaces.iter_mut().any(Interface::has_more) {
            return Ok(());
        }
        let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds: Vec<PollFd<'_>> = self
            .interfaces
            .iter()
            .filter(|interface| interface.is_bound())
            .map(|interface| PollFd::from_borrowed_fd(interface.socket(), PollFlags::IN | PollFlags::ERR))
            .collect();
        let polled = match poll(&mut fds, Some(&timeout)) {
            Err(error) if error == rustix::io::Errno::INTR => return Ok(()),
            polled => polled.map_err(|error| Error::Capture(io::Error::from(error)))?,
        };
        let failed = polled > 0 && fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR));
        if failed {
            // An interface went down or away: looked at now rather than in a second.
            self.looked = None;
        }
        Ok(())
    }

    /// Hands out what has come, some at a time, with the place of its interface among those that were opened. Says how many packets.
    pub fn read(&mut self, mut each: impl FnMut(usize, Batch<'_>)) -> u64 {
        let mut packets = 0;
        for (place, interface) in self.interfaces.iter_mut().enumerate() {
            packets += interface.read(BLOCKS_PER_TURN, &mut |batch| each(place, batch));
        }
        packets
    }

    /// Looks how the interfaces stand, at most once a second, and takes back those that came back. What changed is handed out.
    pub fn look(&mut self) -> Vec<Change> {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            self.changes.extend(self.interfaces.iter_mut().filter_map(Interface::look));
        }
        std::mem::take(&mut self.changes)
    }

    /// Takes no further packets; what is in the ring can still be read.
    pub fn close_intake(&mut self) {
        self.interfaces.iter_mut().for_each(Interface::close_intake);
    }

    /// How each interface stands and what it counted.
    pub fn counters(&self) -> Vec<Counters> {
        self.interfaces.iter().map(Interface::counters).collect()
    }

    /// Packets that the kernel dropped, on all interfaces since they were opened.
    pub fn dropped(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.counters().dropped).sum()
    }
}
