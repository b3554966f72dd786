//! Writes Windows event logs (EVTX): records without templates, in chunks with right checksums, for tests that need logs of their own.

/// Length of a chunk.
pub const CHUNK_LEN: usize = 1 << 16;
/// Length of what lies before the first chunk.
pub const HEADER_LEN: usize = 4096;
const CHUNK_HEADER_LEN: usize = 512;
/// From 1601 to 1970 in steps of 100 ns.
const EPOCH: u64 = 116_444_736_000_000_000;

/// An element of a record.
#[derive(Debug, Clone, Default)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    /// One that holds nothing.
    pub fn new(name: &str) -> Element {
        Element { name: name.to_owned(), ..Element::default() }
    }

    /// With an attribute.
    pub fn with(mut self, name: &str, value: &str) -> Element {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a text.
    pub fn text(mut self, text: &str) -> Element {
        self.text = Some(text.to_owned());
        self
    }

    /// With an element in it.
    pub fn child(mut self, child: Element) -> Element {
        self.children.push(child);
        self
    }
}

/// A record of a log.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// When it was written, in microseconds since 1970.
    pub at: i64,
    /// Its content: an `Event`.
    pub event: Element,
}

/// The usual `Event`: `System` and `EventData` with named values. `time` is written as it is given.
pub fn event(
    channel: &str,
    provider: &str,
    id: u32,
    host: &str,
    time: &str,
    data: &[(&str, &str)],
) -> Element {
    let named = |(name, value): &(&str, &str)| Element::new("Data").with("Name", name).text(value);
    let data = data.iter().map(named).fold(Element::new("EventData"), Element::child);
    Element::new("Event").child(system(channel, provider, id, host, time)).child(data)
}

/// The `System` part of an event.
pub fn system(channel: &str, provider: &str, id: u32, host: &str, time: &str) -> Element {
    Element::new("System")
        .child(Element::new("Provider").with("Name", provider))
        .child(Element::new("EventID").text(&id.to_string()))
        .child(Element::new("TimeCreated").with("SystemTime", time))
        .child(Element::new("Channel").text(channel))
        .child(Element::new("Computer").text(host))
}

/// A whole file; a chunk takes as many records as fit, and a record longer than a chunk cannot be written.
///
/// # Panics
/// When a record does not fit into a chunk.
pub fn file(records: &[Record]) -> Vec<u8> {
    let chunks = chunks(records);
    let mut header = vec![0; HEADER_LEN];
    header[..8].copy_from_slice(b"ElfFile\0");
    put(&mut header, 16, &(chunks.len() as u64).saturating_sub(1).to_le_bytes());
    put(&mut header, 24, &(records.last().map_or(0, |record| record.number) + 1).to_le_bytes());
    put(&mut header, 32, &128_u32.to_le_bytes());
    put(&mut header, 36, &[1, 0, 3, 0, 0, 16]);
    put(&mut header, 42, &(chunks.len() as u16).to_le_bytes());
    let sum = crc32(&[&header[..120]]);
    put(&mut header, 124, &sum.to_le_bytes());
    header.extend(chunks.into_iter().flatten());
    header
}

/// The chunks of a file.
///
/// # Panics
/// When a record does not fit into a chunk.
pub fn chunks(records: &[Record]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let (chunk, count) = chunk(rest);
        chunks.push(chunk);
        rest = &rest[count..];
    }
    chunks
}

/// A chunk, and how many records went into it.
fn chunk(records: &[Record]) -> (Vec<u8>, usize) {
    let mut bytes = vec![0; CHUNK_HEADER_LEN];
    let (mut count, mut last) = (0, 0);
    for record in records {
        let start = bytes.len();
        write_record(&mut bytes, record);
        if bytes.len() > CHUNK_LEN {
            bytes.truncate(start);
            break;
        }
        (count, last) = (count + 1, start);
    }
    assert!(count > 0, "a record that is longer than a chunk");
    let end = bytes.len();
    let (first, final_one) = (records[0].number, records[count - 1].number);
    put(&mut bytes, 0, b"ElfChnk\0");
    for (at, number) in [(8, first), (16, final_one), (24, first), (32, final_one)] {
        put(&mut bytes, at, &number.to_le_bytes());
    }
    let sum = crc32(&[&bytes[CHUNK_HEADER_LEN..]]);
    for (at, number) in [(40, 128), (44, last as u32), (48, end as u32), (52, sum)] {
        put(&mut bytes, at, &number.to_le_bytes());
    }
    let sum = crc32(&[&bytes[..120], &bytes[128..CHUNK_HEADER_LEN]]);
    put(&mut bytes, 124, &sum.to_le_bytes());
    bytes.resize(CHUNK_LEN, 0);
    (bytes, count)
}

fn write_record(bytes: &mut Vec<u8>, record: &Record) {
    let start = bytes.len();
    bytes.extend_from_slice(b"**\0\0\0\0\0\0");
    bytes.extend_from_slice(&record.number.to_le_bytes());
    let time = EPOCH.wrapping_add_signed(record.at.saturating_mul(10));
    bytes.extend_from_slice(&time.to_le_bytes());
    // The head of a fragment, its only element, its end.
    bytes.extend_from_slice(&[0x0f, 1, 1, 0]);
    write_element(bytes, &record.event);
    bytes.push(0);
    let length = (bytes.len() - start + 4) as u32;
    bytes.extend_from_slice(&length.to_le_bytes());
    put(bytes, start + 4, &length.to_le_bytes());
}

fn write_element(bytes: &mut Vec<u8>, element: &Element) {
    let has_attributes = !element.attributes.is_empty();
    bytes.push(if has_attributes { 0x41 } else { 0x01 });
    let length_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    write_name(bytes, &element.name);
    if has_attributes {
        let list_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        for (at, (name, value)) in element.attributes.iter().enumerate() {
            bytes.push(if at + 1 < element.attributes.len() { 0x46 } else { 0x06 });
            write_name(bytes, name);
            write_text(bytes, value);
        }
        let length = (bytes.len() - list_at - 4) as u32;
        put(bytes, list_at, &length.to_le_bytes());
    }
    bytes.push(0x02);
    if let Some(text) = &element.text {
        write_text(bytes, text);
    }
    element.children.iter().for_each(|child| write_element(bytes, child));
    bytes.push(0x04);
    let length = (bytes.len() - length_at - 4) as u32;
    put(bytes, length_at, &length.to_le_bytes());
}

/// A name, which lies where it is used: no table of names is kept.
fn write_name(bytes: &mut Vec<u8>, name: &str) {
    let here = bytes.len() as u32 + 4;
    bytes.extend_from_slice(&here.to_le_bytes());
    let units: Vec<u16> = name.encode_utf16().collect();
    let hash = units.iter().fold(0_u32, |hash, unit| hash.wrapping_mul(65599).wrapping_add(u32::from(*unit)));
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(hash as u16).to_le_bytes());
    bytes.extend_from_slice(&(units.len() as u16).to_le_bytes());
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend_from_slice(&[0; 2]);
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(0xffff).collect();
    bytes.extend_from_slice(&[0x05, 0x01]);
    bytes.extend_from_slice(&(units.len() as u16).to_le_bytes());
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// CRC-32 as Ethernet and ZIP have it, bit by bit: it is computed once a chunk.
fn crc32(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !parts.iter().flat_map(|part| part.iter()).fold(!0, step)
}
