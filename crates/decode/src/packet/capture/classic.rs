//! pcap: a header of 24 bytes, then records of 16 bytes and the frame.

use schema::Micros;

use super::{CaptureFault, Link, Order, RECORD_MAX, Record, Step};

pub(super) const HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

#[derive(Debug)]
pub(super) struct Classic {
    order: Order,
    /// Parts of a second in a microsecond: 1, or 1000 for nanoseconds.
    parts: u32,
    link: Link,
}

impl Classic {
    pub(super) fn new(header: &[u8; HEADER]) -> Option<Classic> {
        let (order, parts) = match Order::Little.long(header, 0) {
            0xa1b2_c3d4 => (Order::Little, 1),
            0xd4c3_b2a1 => (Order::Big, 1),
            0xa1b2_3c4d => (Order::Little, 1000),
            0x4d3c_b2a1 => (Order::Big, 1000),
            _ => return None,
        };
        // The upper half says whether frames carry a check sum, which the lengths in IP headers cut off anyway.
        Some(Classic { order, parts, link: Link::from_number(order.long(header, 20) & 0xffff) })
    }

    #[inline]
    pub(super) fn step<'a>(&mut self, window: &'a [u8]) -> Result<Step<'a>, CaptureFault> {
        let Some(header) = window.first_chunk::<RECORD_HEADER>() else {
            return Ok(Step::More { needed: RECORD_HEADER });
        };
        let length = self.order.long(header, 8) as usize;
        let used = RECORD_HEADER + length;
        if used > RECORD_MAX {
            return Err(CaptureFault::RecordLength { bytes: used as u64 });
        }
        let Some(bytes) = window.get(RECORD_HEADER..used) else { return Ok(Step::More { needed: used }) };
        let seconds = Micros::from(self.order.long(header, 0));
        let at = seconds * 1_000_000 + Micros::from(self.order.long(header, 4) / self.parts);
        let orig_len = self.order.long(header, 12);
        Ok(Step::Record { record: Record { at, link: self.link, bytes, orig_len }, used })
    }
}
