//! Writes captures to time sensors with, all made up: `sensor_traffic FOLDER [MIX_BYTES] [SYNS] [OPEN_FLOWS]`.
//!
//! `mix.pcap`: a hospital's web, file shares, names, HL7, a backup, and two scans, of 20,000 flows at once, 290 bytes a packet. `syn.pcap`: SYNs from
//! as many forged sources in an hour. `open.pcap`: so many connections that are open at once. The same numbers give the same files.
#![allow(clippy::print_stdout, reason = "it talks to whoever measures")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use testkit::frames::{self, flag, options};

/// Flows of the mix that go on at once.
const AT_ONCE: usize = 20_000;
const START: i64 = 1_534_000_000_000_000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let folder = arguments.first().map_or(Path::new("."), Path::new);
    fs::create_dir_all(folder)?;
    mix(&folder.join("mix.pcap"), number(1, 1_100_000_000))?;
    syns(&folder.join("syn.pcap"), number(2, 10_000_000))?;
    open_flows(&folder.join("open.pcap"), number(3, 2_000_000))
}

/// A capture file that is being written.
struct Writer {
    file: BufWriter<File>,
    bytes: u64,
    packets: u64,
    record: Vec<u8>,
}

impl Writer {
    fn new(path: &Path) -> io::Result<Writer> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&frames::pcap_header())?;
        Ok(Writer { file, bytes: 24, packets: 0, record: Vec::new() })
    }

    fn packet(&mut self, at: i64, ip: &[u8]) -> io::Result<()> {
        self.record.clear();
        frames::pcap_record(at, &frames::ethernet(&[], ip), &mut self.record);
        self.bytes += self.record.len() as u64;
        self.packets += 1;
        self.file.write_all(&self.record)
    }

    fn done(mut self, path: &Path) -> io::Result<()> {
        println!("{}: {} packets, {} bytes", path.display(), self.packets, self.bytes);
        self.file.flush()
    }
}

/// Numbers that look random, the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }
}

fn at(address: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(address)), port)
}

fn syns(path: &Path, count: u64) -> io::Result<()> {
    // An hour, however many.
    const HOUR: u64 = 3_600_000_000;
    const PORTS: [u16; 8] = [23, 23, 23, 445, 445, 80, 8080, 22];
    let (mut writer, mut dice) = (Writer::new(path)?, Dice(7));
    for number in 0..count {
        let source = at((dice.next() >> 32) as u32 | 0x0100_0000, 1024 + dice.below(60_000) as u16);
        let target = at(0xc633_6400 | dice.below(256) as u32, PORTS[dice.below(8) as usize]);
        let (ttl, options) = [(113, options::NT5), (50, options::LINUX), (240, &[][..]), (118, options::NT6)]
            [dice.below(4) as usize];
        let syn = frames::Tcp { options, ..frames::Tcp::bare(source, target, flag::SYN) };
        writer.packet(START + (number * HOUR / count) as i64, &syn.ip_with(ttl))?;
    }
    writer.done(path)
}

fn open_flows(path: &Path, count: u64) -> io::Result<()> {
    let mut writer = Writer::new(path)?;
    for number in 0..count {
        let client = at(0x0a00_0000 | (number % 60_000) as u32, 1024 + (number / 60_000) as u16);
        let server = at(0xc0a8_0000 | (number % 251) as u32, 443);
        let now = START + number as i64 * 50;
        let ends = [
            (client, server, flag::SYN),
            (server, client, flag::SYN | flag::ACK),
            (client, server, flag::ACK),
        ];
        for (step, (source, target, flags)) in ends.into_iter().enumerate() {
            let sequence = if step == 2 { 1001 } else { 1000 };
            let tcp =
                frames::Tcp { sequence, acknowledgment: 1001, ..frames::Tcp::bare(source, target, flags) };
            writer.packet(now + step as i64 * 10, &tcp.ip())?;
        }
    }
    writer.done(path)
}

fn mix(path: &Path, bytes: u64) -> io::Result<()> {
    let (mut writer, mut dice) = (Writer::new(path)?, Dice(42));
    let filler = filler(&mut dice);
    let mut flows: Vec<Flow> = (0..AT_ONCE).map(|_| Flow::new(&mut dice)).collect();
    let mut now = START;
    while writer.bytes < bytes {
        now += 60 + dice.below(80) as i64;
        let which = dice.below(AT_ONCE as u64) as usize;
        // Packets come in small bursts of one flow, as they do.
        for _ in 0..1 + dice.below(4) {
            let Some(packet) = flows[which].packet(&filler, &mut dice) else {
                flows[which] = Flow::new(&mut dice);
                break;
            };
            now += 5;
            writer.packet(now, &packet)?;
        }
    }
    writer.done(path)
}

fn filler(dice: &mut Dice) -> Vec<u8> {
    (0..65_536).map(|_| dice.next() as u8).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Web,
    Plain,
    Share,
    Names,
    Messages,
    Backup,
    Unanswered,
    Refused,
}

/// A made-up conversation.
struct Flow {
    kind: Kind,
    client: SocketAddr,
    server: SocketAddr,
    step: u32,
    steps: u32,
    /// Numbers of the next bytes.
    next: [u32; 2],
}

impl Flow {
    fn new(dice: &mut Dice) -> Flow {
        let inside = 0x0a01_0000 | dice.below(4_000) as u32;
        let outside = 0xc612_0000 | dice.below(30_000) as u32;
        let server = 0x0a02_0000 | dice.below(40) as u32;
        let (kind, target, port, steps) = match dice.below(100) {
            0..30 => (Kind::Web, outside, 443, 4 + dice.below(24)),
            30..42 => (Kind::Plain, outside, 80, 4 + dice.below(12)),
            42..48 => (Kind::Share, server, 445, 10 + dice.below(80)),
            48..80 => (Kind::Names, server, 53, 2),
            80..86 => (Kind::Messages, server, 2575, 4 + dice.below(12)),
            86..87 => (Kind::Backup, server, 9102, 150),
            87..94 => (Kind::Unanswered, outside, 1 + dice.below(9_000) as u16, 1),
            _ => (Kind::Refused, server, 1 + dice.below(9_000) as u16, 2),
        };
        Flow {
            kind,
            client: at(inside, 1024 + dice.below(64_000) as u16),
            server: at(target, port),
            step: 0,
            steps: steps as u32,
            next: [dice.next() as u32, dice.next() as u32],
        }
    }

    /// Its next packet; `None` once it is over.
    fn packet(&mut self, filler: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
        let step = self.step;
        self.step += 1;
        let refuses = flag::RST | flag::ACK;
        match self.kind {
            Kind::Names => (step < 2).then(|| self.name(step, dice)),
            Kind::Unanswered | Kind::Refused if step >= self.steps => None,
            Kind::Unanswered | Kind::Refused if step == 0 => Some(self.tcp(0, flag::SYN, &[])),
            Kind::Unanswered | Kind::Refused => Some(self.tcp(1, refuses, &[])),
            _ => match step {
                0 => Some(self.tcp(0, flag::SYN, &[])),
                1 => Some(self.tcp(1, flag::SYN | flag::ACK, &[])),
                2 => Some(self.tcp(0, flag::ACK, &[])),
                step if step < 3 + self.steps => Some(self.talk(step - 3, filler, dice)),
                step if step == 3 + self.steps => Some(self.tcp(0, flag::FIN | flag::ACK, &[])),
                step if step == 4 + self.steps => Some(self.tcp(1, flag::FIN | flag::ACK, &[])),
                step if step == 5 + self.steps => Some(self.tcp(0, flag::ACK, &[])),
                _ => None,
            },
        }
    }

    fn tcp(&mut self, from: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (source, destination) =
            if from == 0 { (self.client, self.server) } else { (self.server, self.client) };
        let options = if flags & flag::SYN == 0 { &[][..] } else { options::NT6 };
        let acknowledgment = if flags & flag::ACK == 0 { 0 } else { self.next[1 - from] };
        let sequence = self.next[from];
        let counted = u32::from(flags & (flag::SYN | flag::FIN) != 0);
        self.next[from] = sequence.wrapping_add(payload.len() as u32 + counted);
        frames::Tcp { source, destination, flags, sequence, acknowledgment, window: 64_240, options, payload }
            .ip_with(128)
    }

    fn talk(&mut self, step: u32, filler: &[u8], dice: &mut Dice) -> Vec<u8> {
        let noise = |length: usize, dice: &mut Dice| {
            let from = dice.below(60_000) as usize;
            filler[from..from + length].to_vec()
        };
        let push = flag::PSH | flag::ACK;
        match (self.kind, step) {
            (Kind::Web, 0) => self.tcp(0, push, &client_hello(dice)),
            (Kind::Plain, 0) => {
                let request = format!(
                    "GET /item/{} HTTP/1.1\r\nHost: site{}.example\r\nUser-Agent: sample\r\n\r\n",
                    dice.below(1_000),
                    dice.below(500)
                );
                self.tcp(0, push, request.as_bytes())
            }
            (Kind::Share, step) if step % 2 == 0 => {
                self.tcp(0, push, &share(if step == 0 { 0 } else { 8 }, 0, 117))
            }
            (Kind::Share, step) => self.tcp(1, push, &share(if step == 1 { 0 } else { 8 }, 1, 700)),
            (Kind::Messages, step) if step % 2 == 0 => {
                let message = format!(
                    "\u{b}MSH|^~\\&|A|B|C|D|20180812||ADT^A08|{step}|P|2.5\rPID|1||0000{step}\rPV1|1|I\r\u{1c}\r"
                );
                self.tcp(0, push, message.as_bytes())
            }
            (Kind::Messages, _) => {
                self.tcp(1, push, b"\x0bMSH|^~\\&|B|A|D|C|20180812||ACK|1|P|2.5\rMSA|AA|1\r\x1c\r")
            }
            (Kind::Backup, step) if step % 3 < 2 => {
                let data = noise(1_460, dice);
                self.tcp(0, push, &data)
            }
            // Half of what goes by acknowledges.
            (_, step) if step % 2 == 0 => self.tcp(0, flag::ACK, &[]),
            _ => {
                let length = [90, 200, 700, 1_460][dice.below(4) as usize];
                let mut data = noise(length, dice);
                data[..5].copy_from_slice(&[0x17, 3, 3, ((length - 5) >> 8) as u8, (length - 5) as u8]);
                self.tcp(1, push, &data)
            }
        }
    }

    fn name(&self, step: u32, dice: &mut Dice) -> Vec<u8> {
        let mut bytes =
            vec![0x12, 0x34, if step == 0 { 1 } else { 0x81 }, 0, 0, 1, 0, step as u8, 0, 0, 0, 0];
        let name = format!("host{}", dice.below(3_000));
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
        bytes.extend(b"\x07example\x00\x00\x01\x00\x01");
        if step == 0 {
            return frames::udp(self.client, self.server, &bytes);
        }
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
        frames::udp(self.server, self.client, &bytes)
    }
}

/// TLS's first message, with a server name.
fn client_hello(dice: &mut Dice) -> Vec<u8> {
    let name = format!("www{}.example", dice.below(2_000));
    let count = name.len() as u16;
    let mut extensions = vec![0, 0];
    extensions.extend((count + 5).to_be_bytes());
    extensions.extend((count + 3).to_be_bytes());
    extensions.push(0);
    extensions.extend(count.to_be_bytes());
    extensions.extend(name.as_bytes());
    extensions.extend([0, 21, 1, 0]);
    extensions.extend([0; 256]);
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0x13, 1, 0x13, 2, 1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let mut message = vec![1, 0];
    message.extend((hello.len() as u16).to_be_bytes());
    message.extend(hello);
    let mut record = vec![0x16, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

/// A message of SMB 2 with that command, as its direct transport frames it.
fn share(command: u8, answer: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, (length >> 8) as u8, length as u8, 0xfe, b'S', b'M', b'B', 64, 0];
    bytes.resize(4 + length, 0);
    bytes[16] = command;
    bytes[20] = answer;
    // A structure's size, and for the first answer the dialect 3.1.1.
    bytes[68] = if answer == 1 { 17 } else { 49 };
    if command == 0 {
        bytes[68] = if answer == 1 { 65 } else { 36 };
        bytes[72..74].copy_from_slice(&[0x11, 3]);
    }
    bytes
}
