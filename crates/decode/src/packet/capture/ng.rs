//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, with interfaces of their own each.

use schema::Micros;

use super::{CaptureFault, Link, Order, RECORD_MAX, Record, Step};

/// A section's header; the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// Interfaces of a section that are kept; frames of any further one are of an unknown link type.
const INTERFACES_MAX: usize = 4096;
/// Options of a block that are looked at.
const OPTIONS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Of sections that are over.
    dropped: u64,
    /// Simple packets have no time of their own.
    last: Micros,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Link,
    clock: Clock,
    snap_length: u32,
    dropped: u64,
}

/// How an interface counts time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    unit: Unit,
    /// Seconds to add.
    offset: i64,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Micro,
    Nano,
    /// So many a second.
    PerSecond(u128),
}

impl Ng {
    pub(super) fn dropped(&self) -> u64 {
        self.interfaces.iter().fold(self.dropped, |sum, interface| sum.saturating_add(interface.dropped))
    }

    pub(super) fn step<'a>(&mut self, window: &'a [u8]) -> Result<Step<'a>, CaptureFault> {
        let Some(head) = window.first_chunk::<8>() else { return Ok(Step::More { needed: 8 }) };
        let mut kind = self.order.long(head, 0);
        if kind == SECTION {
            // Only the third number says what order the second is in.
            let Some(magic) = window.get(8..12) else { return Ok(Step::More { needed: 12 }) };
            self.section(magic)?;
            kind = SECTION;
        }
        let length = self.order.long(head, 4);
        let is_packet = matches!(kind, PACKET | SIMPLE_PACKET | OLD_PACKET);
        // Writers disagree on whether a length that is no multiple of four is padded.
        let used = (u64::from(length) + 3) & !3;
        if length < 12 {
            return Err(CaptureFault::Block { kind });
        }
        let is_wanted = is_packet || matches!(kind, INTERFACE | STATISTICS);
        if !is_wanted {
            return Ok(Step::Skip { used });
        }
        if used > RECORD_MAX as u64 {
            return Err(CaptureFault::RecordLength { bytes: used });
        }
        let used = used as usize;
        let Some(block) = window.get(..used) else { return Ok(Step::More { needed: used }) };
        let body = &block[8..used - 4];
        let record = match kind {
            INTERFACE => self.interface(body),
            STATISTICS => self.statistics(body),
            SIMPLE_PACKET => self.simple(body),
            _ => self.packet(kind, body)?,
        };
        Ok(match record {
            Some(record) => Step::Record { record, used },
            None => Step::Skip { used: used as u64 },
        })
    }

    fn section(&mut self, magic: &[u8]) -> Result<(), CaptureFault> {
        self.order = match magic {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            _ => return Err(CaptureFault::Block { kind: SECTION }),
        };
        self.dropped = self.dropped();
        self.interfaces.clear();
        Ok(())
    }

    fn interface<'a>(&mut self, body: &'a [u8]) -> Option<Record<'a>> {
        if self.interfaces.len() < INTERFACES_MAX {
            let mut clock = Clock { unit: Unit::Micro, offset: 0 };
            for (code, value) in self.options(body.get(8..).unwrap_or_default()) {
                match (code, value) {
                    (9, [resolution, ..]) => clock.unit = Unit::of(*resolution),
                    (14, value) if value.len() >= 8 => clock.offset = self.wide(value),
                    _ => {}
                }
            }
            self.interfaces.push(Interface {
                link: Link::from_number(u32::from(self.order.short(body, 0))),
                clock,
                snap_length: self.order.long(body, 4),
                dropped: 0,
            });
        }
        None
    }

    /// The last word on what an interface missed counts; the operating system's share is in its own number.
    fn statistics<'a>(&mut self, body: &'a [u8]) -> Option<Record<'a>> {
        let mut dropped = 0_u64;
        for (code, value) in self.options(body.get(12..).unwrap_or_default()) {
            if matches!(code, 5 | 7) && value.len() >= 8 {
                dropped = dropped.saturating_add(u64::try_from(self.wide(value)).unwrap_or(0));
            }
        }
        let interface = self.interfaces.get_mut(self.order.long(body, 0) as usize)?;
        interface.dropped = dropped;
        None
    }

    fn simple<'a>(&self, body: &'a [u8]) -> Option<Record<'a>> {
        let interface = self.interfaces.first()?;
        let orig_len = self.order.long(body, 0);
        let frame = body.get(4..).unwrap_or_default();
        let limit = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let length = (orig_len.min(limit) as usize).min(frame.len());
        Some(Record { at: self.last, link: interface.link, bytes: &frame[..length], orig_len })
    }

    fn packet<'a>(&mut self, kind: u32, body: &'a [u8]) -> Result<Option<Record<'a>>, CaptureFault> {
        let number = match kind {
            PACKET => self.order.long(body, 0) as usize,
            _ => usize::from(self.order.short(body, 0)),
        };
        let length = self.order.long(body, 12) as usize;
        let bytes =
            body.get(20..).and_then(|frame| frame.get(..length)).ok_or(CaptureFault::Block { kind })?;
        let time = u64::from(self.order.long(body, 4)) << 32 | u64::from(self.order.long(body, 8));
        let interface = self.interfaces.get(number);
        let clock = interface.map_or(Clock { unit: Unit::Micro, offset: 0 }, |interface| interface.clock);
        let link = interface.map_or(Link::Other(u32::MAX), |interface| interface.link);
        self.last = clock.micros(time);
        Ok(Some(Record { at: self.last, link, bytes, orig_len: self.order.long(body, 16) }))
    }

    /// Code and value of each option.
    fn options<'a>(&self, mut rest: &'a [u8]) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let order = self.order;
        std::iter::from_fn(move || {
            let code = order.short(rest.get(..2)?, 0);
            let length = usize::from(order.short(rest.get(2..4)?, 0));
            let value = rest.get(4..4 + length)?;
            rest = rest.get(4 + ((length + 3) & !3)..).unwrap_or_default();
            (code != 0).then_some((code, value))
        })
        .take(OPTIONS_MAX)
    }

    fn wide(&self, value: &[u8]) -> i64 {
        let (first, second) = (u64::from(self.order.long(value, 0)), u64::from(self.order.long(value, 4)));
        let number = match self.order {
            Order::Little => second << 32 | first,
            Order::Big => first << 32 | second,
        };
        number.cast_signed()
    }
}

impl Unit {
    fn of(resolution: u8) -> Unit {
        match resolution {
            6 => Unit::Micro,
            9 => Unit::Nano,
            binary if binary & 0x80 != 0 => Unit::PerSecond(1 << u32::from(binary & 0x7f).min(100)),
            decimal => Unit::PerSecond(10_u128.pow(u32::from(decimal).min(30))),
        }
    }
}

impl Clock {
    #[inline]
    fn micros(self, time: u64) -> Micros {
        let micros = match self.unit {
            Unit::Micro => time,
            Unit::Nano => time / 1000,
            Unit::PerSecond(units) => u64::try_from(u128::from(time) * 1_000_000 / units).unwrap_or(u64::MAX),
        };
        let micros = Micros::try_from(micros).unwrap_or(Micros::MAX);
        micros.saturating_add(self.offset.saturating_mul(1_000_000))
    }
}
