//! Packets that came in parts. Overlapping parts are how detection is evaded, and no honest sender makes them: they are dropped and
//! counted, whole and all.

use std::collections::VecDeque;
use std::net::IpAddr;

use decode::packet::Fragment;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use schema::Micros;

/// Packets that are being put together at once.
const WHOLES_MAX: usize = 1024;
/// Bytes of all their parts.
const BYTES_MAX: usize = 16 << 20;
/// Parts of one packet; 45 are the most that Ethernet's 1500 bytes make of 64 KiB.
const PARTS_MAX: usize = 512;
/// How long parts are awaited (RFC 8200 §4.5 says 60 s; systems wait for 30).
const PATIENCE: Micros = 30_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Id {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
}

#[derive(Debug)]
struct Whole {
    /// Tells it from an earlier one of the same id.
    number: u64,
    since: Micros,
    /// Offset and bytes, in order.
    parts: Vec<(u32, Box<[u8]>)>,
    /// Bytes of its parts.
    bytes: usize,
    /// Bytes of its parts' IP packets, headers included.
    ip_bytes: u32,
    /// Its length, once its last part came.
    length: Option<u32>,
    /// It holds parts that overlap: all that follow are dropped with it.
    spoilt: bool,
}

/// A packet that is whole now.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) protocol: u8,
    pub(super) bytes: Vec<u8>,
    /// Bytes of all its parts' IP packets.
    pub(super) ip_bytes: u32,
}

/// Parts that wait for others.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    wholes: HashMap<Id, Whole, RandomState>,
    /// In the order of their coming.
    order: VecDeque<(Id, u64)>,
    bytes: usize,
    begun: u64,
    /// Parts that never became a whole.
    pub(super) lost: u64,
}

impl Fragments {
    /// Takes a part; the whole once this completes it.
    pub(super) fn take(
        &mut self,
        ends: (IpAddr, IpAddr),
        fragment: &Fragment<'_>,
        ip_bytes: u32,
        now: Micros,
    ) -> Option<Joined> {
        self.expire(now);
        let id = Id { source: ends.0, destination: ends.1, id: fragment.id, protocol: fragment.protocol };
        if !self.wholes.contains_key(&id) {
            while self.wholes.len() >= WHOLES_MAX || self.bytes + fragment.payload.len() > BYTES_MAX {
                self.drop_oldest();
            }
            self.begin(id, now);
        }
        let whole = self.wholes.get_mut(&id)?;
        let before = whole.bytes;
        if whole.spoilt || !whole.add(fragment, ip_bytes) {
            // The part at hand, and all that are there.
            self.lost += 1 + whole.parts.len() as u64;
            self.bytes -= before;
            (whole.spoilt, whole.bytes) = (true, 0);
            whole.parts.clear();
            return None;
        }
        self.bytes += whole.bytes - before;
        if whole.length != Some(whole.bytes as u32) {
            // One packet may take all the room, but no more.
            while self.bytes > BYTES_MAX {
                self.drop_oldest();
            }
            return None;
        }
        let whole = self.wholes.remove(&id)?;
        self.bytes -= whole.bytes;
        let bytes = whole.parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        Some(Joined { protocol: id.protocol, bytes, ip_bytes: whole.ip_bytes })
    }

    /// Counts all that still waits as lost.
    pub(super) fn finish(&mut self) {
        while !self.order.is_empty() {
            self.drop_oldest();
        }
    }

    fn begin(&mut self, id: Id, since: Micros) {
        if self.order.len() >= 4 * WHOLES_MAX {
            let wholes = &self.wholes;
            self.order.retain(|(id, number)| wholes.get(id).is_some_and(|whole| whole.number == *number));
        }
        self.begun += 1;
        let (number, parts) = (self.begun, Vec::new());
        self.order.push_back((id, number));
        let whole = Whole { number, since, parts, bytes: 0, ip_bytes: 0, length: None, spoilt: false };
        self.wholes.insert(id, whole);
    }

    fn expire(&mut self, now: Micros) {
        while let Some((id, number)) = self.order.front() {
            let whole = self.wholes.get(id).filter(|whole| whole.number == *number);
            if whole.is_some_and(|whole| now.saturating_sub(whole.since).saturating_abs() <= PATIENCE) {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((id, number)) = self.order.pop_front() else { return };
        // Completed ones are in the order still.
        if self.wholes.get(&id).is_some_and(|whole| whole.number == number)
            && let Some(whole) = self.wholes.remove(&id)
        {
            self.lost += whole.parts.len() as u64;
            self.bytes -= whole.bytes;
        }
    }
}

impl Whole {
    /// Whether the part fits to those that are there.
    fn add(&mut self, fragment: &Fragment<'_>, ip_bytes: u32) -> bool {
        let end = fragment.offset + fragment.payload.len() as u32;
        let place = self.parts.partition_point(|(offset, _)| *offset < fragment.offset);
        let same =
            |(offset, bytes): &(u32, Box<[u8]>)| *offset == fragment.offset && **bytes == *fragment.payload;
        if self.parts.get(place).is_some_and(same) {
            // A mirror shows packets twice; the same part again is no overlap.
            return true;
        }
        let overlaps_before = place.checked_sub(1).is_some_and(|before| {
            let (offset, bytes) = &self.parts[before];
            offset + bytes.len() as u32 > fragment.offset
        });
        let overlaps_behind = self.parts.get(place).is_some_and(|(offset, _)| *offset < end);
        let ends_twice = !fragment.more && self.length.is_some();
        let is_behind_the_end = self.length.is_some_and(|length| end > length);
        let ends_too_soon = !fragment.more && self.parts.last().is_some_and(|(offset, _)| *offset >= end);
        if overlaps_before
            || overlaps_behind
            || ends_twice
            || is_behind_the_end
            || ends_too_soon
            || self.parts.len() >= PARTS_MAX
        {
            return false;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        self.parts.insert(place, (fragment.offset, Box::from(fragment.payload)));
        self.bytes += fragment.payload.len();
        self.ip_bytes = self.ip_bytes.saturating_add(ip_bytes);
        true
    }
}
