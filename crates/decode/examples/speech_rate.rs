//! Prints how many bytes and messages a second are read from flows of each protocol: generated streams in segments of 1,460 bytes, one
//! thread, CPU time. A flow that wants no more is not fed any further, as in the sensor; its other bytes count as passed by.
//!
//! `cargo run --release -p decode --example speech_rate`
#![allow(clippy::print_stdout)]

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use decode::speech::Speech;
use schema::{Contact, Endpoint, Side, Sight, Transport};

const SEGMENT: usize = 1_460;
/// So much CPU time is spent on each protocol.
const SECONDS: f64 = 1.0;

/// A flow as it is generated: its port, its messages, and how many of them.
struct Flow {
    name: &'static str,
    port: u16,
    is_udp: bool,
    parts: Vec<(Side, Vec<u8>)>,
}

fn main() {
    for flow in flows() {
        measure(&flow);
    }
}

fn measure(flow: &Flow) {
    let end = |last, port| Endpoint { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port };
    let contact = Contact {
        client: end(1, 50_001),
        server: end(2, flow.port),
        transport: if flow.is_udp { Transport::Udp } else { Transport::Tcp },
        vlan: None,
    };
    let mut out: Vec<Sight> = Vec::with_capacity(4_096);
    let (mut flows, mut sights, mut fed, mut segments) = (0_u64, 0_u64, 0_u64, 0_u64);
    let begun = processor_seconds();
    let mut spent = 0.0;
    while spent < SECONDS {
        for _ in 0..64 {
            let mut speech = Speech::new();
            for (side, bytes) in &flow.parts {
                if flow.is_udp {
                    speech.datagram(&contact, *side, black_box(bytes), &mut out);
                    (fed, segments) = (fed + bytes.len() as u64, segments + 1);
                    continue;
                }
                for segment in bytes.chunks(SEGMENT) {
                    if !speech.wants() {
                        break;
                    }
                    speech.feed(&contact, *side, black_box(segment), &mut out);
                    (fed, segments) = (fed + segment.len() as u64, segments + 1);
                }
            }
            sights += out.len() as u64;
            out.clear();
            flows += 1;
        }
        spent = processor_seconds() - begun;
    }
    let messages = flows * flow.parts.len() as u64;
    let bytes = flows * flow.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    println!(
        "{{\"what\":\"speech\",\"flow\":\"{}\",\"messages_per_cpu_second\":{:.0},\"mb_per_cpu_second\":{:.0},\"segments_per_cpu_second\":{:.0},\"bytes_looked_at\":{:.4},\"sights_per_flow\":{:.1}}}",
        flow.name,
        messages as f64 / spent,
        bytes as f64 / spent / 1e6,
        segments as f64 / spent,
        fed as f64 / bytes as f64,
        sights as f64 / flows as f64,
    );
}

/// User and system time so far: what a busy machine spoils least.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

use Side::{Client, Server};

fn flows() -> Vec<Flow> {
    let tcp = |name, port, parts| Flow { name, port, is_udp: false, parts };
    let udp = |name, port, parts| Flow { name, port, is_udp: true, parts };
    let repeat = |count: usize, parts: &[(Side, Vec<u8>)]| vec![parts.to_vec(); count].concat();
    let noise: Vec<u8> =
        (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    let request = |command, body: &[u8]| (Client, framed(&smb2(command, 0, body)));
    let file = [
        request(5, &create("ward\\charts\\chart-000123.docx")),
        (Server, framed(&smb2(5, 1, &[0; 88]))),
        request(8, &[0; 49]),
        (Server, framed(&smb2(8, 1, &[0x41; 24_000]))),
        request(9, &[0x41; 24_048]),
        (Server, framed(&smb2(9, 1, &[0; 16]))),
        request(6, &[0; 24]),
        (Server, framed(&smb2(6, 1, &[0; 60]))),
    ];
    let mut sealed = b"\xfdSMB".to_vec();
    sealed.resize(252, 0x5a);
    let record = [&[23, 3, 3, 0x40, 0][..], &noise[..16_384]].concat();
    let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", noise.as_slice()].concat();
    let get = b"GET /update.msi HTTP/1.1\r\nHost: updates.example\r\nUser-Agent: a\r\nAccept: */*\r\n\r\n";
    let call =
        [&[5, 0, 0, 3, 0x10, 0, 0, 0, 200, 0, 0, 0, 1, 0, 0, 0, 176, 0, 0, 0, 0, 0, 26, 0][..], &[0x33; 176]]
            .concat();
    vec![
        tcp("smb_files_in_the_clear", 445, repeat(64, &file)),
        tcp("smb_long_writes", 445, repeat(16, &[request(9, &noise)])),
        tcp("smb_small_requests", 445, repeat(256, &[request(16, &[0; 41]), request(6, &[0; 24])])),
        tcp("smb_encrypted_small", 445, repeat(512, &[(Client, framed(&sealed))])),
        tcp("rpc_calls", 49_668, repeat(512, &[(Client, call)])),
        tcp("tls_download", 443, [vec![(Client, client_hello())], repeat(64, &[(Server, record)])].concat()),
        tcp("http_download", 80, vec![(Client, get.to_vec()), (Server, answer)]),
        tcp("ssh", 22, vec![(Server, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), (Client, noise.clone())]),
        tcp("unknown", 9_999, vec![(Client, noise.clone()), (Server, noise)]),
        udp(
            "dns_questions",
            53,
            repeat(64, &[(Client, dns("www.hospital.example")), (Client, dns("mail.example"))]),
        ),
    ]
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn smb2(command: u16, flags: u32, body: &[u8]) -> Vec<u8> {
    let mut message = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
    message.extend_from_slice(&command.to_le_bytes());
    message.extend_from_slice(&[1, 0]);
    message.extend_from_slice(&flags.to_le_bytes());
    message.resize(64, 0);
    message.extend_from_slice(body);
    message
}

fn create(name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut body = vec![0; 56];
    body[0] = 57;
    body[24..28].copy_from_slice(&0x0012_0089_u32.to_le_bytes());
    body[36] = 1;
    body[44] = 120;
    body[46] = name.len() as u8;
    body.extend_from_slice(&name);
    body
}

fn client_hello() -> Vec<u8> {
    let name = b"updates.hospital.example";
    let length = name.len() as u8;
    let mut body = vec![3, 3];
    body.extend_from_slice(&[0x61; 32]);
    body.extend_from_slice(&[
        0,
        0,
        2,
        0x13,
        1,
        1,
        0,
        0,
        length + 9,
        0,
        0,
        0,
        length + 5,
        0,
        length + 3,
        0,
        0,
        length,
    ]);
    body.extend_from_slice(name);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend_from_slice(&body);
    hello
}

fn dns(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}
