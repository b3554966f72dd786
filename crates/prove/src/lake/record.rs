//! The journal's format: records of one append each, with a checksum.
//!
//! ```text
//! "CWJ1" | payload bytes u32 | events u32 | first position u64 | arrival in ms i64 | check 8 bytes | payload
//! ```
//!
//! Integers are little-endian; `check` is the begin of the SHA-256 of what stands before it and of the payload.
//! The payload is, for each event, `columns bytes u32 | line bytes u32 | columns as JSON | line`.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use schema::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// The longest line that is kept as it is.
pub(super) const MAX_RAW: usize = 64 << 10;
/// A text column keeps its begin only.
const MAX_TEXT: usize = 512;
/// Where a record is closed and the next one begins; one event more may be in it.
pub(super) const FULL: usize = 4 << 20;
const MAX_PAYLOAD: usize = FULL + 2 * MAX_RAW;

const MAGIC: &[u8; 4] = b"CWJ1";
const UNCHECKED: usize = 28;
const HEADER: usize = UNCHECKED + 8;

/// The columns of an event; the line itself stands beside them, so that it is not escaped once more.
#[derive(Serialize, Deserialize)]
struct Columns<'a> {
    time: Timestamp,
    class_uid: u32,
    severity_id: u8,
    #[serde(borrow)]
    watcher: Cow<'a, str>,
    #[serde(borrow)]
    detector: Cow<'a, str>,
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    hostname: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_id: Option<u8>,
}

/// One record as it lies in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) first: u64,
    pub(super) events: u32,
    pub(super) arrived: Timestamp,
    payload: &'a [u8],
}

/// What a segment is made of.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Record(Record<'a>),
    /// Bytes that are no whole record, and where they begin.
    Damaged(usize, &'a [u8]),
}

impl Record<'_> {
    pub(super) fn last(&self) -> u64 {
        self.first + u64::from(self.events) - 1
    }

    /// Its events; ends early when the payload is not what its header says, which the checksum rules out.
    pub(super) fn events(&self) -> impl Iterator<Item = Event> {
        let mut rest = self.payload;
        std::iter::from_fn(move || decode_event(&mut rest))
    }
}

/// Adds an event to a payload.
pub(super) fn encode_event(payload: &mut Vec<u8>, event: &Event) -> Result<(), Error> {
    let columns = Columns {
        time: event.time,
        class_uid: event.class_uid,
        severity_id: event.severity_id,
        watcher: begin(&event.watcher).into(),
        detector: begin(&event.detector).into(),
        title: begin(&event.title).into(),
        src_ip: event.src_ip,
        src_port: event.src_port,
        dst_ip: event.dst_ip,
        dst_port: event.dst_port,
        hostname: event.hostname.as_deref().map(|text| begin(text).into()),
        user: event.user.as_deref().map(|text| begin(text).into()),
        bytes: event.bytes,
        status_id: event.status_id,
    };
    let columns = serde_json::to_vec(&columns).map_err(|source| Error::Json { what: "an event", source })?;
    let too_long = (event.json.len() > MAX_RAW).then(|| format!("{{\"too_long\":{}}}", event.json.len()));
    let line = too_long.as_ref().unwrap_or(&event.json);
    for length in [columns.len(), line.len()] {
        payload.extend_from_slice(&(length as u32).to_le_bytes());
    }
    payload.extend_from_slice(&columns);
    payload.extend_from_slice(line.as_bytes());
    Ok(())
}

/// A whole record.
pub(super) fn seal(first: u64, events: u32, arrived: Timestamp, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER + payload.len());
    record.extend_from_slice(MAGIC);
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(&events.to_le_bytes());
    record.extend_from_slice(&first.to_le_bytes());
    record.extend_from_slice(&arrived.as_millisecond().to_le_bytes());
    record.extend_from_slice(&check(&record, payload));
    record.extend_from_slice(payload);
    record
}

/// Takes a segment apart. After damage it goes on at the next whole record.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        if let Some((record, length)) = decode(&bytes[at..]) {
            at += length;
            return Some(Piece::Record(record));
        }
        let begin = at;
        at += 1;
        while at < bytes.len() && decode(&bytes[at..]).is_none() {
            let next = bytes[at + 1..].iter().position(|&byte| byte == MAGIC[0]);
            at = next.map_or(bytes.len(), |next| at + 1 + next);
        }
        Some(Piece::Damaged(begin, &bytes[begin..at]))
    })
}

fn decode(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let header = bytes.get(..HEADER).filter(|header| header.starts_with(MAGIC))?;
    let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    let short = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
    let length = short(4) as usize;
    if length > MAX_PAYLOAD {
        return None;
    }
    let payload = bytes.get(HEADER..HEADER + length)?;
    if check(&header[..UNCHECKED], payload) != header[UNCHECKED..] {
        return None;
    }
    let arrived = Timestamp::from_millisecond(number(20) as i64).ok()?;
    let record = Record { first: number(12), events: short(8), arrived, payload };
    (record.events > 0).then_some((record, HEADER + length))
}

fn decode_event(rest: &mut &[u8]) -> Option<Event> {
    let mut length = || -> Option<usize> {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        Some(u32::from_le_bytes(*head) as usize)
    };
    let (columns, line) = (length()?, length()?);
    let (columns, tail) = rest.split_at_checked(columns)?;
    let (line, tail) = tail.split_at_checked(line)?;
    *rest = tail;
    let it: Columns<'_> = serde_json::from_slice(columns).ok()?;
    Some(Event {
        time: it.time,
        class_uid: it.class_uid,
        severity_id: it.severity_id,
        watcher: it.watcher.into_owned(),
        detector: it.detector.into_owned(),
        title: it.title.into_owned(),
        src_ip: it.src_ip,
        src_port: it.src_port,
        dst_ip: it.dst_ip,
        dst_port: it.dst_port,
        hostname: it.hostname.map(Cow::into_owned),
        user: it.user.map(Cow::into_owned),
        bytes: it.bytes,
        status_id: it.status_id,
        json: String::from_utf8_lossy(line).into_owned(),
    })
}

fn check(header: &[u8], payload: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(header).chain_update(payload).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

fn begin(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}
