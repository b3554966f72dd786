//! Capture files: those that others made, packed ones and torn ones.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use schema::{NetCoverage, NetEvent, Sight, Transport};
use testkit::frames::{self, Tcp};

use super::{A, ACK, B, SECOND, end};
use crate::network::file::CaptureFile;
use crate::network::{Pipeline, Settings};

/// Packets and events of a capture file.
fn capture(path: &Path) -> (u64, Vec<NetEvent>, NetCoverage) {
    let mut pipeline =
        Pipeline::new(Settings { flows_max: 4096, unanswered_max: 4096, ..Settings::default() });
    let (mut events, mut number) = (Vec::new(), 0);
    let read = CaptureFile::open(path).unwrap().each(|record| {
        number += 1;
        pipeline.packet(record.at, number, record.link, record.bytes, record.orig_len, &mut events);
        ControlFlow::Continue(())
    });
    assert!(read.is_ok(), "{read:?}");
    pipeline.finish(&mut events);
    (number, events, pipeline.coverage())
}

#[test]
fn all_captures_are_decoded_and_their_flows_are_those_of_tshark() {
    let test = "all_captures_are_decoded_and_their_flows_are_those_of_tshark";
    let Some(folder) = testkit::shared(test, "network") else { return };
    let tshark = testkit::tool(test, "tshark");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if !["pcap", "pcapng", "cap"].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let (packets, events, coverage) = capture(&path);
        assert_eq!(coverage.packets, packets);
        assert_eq!(coverage.undecoded, 0, "{name}");
        let is_large = std::fs::metadata(&path).unwrap().len() > 700_000;
        let (Some(tshark), false) = (&tshark, is_large) else { continue };
        // Conversations by their two ends: what tshark lists, we open, and nothing else.
        let said = Command::new(tshark)
            .args(["-n", "-q", "-z", "conv,tcp", "-r"])
            .arg(&path)
            .output()
            .unwrap()
            .stdout;
        let theirs = conversations(&String::from_utf8_lossy(&said));
        let is_tcp = |event: &&NetEvent| event.contact.transport == Transport::Tcp;
        let ours: std::collections::BTreeSet<_> = events
            .iter()
            .filter(is_tcp)
            .filter(|event| !matches!(event.sight, Sight::Backscatter) || theirs.contains(&pair(event)))
            .map(pair)
            .collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

fn pair(event: &NetEvent) -> [String; 2] {
    let shown = |end: &schema::Endpoint| format!("{} {}", end.address, end.port);
    let mut pair = [shown(&event.contact.client), shown(&event.contact.server)];
    pair.sort();
    pair
}

/// `192.0.2.1:40000 <-> 198.51.100.7:445 …`
fn conversations(said: &str) -> std::collections::BTreeSet<[String; 2]> {
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':')?;
        Some(format!("{} {port}", address.parse::<IpAddr>().ok()?.to_canonical()))
    };
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, arrow, second) = (words.next()?, words.next()?, words.next()?);
        let mut pair = [end(first)?, end(second)?];
        pair.sort();
        (arrow == "<->").then_some(pair)
    };
    said.lines().filter_map(line).collect()
}

#[test]
fn captures_are_read_packed_or_not_and_what_is_cut_off_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = frames::pcap_header();
    for step in 0..2000 {
        let frame = Tcp { payload: &[7; 600], ..Tcp::bare(end(A), end(B), ACK) }.frame();
        frames::pcap_record(1_500_000_000 * SECOND + step, &frame, &mut bytes);
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, bytes).unwrap();
        packer.finish().unwrap()
    };
    assert_eq!(capture(&write("plain.pcap", &bytes)).0, 2000);
    assert_eq!(capture(&write("packed", &packed(&bytes))).0, 2000);
    let two = [packed(&bytes[..500_000]), packed(&bytes[500_000..])].concat();
    assert_eq!(capture(&write("in two.gz", &two)).0, 2000);

    let broken = |bytes: &[u8]| {
        let mut count = 0;
        let read = CaptureFile::open(&write("broken", bytes)).unwrap().each(|_| {
            count += 1;
            ControlFlow::Continue(())
        });
        (count, read.unwrap_err().to_string().split(" the capture").next().unwrap().to_owned())
    };
    assert_eq!(broken(&bytes[..bytes.len() - 1]), (1999, "read the last record of".to_owned()));
    assert_eq!(broken(b"not a capture, by any means at all"), (0, "read on in".to_owned()));
    assert_eq!(broken(b""), (0, "read on in".to_owned()));
    let packed = packed(&bytes);
    assert_eq!(broken(&packed[..packed.len() / 2]).1, "read");
    assert!(CaptureFile::open(Path::new("/nonexistent/x")).is_err());
}
