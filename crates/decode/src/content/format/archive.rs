//! ZIP (APPNOTE.TXT 6.3), also office documents and archives of Java; tar.

use std::ops::Range;

use miniz_oxide::DataFormat;

use super::{Hold, exactly, inflate, is_nameless_noise, le16, le32};
use crate::content::Sample;

/// At most this many members are looked into, and this many of their bytes.
const MEMBERS_MAX: usize = 64;
const UNPACKED_MAX: u64 = 1024 * 1024;
const DIRECTORY_MAX: usize = 4096;

/// One member as the central directory tells of it.
struct Member<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    name: &'a [u8],
    /// Where its local header stands.
    at: u64,
}

/// Local headers and directory agree, and members unpack to what their checksums say; those in `changed` places first.
pub(in crate::content) fn zip(sample: &Sample, changed: &[Range<u64>]) -> Hold {
    let Some((directory, prefix)) = directory(sample) else {
        // Where the end was read and holds no directory, this is none.
        return if sample.tail().is_empty() { local_only(sample) } else { Hold::Broken };
    };
    if directory.is_empty() {
        // A directory out of reach proves nothing, a file that is only an empty archive holds.
        return if sample.len < 64 { Hold::Framed } else { local_only(sample) };
    }
    let Some(mut members) = members(directory) else { return Hold::Broken };
    members.iter_mut().for_each(|member| member.at = member.at.saturating_add(prefix));
    let touched = |member: &Member| {
        let end = member.at + member.packed + 64;
        changed.iter().any(|range| range.start < end && range.end > member.at)
    };
    let (first, rest): (Vec<_>, Vec<_>) = members.iter().partition(|member| touched(member));
    let (mut opened, mut sealed, mut budget) = (false, false, UNPACKED_MAX);
    for member in first.into_iter().chain(rest).take(MEMBERS_MAX) {
        match check(sample, member, &mut budget) {
            Hold::Broken => return Hold::Broken,
            Hold::Sealed => sealed = true,
            Hold::Framed => {}
            Hold::Opened => opened = true,
        }
    }
    match (sealed, opened) {
        (true, _) => Hold::Sealed,
        (_, true) => Hold::Opened,
        _ => Hold::Framed,
    }
}

/// The central directory as far as it was read, and by how much it lies further back than it says (a program before the archive).
fn directory(sample: &Sample) -> Option<(&[u8], u64)> {
    let tail = sample.tail();
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let record = tail.get(end..)?;
    let (size, offset) = (le32(record, 12)?, le32(record, 16)?);
    let here = sample.len - tail.len() as u64 + end as u64;
    if offset == u32::MAX || size == u32::MAX {
        // ZIP64: its place stands elsewhere, and whoever wants it finds the local headers.
        return Some((&[], 0));
    }
    let starts = here.checked_sub(u64::from(size))?;
    let prefix = starts.checked_sub(u64::from(offset))?;
    let bytes = sample.at(starts);
    let size = usize::try_from(size).ok()?;
    Some((bytes.get(..size).unwrap_or(&[]), prefix))
}

fn members(mut directory: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    while !directory.is_empty() && members.len() < DIRECTORY_MAX {
        if !directory.starts_with(b"PK\x01\x02") {
            // A digital signature or a ZIP64 record may close it.
            return (directory.starts_with(b"PK") && !members.is_empty()).then_some(members);
        }
        let len = |at| le16(directory, at).map(usize::from);
        let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
        members.push(Member {
            flags: le16(directory, 8)?,
            method: le16(directory, 10)?,
            crc: le32(directory, 16)?,
            packed: u64::from(le32(directory, 20)?),
            unpacked: u64::from(le32(directory, 24)?),
            name: directory.get(46..46 + name)?,
            at: u64::from(le32(directory, 42)?),
        });
        directory = directory.get(46 + name + extra + comment..)?;
    }
    Some(members)
}

fn check(sample: &Sample, member: &Member, budget: &mut u64) -> Hold {
    if member.at >= sample.len {
        return Hold::framed(member.at >= u64::from(u32::MAX));
    }
    let Some(local) = exactly(sample, member.at, 30) else { return Hold::Framed };
    let (Some(name), Some(extra)) = (le16(local, 26), le16(local, 28)) else { return Hold::Framed };
    if !local.starts_with(b"PK\x03\x04") || usize::from(name) != member.name.len() {
        return Hold::Broken;
    }
    let body = member.at + 30 + u64::from(name) + u64::from(extra);
    if exactly(sample, member.at + 30, usize::from(name)).is_some_and(|local| local != member.name) {
        return Hold::Broken;
    }
    if member.flags & 1 == 1 {
        return Hold::Sealed;
    }
    if member.packed == u64::from(u32::MAX) || *budget == 0 {
        return Hold::Framed;
    }
    let bytes = sample.at(body);
    let whole = usize::try_from(member.packed).ok().and_then(|len| bytes.get(..len));
    let bytes = whole.unwrap_or(bytes);
    match member.method {
        0 => stored(bytes, member, whole.is_some(), budget),
        8 => {
            let Some(inside) = inflate::unpack(bytes, DataFormat::Raw) else {
                return Hold::framed(bytes.is_empty());
            };
            *budget = budget.saturating_sub(inside.len);
            let agrees = inside.end.is_none()
                || (inside.crc == member.crc && inside.len & 0xffff_ffff == member.unpacked);
            Hold::opened(agrees && !inside.is_noise())
        }
        _ => Hold::Framed,
    }
}

fn stored(bytes: &[u8], member: &Member, whole: bool, budget: &mut u64) -> Hold {
    *budget = budget.saturating_sub(bytes.len() as u64);
    if whole && crc32fast::hash(bytes) != member.crc {
        return Hold::Broken;
    }
    Hold::framed(!is_nameless_noise(bytes))
}

/// Without a directory in reach the first member has to do.
fn local_only(sample: &Sample) -> Hold {
    let head = sample.head();
    let (Some(flags), Some(method)) = (le16(head, 6), le16(head, 8)) else { return Hold::Framed };
    if !head.starts_with(b"PK\x03\x04") {
        return Hold::Broken;
    }
    let body = 30 + usize::from(le16(head, 26).unwrap_or(0)) + usize::from(le16(head, 28).unwrap_or(0));
    let bytes = head.get(body..).unwrap_or_default();
    match (flags & 1, method) {
        (1, _) => Hold::Sealed,
        (_, 8) if !bytes.is_empty() => {
            Hold::opened(inflate::unpack(bytes, DataFormat::Raw).is_some_and(|inside| !inside.is_noise()))
        }
        _ => Hold::Framed,
    }
}

/// tar: the checksums of the headers, one after the other.
pub(in crate::content) fn tar(sample: &Sample) -> Hold {
    let mut at = 0u64;
    for _ in 0..MEMBERS_MAX {
        let Some(header) = exactly(sample, at, 512) else { break };
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let number = |range: Range<usize>| {
            let digits = header.get(range).unwrap_or_default();
            let digits = digits.iter().copied().skip_while(|&byte| byte == b' ');
            let digits: Vec<u8> = digits.take_while(|byte| (b'0'..=b'7').contains(byte)).collect();
            u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
        };
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) })
            .sum();
        if number(148..156) != Some(sum) {
            return Hold::Broken;
        }
        // Sizes of eight gigabytes and more are written in binary.
        let Some(size) = number(124..136) else { break };
        at = at.saturating_add(512).saturating_add(size.next_multiple_of(512));
    }
    Hold::framed(at > 0)
}
