//! One interface: its socket, its ring, and whether it is there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use decode::packet::Link;
use decode::packet::capture::Record;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use serde::Serialize;

use super::block::walk;
use super::{Change, Memory, sys};
use crate::Error;

/// Frames that are handed out at once, so that what each needs of memory is fetched meanwhile.
const TOGETHER: usize = 64;
const BLOCK_BYTES: u32 = 1 << 20;
const BLOCKS_MIN: u64 = 4;
/// 4 GiB.
const BLOCKS_MAX: u64 = 4096;
const EVERYTHING: u16 = libc::ETH_P_ALL as u16;

/// Frames that came one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The frames.
    pub records: &'a [Record<'a>],
    /// Whether this machine sent them.
    pub outgoing: bool,
}

/// What frames of an interface begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An Ethernet header.
    Ethernet,
    /// The IP header itself: tunnels.
    Ip,
}

/// How an interface stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Packets are taken from it.
    Up,
    /// It is up, and nothing is plugged in.
    NoCarrier,
    /// It was taken down.
    Down,
    /// There is no interface of that name.
    Gone,
}

impl State {
    /// Whether packets can come from it.
    pub fn is_up(self) -> bool {
        self == State::Up
    }
}

/// An interface in numbers, since it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// Packets that were read.
    pub packets: u64,
    /// Packets that the kernel dropped, since the ring was full.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Interface {
    name: String,
    // Unmapped before the socket is closed.
    ring: sys::Ring,
    socket: OwnedFd,
    /// The index that the socket is bound to.
    index: Option<u32>,
    kind: Kind,
    loopback: bool,
    state: State,
    next: usize,
    packets: u64,
    dropped: u64,
}

impl Interface {
    pub(super) fn open(name: &str, memory: Memory) -> Result<Self, Error> {
        let failed =
            |step| move |source: io::Error| Error::Interface { step, interface: name.to_owned(), source };
        // Of no protocol: until it is bound, it would take the packets of all interfaces.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map_err(|error| failed("open a packet socket for")(error.into()))?;
        let index = name_to_index(&socket, name).map_err(|error| failed("find")(error.into()))?;
        let hardware = sys::hardware(&socket, name).map_err(failed("look at"))?;
        let kind = kind(hardware).ok_or_else(|| {
            let what = io::Error::other(format!("its link layer, {hardware}, is not known here"));
            failed("read")(what)
        })?;
        let layout = sys::Layout {
            block_bytes: BLOCK_BYTES,
            blocks: u32::try_from((memory.ring_bytes / u64::from(BLOCK_BYTES)).clamp(BLOCKS_MIN, BLOCKS_MAX))
                .unwrap_or(64),
            retire_ms: memory.retire_ms,
        };
        let ring = sys::Ring::new(socket.as_fd(), layout).map_err(failed("make a ring of memory for"))?;
        let mut interface = Self {
            name: name.to_owned(),
            ring,
            socket,
            index: None,
            kind,
            loopback: hardware == libc::ARPHRD_LOOPBACK,
            state: State::Up,
            next: 0,
            packets: 0,
            dropped: 0,
        };
        interface.bind(index).map_err(failed("listen at"))?;
        interface.state = interface.stands();
        Ok(interface)
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn is_bound(&self) -> bool {
        self.index.is_some()
    }

    pub(super) fn has_more(&mut self) -> bool {
        self.ring.take(self.next).is_some()
    }

    /// Reads so many blocks at most.
    pub(super) fn read(&mut self, blocks_max: usize, each: &mut impl FnMut(Batch<'_>)) -> u64 {
        let mut packets = 0;
        let (kind, loopback) = (self.kind, self.loopback);
        for _ in 0..blocks_max {
            let Some(block) = self.ring.take(self.next) else { break };
            let (mut records, mut outgoing) = (Vec::with_capacity(TOGETHER), false);
            packets += walk(block, kind == Kind::Ethernet, &mut |frame| {
                // On loopback each packet passes twice, going out and coming in.
                if loopback && frame.outgoing {
                    return;
                }
                let link = match (kind, frame.vlan) {
                    (Kind::Ip, _) => Link::Ip,
                    (Kind::Ethernet, None) => Link::Ethernet,
                    (Kind::Ethernet, Some(tag)) => Link::EthernetInVlan(tag),
                };
                if records.len() == TOGETHER || (frame.outgoing != outgoing && !records.is_empty()) {
                    each(Batch { records: &records, outgoing });
                    records.clear();
                }
                outgoing = frame.outgoing;
                records.push(Record { at: frame.at, link, bytes: frame.bytes, orig_len: frame.orig_len });
            });
            if !records.is_empty() {
                each(Batch { records: &records, outgoing });
            }
            self.ring.give_back(self.next);
            self.next = (self.next + 1) % self.ring.blocks();
        }
        self.packets += packets;
        packets
    }

    /// Asks what was dropped and how the interface stands, and binds to it again where it came back.
    pub(super) fn look(&mut self) -> Option<Change> {
        self.count();
        let now = self.stands();
        if now == self.state {
            return None;
        }
        let before = std::mem::replace(&mut self.state, now);
        Some(Change { interface: self.name.clone(), before, now })
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { name: self.name.clone(), state: self.state, packets: self.packets, dropped: self.dropped }
    }

    pub(super) fn close_intake(&mut self) {
        self.count();
        if let Some(index) = self.index.take() {
            // Without this, packets that nobody will look at fill the ring for a moment longer.
            let _ = sys::bind(self.socket.as_fd(), index, 0);
        }
    }

    fn count(&mut self) {
        // The kernel's counters begin anew with each question; a question that fails loses nothing.
        if let Ok(counts) = sys::counts(self.socket.as_fd()) {
            self.dropped += u64::from(counts.dropped);
        }
    }

    fn stands(&mut self) -> State {
        let Ok(index) = name_to_index(&self.socket, &self.name) else {
            self.index = None;
            return State::Gone;
        };
        // Reading the socket's error clears it; otherwise poll(2) would not wait any more.
        let _ = rustix::net::sockopt::socket_error(&self.socket);
        if self.index != Some(index) && self.bind(index).is_err() {
            return State::Down;
        }
        let Ok(flags) = sys::flags(&self.socket, &self.name) else { return State::Gone };
        match (flags & libc::IFF_UP != 0, flags & libc::IFF_RUNNING != 0) {
            (false, _) => State::Down,
            (true, false) => State::NoCarrier,
            (true, true) => State::Up,
        }
    }

    fn bind(&mut self, index: u32) -> io::Result<()> {
        let socket = self.socket.as_fd();
        sys::bind(socket, index, EVERYTHING)?;
        // Loopback and tunnels know nothing of it, and need not.
        let _ = sys::promiscuous(socket, index);
        self.index = Some(index);
        Ok(())
    }
}

/// netdevice(7), `ARPHRD_*` of linux/if_arp.h: what the sensor reads.
fn kind(hardware: u16) -> Option<Kind> {
    const SIT: u16 = 776;
    const GRE: u16 = 778;
    const TUNNEL: u16 = 768;
    const TUNNEL6: u16 = 769;
    const NONE: u16 = 0xfffe;
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Kind::Ethernet),
        libc::ARPHRD_PPP | SIT | GRE | TUNNEL | TUNNEL6 | NONE => Some(Kind::Ip),
        _ => None,
    }
}
