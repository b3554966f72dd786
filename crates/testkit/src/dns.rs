//! A name server on loopback with a fixed table: whatever is not in it does not exist.
#![allow(clippy::unwrap_used, reason = "only tests call it, and what fails here fails them")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A record of the table.
#[derive(Debug, Clone)]
pub enum Record {
    /// A TXT record.
    Txt(String),
    /// An A record.
    A(Ipv4Addr),
    /// A name that is never answered.
    Silent,
}

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Names {
    /// Where it is asked.
    pub at: SocketAddr,
    asked: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Names {
    /// With this table: names in lower case without a dot at their end.
    pub fn start(table: Vec<(String, Record)>) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let at = socket.local_addr().unwrap();
        let (asked, ending) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&asked), Arc::clone(&ending));
        let thread = std::thread::spawn(move || {
            let mut question = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&question[..length], &table) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { at, asked, ending, thread: Some(thread) }
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// RFC 1035 §4.1, as far as it goes; `None` where nothing is answered.
fn answer(question: &[u8], table: &[(String, Record)]) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    while *question.get(at)? != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let end = at + 5;
    let name = labels.join(".");
    let known: Vec<&Record> =
        table.iter().filter(|(key, _)| *key == name).map(|(_, record)| record).collect();
    if known.iter().any(|record| matches!(record, Record::Silent)) {
        return None;
    }
    let data: Vec<Vec<u8>> = known.iter().filter_map(|record| data(record, kind)).collect();
    let is_absent = known.is_empty() && !table.iter().any(|(key, _)| key.ends_with(&format!(".{name}")));
    let mut out = question.get(..2)?.to_vec();
    out.extend([0x85, if is_absent { 0x83 } else { 0x80 }, 0, 1]);
    out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    // What is not there may be remembered for as long as the zone's record says.
    out.extend([0, u8::from(data.is_empty()), 0, 0]);
    out.extend_from_slice(question.get(12..end)?);
    if data.is_empty() {
        out.extend([0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0]);
        out.extend([0, 0, 0, 60].repeat(5));
    }
    for data in data {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn data(record: &Record, kind: u16) -> Option<Vec<u8>> {
    match (record, kind) {
        (Record::A(address), 1) => Some(address.octets().to_vec()),
        (Record::Txt(text), 16) => {
            let pieces = text.as_bytes().chunks(255);
            Some(pieces.flat_map(|piece| [&[piece.len() as u8], piece].concat()).collect())
        }
        _ => None,
    }
}
