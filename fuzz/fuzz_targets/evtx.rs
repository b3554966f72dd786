//! Any bytes as chunks of a Windows log, as XML and as a line of a collector: no panic, an end, and no record beyond its bounds.
#![no_main]

use std::ops::ControlFlow;

use decode::evtx::{CHUNK_LEN, Header, Item, Reader, auth};
use libfuzzer_sys::fuzz_target;
use schema::LogRecord;

fn bounded(record: &LogRecord) {
    assert!(record.len() <= 8192);
    if let Some(event) = auth(record) {
        assert!(event.account.is_none_or(|account| !account.is_empty()));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, mut record) = (Reader::new(), LogRecord::default());
    let _ = Header::read(bytes);
    if reader.json(bytes, &mut record).is_ok() {
        bounded(&record);
    }
    let _ = reader.xml(bytes, &mut record, |found| {
        if let Ok(record) = found {
            bounded(record);
        }
        ControlFlow::Continue(())
    });
    // Few inputs begin like a chunk by themselves.
    let mut chunk = bytes.to_vec();
    if chunk.len() >= 512 {
        chunk[..8].copy_from_slice(b"ElfChnk\0");
    }
    for chunks in [bytes, &chunk[..chunk.len().min(CHUNK_LEN)]] {
        let _ = reader.chunks(chunks, 0, &mut record, |item| {
            if let Item::Record(record) = item {
                bounded(record);
            }
            ControlFlow::Continue(())
        });
    }
});
