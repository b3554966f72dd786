use std::process::Command;

use proptest::prelude::*;
use testkit::frames;

use super::*;

/// A record's time, link, bytes and length on the wire.
type Read = (Micros, Link, Vec<u8>, u32);

/// All records, read through a window that grows by so many bytes at a time.
fn all(file: &[u8], at_once: usize) -> (Vec<Read>, Result<(), CaptureFault>, u64) {
    let (mut capture, mut found) = (Capture::new(), Vec::new());
    let (mut start, mut end) = (0, at_once.min(file.len()));
    loop {
        match capture.step(&file[start..end]) {
            Err(fault) => return (found, Err(fault), capture.dropped()),
            Ok(Step::Record { record, used }) => {
                assert!(used <= RECORD_MAX && record.bytes.len() <= used);
                found.push((record.at, record.link, record.bytes.to_vec(), record.orig_len));
                start += used;
            }
            Ok(Step::Skip { used }) => {
                let next = start as u64 + used;
                if next > file.len() as u64 {
                    return (found, Ok(()), capture.dropped());
                }
                start = next as usize;
                end = end.max(start);
            }
            Ok(Step::More { needed }) => {
                assert!(needed <= RECORD_MAX && needed > end - start);
                if end == file.len() {
                    return (found, Ok(()), capture.dropped());
                }
                end = (end + at_once).min(file.len());
            }
        }
    }
}

fn number(order: Order, number: u32) -> [u8; 4] {
    if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
}

fn classic(order: Order, magic: u32, link: u32, fraction: u32) -> Vec<u8> {
    let numbers = [magic, 0x0004_0002, 0, 0, 65535, link, 1_500_000_000, fraction, 5, 60];
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|it| number(order, *it)).collect();
    bytes.extend(b"hello");
    bytes
}

#[test]
fn pcap_is_read_in_both_orders_and_both_units() {
    for order in [Order::Little, Order::Big] {
        for (magic, fraction) in [(0xa1b2_c3d4, 123_456), (0xa1b2_3c4d, 123_456_789)] {
            let file = classic(order, magic, 113, fraction);
            for at_once in [1, 7, 1000] {
                let (found, end, _) = all(&file, at_once);
                let expected = (1_500_000_000_123_456, Link::Sll, b"hello".to_vec(), 60);
                assert_eq!((found, end), (vec![expected], Ok(())), "{order:?} {magic:x}");
            }
        }
    }
}

#[test]
fn what_is_no_capture_is_said_and_a_record_that_lies_ends_it() {
    assert_eq!(all(b"<html>this is no capture at all</html>", 10).1, Err(CaptureFault::Format));
    assert_eq!(all(b"", 10), (vec![], Ok(()), 0));
    let mut file = classic(Order::Little, 0xa1b2_c3d4, 1, 0);
    let record = file[24..].to_vec();
    file.extend(&record);
    let lying = file.len() + 8;
    file.extend(&record);
    file[lying..lying + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let (found, end, _) = all(&file, 1000);
    assert_eq!((found.len(), end), (2, Err(CaptureFault::RecordLength { bytes: u64::from(u32::MAX) + 16 })));
}

/// A block of pcapng.
fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = number(order, padded as u32 + 12);
    let mut bytes = [&number(order, kind)[..], &length, body].concat();
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

fn short(order: Order, number: u16) -> [u8; 2] {
    if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [&short(order, code)[..], &short(order, value.len() as u16), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn section(order: Order) -> Vec<u8> {
    let body = [&number(order, 0x1a2b_3c4d)[..], &number(order, 1), &[0xff; 8]].concat();
    block(order, ng::SECTION, &body)
}

fn interface(order: Order, link: u16, options: &[Vec<u8>]) -> Vec<u8> {
    let body = [&short(order, link)[..], &[0, 0], &number(order, 0), &options.concat()].concat();
    block(order, 1, &body)
}

fn packet(order: Order, interface: u32, time: u64, frame: &[u8], orig_len: u32) -> Vec<u8> {
    let head = [interface, (time >> 32) as u32, time as u32, frame.len() as u32, orig_len];
    let mut body: Vec<u8> = head.iter().flat_map(|it| number(order, *it)).collect();
    body.extend(frame);
    block(order, 6, &body)
}

fn wide(order: Order, number: u64) -> [u8; 8] {
    if order == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
}

/// Two interfaces with clocks of their own, all kinds of blocks.
fn section_of_two(order: Order) -> Vec<u8> {
    let offset = wide(order, 1_000);
    let statistics = [
        &number(order, 1)[..],
        &[0; 8],
        &option(order, 5, &wide(order, 40)),
        &option(order, 7, &wide(order, 2)),
    ];
    let simple = [&number(order, 3)[..], b"abc"].concat();
    [
        section(order),
        interface(order, 1, &[option(order, 2, b"eth0"), option(order, 9, &[9])]),
        interface(order, 101, &[option(order, 9, &[0x8a]), option(order, 14, &offset)]),
        block(order, 0x0bad, &[1; 50]),
        packet(order, 0, 5_000_000_123, b"one", 100),
        packet(order, 1, 2048, b"four", 4),
        packet(order, 7, 1, b"?", 1),
        block(order, 3, &simple),
        block(order, 5, &statistics.concat()),
    ]
    .concat()
}

#[test]
fn pcapng_is_read_with_several_interfaces_sections_and_orders() {
    let expected = [
        (5_000_000, Link::Ethernet, b"one".to_vec(), 100),
        (1_002_000_000, Link::Ip, b"four".to_vec(), 4),
        (1, Link::Other(u32::MAX), b"?".to_vec(), 1),
        (1, Link::Ethernet, b"abc".to_vec(), 3),
    ];
    for (first, second) in [(Order::Little, Order::Big), (Order::Big, Order::Little)] {
        let file = [section_of_two(first), section_of_two(second)].concat();
        for at_once in [1, 5, 64, 10_000] {
            let (found, end, dropped) = all(&file, at_once);
            assert_eq!(end, Ok(()));
            assert_eq!(found, [&expected[..], &expected].concat());
            assert_eq!(dropped, 84, "of both sections");
        }
    }
}

#[test]
fn blocks_that_contradict_themselves_end_the_file() {
    let order = Order::Little;
    let start = [section(order), interface(order, 1, &[])].concat();
    let check = |more: Vec<u8>, fault: CaptureFault| {
        assert_eq!(all(&[start.clone(), more].concat(), 500).1, Err(fault));
    };
    let mut lying = packet(order, 0, 1, b"one", 3);
    lying[20..24].copy_from_slice(&9_u32.to_le_bytes());
    check(lying, CaptureFault::Block { kind: 6 });
    check([6_u32.to_le_bytes(), 4_u32.to_le_bytes()].concat(), CaptureFault::Block { kind: 6 });
    check([0_u32; 4].iter().flat_map(|it| it.to_le_bytes()).collect(), CaptureFault::Block { kind: 0 });
    let huge = [6_u32.to_le_bytes(), 0xffff_fff0_u32.to_le_bytes()].concat();
    check(huge, CaptureFault::RecordLength { bytes: 0xffff_fff0 });
    // One that is not wanted is passed over, however long it is.
    let secrets = block(order, 10, &vec![1; 3 << 20]);
    let file = [start.clone(), secrets, packet(order, 0, 1, b"one", 3)].concat();
    assert_eq!(all(&file, 1 << 16).0.len(), 1);
    let mut no_order = section(order);
    no_order[8] = 0;
    assert_eq!(all(&no_order, 500).1, Err(CaptureFault::Block { kind: ng::SECTION }));
}

#[test]
fn another_reader_finds_the_same_in_all_captures() {
    let test = "another_reader_finds_the_same_in_all_captures";
    let Some(folder) = testkit::shared(test, "network") else { return };
    let capinfos = testkit::tool(test, "capinfos");
    for path in captures(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        let (found, end, _) = all(&bytes, 1 << 20);
        assert_eq!(end, Ok(()), "{}", path.display());
        let others = by_another(&bytes);
        assert_eq!(found.len(), others.len(), "{}", path.display());
        for (found, other) in found.iter().zip(&others) {
            assert_eq!((&found.2, found.3), (&other.0, other.1), "{}", path.display());
        }
        if let Some(capinfos) = &capinfos {
            let said = Command::new(capinfos).args(["-Mc", "-T", "-r"]).arg(&path).output().unwrap().stdout;
            let said = String::from_utf8(said).unwrap();
            let count = said.trim().rsplit('\t').next().unwrap().parse::<usize>().unwrap();
            assert_eq!(found.len(), count, "{}", path.display());
        }
    }
}

fn captures(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let is_capture = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|end| ["pcap", "pcapng", "cap"].iter().any(|it| end == *it))
    };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(is_capture).collect()
}

/// Bytes and length of each frame, as the crate `pcap-parser` reads them.
fn by_another(bytes: &[u8]) -> Vec<(Vec<u8>, u32)> {
    use pcap_parser::{Block, PcapBlockOwned, create_reader};
    let mut reader = create_reader(bytes.len() + 64, bytes).unwrap();
    let mut found = Vec::new();
    while let Ok((used, block)) = reader.next() {
        match block {
            PcapBlockOwned::Legacy(frame) => found.push((frame.data.to_vec(), frame.origlen)),
            PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
                found.push((frame.data[..frame.caplen as usize].to_vec(), frame.origlen));
            }
            _ => {}
        }
        reader.consume(used);
    }
    found
}

proptest! {
    #[test]
    fn any_bytes_are_a_capture_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300), at_once in 1..64_usize) {
        let _ = all(&bytes, at_once);
        for start in [classic(Order::Little, 0xa1b2_c3d4, 1, 0), section_of_two(Order::Big)] {
            let _ = all(&[start, bytes.clone()].concat(), at_once);
        }
    }

    #[test]
    fn captures_with_wrong_bytes_end_somewhere(
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        at_once in 1..200_usize,
    ) {
        let mut files = [section_of_two(Order::Little), frames::pcap_header()];
        frames::pcap_record(1, &[1; 60], &mut files[1]);
        frames::pcap_record(2, &[2; 30], &mut files[1]);
        for mut file in files {
            for (place, byte) in &wrong {
                let place = place.index(file.len());
                file[place] = *byte;
            }
            let steps = all(&file, at_once).0;
            prop_assert!(steps.len() <= file.len());
            prop_assert_eq!(steps, all(&file, file.len()).0);
        }
    }
}
