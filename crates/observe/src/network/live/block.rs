//! What the kernel wrote into a block of the ring: frames one after the other, each behind a `tpacket3_hdr`.

use schema::Micros;

/// One frame as it was on the wire, but for its outermost VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// When the kernel took it.
    pub(super) at: Micros,
    /// From its link layer on.
    pub(super) bytes: &'a [u8],
    /// How long it was on the wire, without that tag.
    pub(super) orig_len: u32,
    /// The outermost VLAN tag, which the kernel takes out of every frame.
    pub(super) vlan: Option<u16>,
    /// Whether this machine sent it.
    pub(super) outgoing: bool,
}

const PACKETS_AT: usize = 12;
const FIRST_AT: usize = 16;
const HEADER_BYTES: usize = 48;
/// `sockaddr_ll.sll_pkttype` behind the header.
const TYPE_AT: usize = HEADER_BYTES + 10;

/// Hands out each frame of the block; what does not fit into it ends the walk. Says how many there were.
pub(super) fn walk<'a>(block: &'a [u8], ethernet: bool, each: &mut impl FnMut(Frame<'a>)) -> u64 {
    let packets = word(block, PACKETS_AT).unwrap_or_default();
    let mut at = word(block, FIRST_AT).unwrap_or_default() as usize;
    let mut walked = 0;
    for _ in 0..packets {
        let Some(rest) = block.get(at..) else { break };
        let next = word(rest, 0).unwrap_or_default() as usize;
        let Some(frame) = frame(rest, ethernet) else { break };
        each(frame);
        walked += 1;
        if next == 0 {
            break;
        }
        at = at.saturating_add(next);
    }
    walked
}

fn frame(rest: &[u8], ethernet: bool) -> Option<Frame<'_>> {
    let (seconds, nanoseconds) = (word(rest, 4)?, word(rest, 8)?);
    let (captured, on_wire) = (word(rest, 12)? as usize, word(rest, 16)?);
    let status = word(rest, 20)?;
    let start = usize::from(half(rest, 24)?);
    let outgoing = *rest.get(TYPE_AT)? == libc::PACKET_OUTGOING;
    let at = i64::from(seconds) * 1_000_000 + i64::from(nanoseconds / 1_000);
    let is_tagged = status & libc::TP_STATUS_VLAN_VALID != 0 && ethernet;
    // Tag 0 carries a priority alone.
    let vlan = if is_tagged { Some(half_of(word(rest, 32)?) & 0xfff).filter(|tag| *tag != 0) } else { None };
    let bytes = rest.get(start..start.checked_add(captured)?)?;
    Some(Frame { at, bytes, orig_len: on_wire, vlan, outgoing })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// The tag's control information is a word whose upper half is always 0.
fn half_of(word: u32) -> u16 {
    u16::try_from(word & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Made<'a> {
        bytes: &'a [u8],
        orig_len: u32,
        status: u32,
        tci: u32,
        kind: u8,
    }

    /// As the kernel lays them out: `tpacket_block_desc`, then headers with `sockaddr_ll` and frames.
    fn block(frames: &[Made<'_>]) -> Vec<u8> {
        let mut block = vec![0; 48];
        block[12..16].copy_from_slice(&(frames.len() as u32).to_ne_bytes());
        block[16..20].copy_from_slice(&48_u32.to_ne_bytes());
        for (number, frame) in frames.iter().enumerate() {
            let start = 86;
            let length = (start + frame.bytes.len()).next_multiple_of(16);
            let mut one = vec![0; length];
            let next = if number + 1 == frames.len() { 0 } else { length as u32 };
            for (at, word) in [
                (0, next),
                (4, 1_700_000_000 + number as u32),
                (8, 123_456_789),
                (12, frame.bytes.len() as u32),
                (16, frame.orig_len),
                (20, frame.status | libc::TP_STATUS_USER),
                (32, frame.tci),
            ] {
                one[at..at + 4].copy_from_slice(&word.to_ne_bytes());
            }
            one[24..26].copy_from_slice(&(start as u16).to_ne_bytes());
            one[58] = frame.kind;
            one[start..start + frame.bytes.len()].copy_from_slice(frame.bytes);
            block.extend(one);
        }
        block
    }

    fn plain(bytes: &[u8]) -> Made<'_> {
        Made { bytes, orig_len: bytes.len() as u32, status: 0, tci: 0, kind: 0 }
    }

    fn walked(block: Vec<u8>, ethernet: bool) -> Vec<(i64, Vec<u8>, u32, bool)> {
        let mut found = Vec::new();
        let mut each =
            |frame: Frame<'_>| found.push((frame.at, frame.bytes.to_vec(), frame.orig_len, frame.outgoing));
        let count = walk(&block, ethernet, &mut each);
        assert_eq!(count as usize, found.len());
        found
    }

    #[test]
    fn frames_come_out_with_their_times_lengths_and_directions() {
        let long = Made { orig_len: 9_000, kind: libc::PACKET_OUTGOING, ..plain(&[7; 60]) };
        let found = walked(block(&[plain(&[1; 20]), long]), true);
        let at = 1_700_000_000_123_456;
        assert_eq!(found, [(at, vec![1; 20], 20, false), (at + 1_000_000, vec![7; 60], 9_000, true)]);
    }

    #[test]
    fn the_tag_that_the_kernel_took_out_is_told() {
        let valid = libc::TP_STATUS_VLAN_VALID;
        for (status, tci, ethernet, expected) in [
            (valid, 0x202a, true, Some(42)),
            (valid | libc::TP_STATUS_VLAN_TPID_VALID, 0x202a, true, Some(42)),
            (valid, 0xe000, true, None),
            (0, 0x202a, true, None),
            (valid, 0x202a, false, None),
        ] {
            let made = Made { status, tci, ..plain(&[7; 40]) };
            let block = block(&[made]);
            let mut found = Vec::new();
            walk(&block, ethernet, &mut |frame| found.push((frame.vlan, frame.bytes.len(), frame.orig_len)));
            assert_eq!(found, [(expected, 40, 40)]);
        }
    }

    #[test]
    fn a_block_that_lies_about_itself_is_left() {
        let sound = block(&[plain(&[1; 20]), plain(&[2; 20])]);
        for at in (0..sound.len()).step_by(2) {
            for value in [0_u8, 1, 0x7f, 0xff] {
                let mut broken = sound.clone();
                broken[at] = value;
                assert!(walked(broken, true).len() <= 255 * 256);
            }
            walked(sound[..at].to_vec(), true);
        }
    }
}
