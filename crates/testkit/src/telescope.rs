//! The third quarter of 2018 as an observation network saw it, as packets: a capture file built in code, the same for the same seed.
//!
//! Shaped after what JPCERT/CC published (ranks of the quarter 23, 445, 80, 8080, 22, of the one before 1, 2, 3, 6, 4; 445/tcp rising from
//! 12 August; four of five of its sources like Windows Server 2003), scaled down to some ten packets an hour. Daily and weekly rhythm
//! and noise; no other surge.

use std::net::Ipv4Addr;

/// 1 April 2018, midnight in Japan, in seconds since 1970.
pub const BEGINS: i64 = 1_522_508_400;
/// 1 July.
pub const QUARTER_BEGINS: i64 = BEGINS + 91 * DAY;
/// 12 August.
pub const ONSET: i64 = QUARTER_BEGINS + 42 * DAY;
/// 1 October.
pub const ENDS: i64 = QUARTER_BEGINS + 92 * DAY;

const DAY: i64 = 86_400;

/// How a SYN looks.
#[derive(Clone, Copy)]
enum Syn {
    Server2003,
    Windows7,
    Linux,
    Bare,
}

/// A port: packets an hour in the second and in the third quarter, and shares of what its sources look like (2003, 7, Linux, none).
struct Port {
    port: u16,
    packets: [f64; 2],
    shares: [f64; 4],
}

const PORTS: [Port; 9] = [
    Port { port: 23, packets: [9.0, 9.5], shares: [0.0, 0.02, 0.68, 0.30] },
    Port { port: 445, packets: [4.5, 4.5], shares: [0.80, 0.14, 0.0, 0.06] },
    Port { port: 80, packets: [3.6, 3.6], shares: [0.0, 0.1, 0.6, 0.3] },
    Port { port: 8080, packets: [1.3, 2.3], shares: [0.0, 0.05, 0.75, 0.2] },
    Port { port: 22, packets: [2.0, 2.0], shares: [0.0, 0.1, 0.7, 0.2] },
    Port { port: 3389, packets: [1.8, 1.8], shares: [0.05, 0.55, 0.1, 0.3] },
    Port { port: 1433, packets: [0.9, 0.9], shares: [0.2, 0.5, 0.1, 0.2] },
    Port { port: 5555, packets: [0.6, 0.6], shares: [0.0, 0.0, 0.8, 0.2] },
    Port { port: 81, packets: [0.4, 0.4], shares: [0.0, 0.0, 0.8, 0.2] },
];

/// A capture of both quarters, with `scale` times as many packets (1.0: about 110,000).
///
/// Our addresses are 198.51.100.0/28; the sources lie in the network for benchmarks (198.18.0.0/15).
pub fn capture(seed: u64, scale: f64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut file = header();
    let mut hour = BEGINS;
    while hour < ENDS {
        let mut packets: Vec<(i64, Vec<u8>)> = Vec::new();
        for (number, port) in PORTS.iter().enumerate() {
            let mean = port.mean(hour) * scale * rhythm(hour, number) * (0.15 * dice.normal()).exp();
            for _ in 0..dice.poisson(mean) {
                let at = hour * 1_000_000 + dice.below(3_600_000_000) as i64;
                packets.push((at, port.packet(&mut dice)));
            }
        }
        for _ in 0..dice.poisson(0.8 * scale) {
            packets.push((hour * 1_000_000 + dice.below(3_600_000_000) as i64, backscatter(&mut dice)));
        }
        // So that the sensor is heard of every hour, however few come.
        packets.push((hour * 1_000_000 + 1_800_000_000, echo(&mut dice)));
        packets.sort();
        packets.iter().for_each(|(at, bytes)| record(&mut file, *at, bytes));
        hour += 3600;
    }
    file
}

impl Port {
    fn mean(&self, hour: i64) -> f64 {
        // 8080 had risen in June already: that is a surge of the quarter before.
        let has_risen = hour >= if self.port == 8080 { QUARTER_BEGINS - 20 * DAY } else { QUARTER_BEGINS };
        let mean = self.packets[usize::from(has_risen)];
        match hour - ONSET {
            _ if self.port != 445 || hour < ONSET => mean,
            first if first < 3 * DAY => mean * 1.7,
            _ => mean * 2.1,
        }
    }

    fn packet(&self, dice: &mut Dice) -> Vec<u8> {
        let drawn = dice.uniform();
        let mut sum = 0.0;
        let kinds = [Syn::Server2003, Syn::Windows7, Syn::Linux, Syn::Bare];
        let place = self.shares.iter().position(|share| {
            sum += share;
            drawn < sum
        });
        let kind = place.unwrap_or(2);
        // Each kind has its own part of the addresses, as large as its share: a host does not change its system.
        let hosts = ((24_000.0 * self.shares[kind]) as u64).max(1);
        let source = Ipv4Addr::from(0xc612_0000 + kind as u32 * 24_000 + dice.below(hosts) as u32);
        syn(source, ours(dice), self.port, kinds[kind], dice)
    }
}

fn ours(dice: &mut Dice) -> Ipv4Addr {
    Ipv4Addr::from(0xc633_6401 + dice.below(14) as u32)
}

/// More by day, and on working days.
fn rhythm(hour: i64, port: usize) -> f64 {
    let local = (hour + 9 * 3600).rem_euclid(DAY) as f64 / DAY as f64;
    let day = 1.0 + 0.25 * (std::f64::consts::TAU * (local - 0.3 - port as f64 * 0.07)).sin();
    let weekday = (hour + 9 * 3600).div_euclid(DAY).rem_euclid(7);
    // 1970 began on a Thursday: 2 and 3 are Saturday and Sunday.
    day * if matches!(weekday, 2 | 3) { 0.85 } else { 1.06 }
}

fn syn(source: Ipv4Addr, destination: Ipv4Addr, port: u16, kind: Syn, dice: &mut Dice) -> Vec<u8> {
    const MSS: [u8; 4] = [2, 4, 5, 0xb4];
    let (ttl, window, options) = match kind {
        Syn::Server2003 => (128, 65_535u16, [&MSS[..], &[1, 1, 4, 2]].concat()),
        Syn::Windows7 => (128, 8192, [&MSS[..], &[1, 3, 3, 8, 1, 1, 4, 2]].concat()),
        Syn::Linux => (64, 29_200, [&MSS[..], &[4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7]].concat()),
        Syn::Bare => (255, 1024, Vec::new()),
    };
    let hops = 8 + dice.below(16) as u8;
    let from = 1025 + dice.below(60_000) as u16;
    let mut tcp = segment(from, port, 0x02, window, &options, dice);
    ip(source, destination, ttl - hops, 6, &mut tcp)
}

/// A web server under a flood with forged sources answers us.
fn backscatter(dice: &mut Dice) -> Vec<u8> {
    let victim = Ipv4Addr::from(0xcb00_7100 + dice.below(5) as u32);
    let flags = if dice.below(3) == 0 { 0x14 } else { 0x12 };
    let to = 1025 + dice.below(60_000) as u16;
    let mut tcp = segment(if dice.below(4) == 0 { 443 } else { 80 }, to, flags, 14_600, &[], dice);
    ip(victim, ours(dice), 52, 6, &mut tcp)
}

fn echo(dice: &mut Dice) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0, 1, 0, 1];
    ip(Ipv4Addr::from(0xc612_0000 + dice.below(2_000) as u32), ours(dice), 50, 1, &mut icmp)
}

fn segment(from: u16, to: u16, flags: u8, window: u16, options: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20 + options.len());
    tcp.extend(from.to_be_bytes());
    tcp.extend(to.to_be_bytes());
    tcp.extend((dice.next() as u32).to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend([(((20 + options.len()) / 4) << 4) as u8, flags]);
    tcp.extend(window.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(options);
    tcp
}

fn ip(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, protocol: u8, payload: &mut Vec<u8>) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, ttl, protocol, 0, 0]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.append(payload);
    bytes
}

/// pcap, microseconds, little endian, LINKTYPE_RAW.
fn header() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(65_535u32.to_le_bytes());
    file.extend(101u32.to_le_bytes());
    file
}

fn record(file: &mut Vec<u8>, at: i64, bytes: &[u8]) {
    let length = (bytes.len() as u32).to_le_bytes();
    file.extend(((at / 1_000_000) as u32).to_le_bytes());
    file.extend(((at % 1_000_000) as u32).to_le_bytes());
    file.extend(length);
    file.extend(length);
    file.extend(bytes);
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform().max(1e-12), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Knuth's way: means are small here.
    fn poisson(&mut self, mean: f64) -> u32 {
        let (end, mut product, mut count) = ((-mean).exp(), self.uniform(), 0);
        while product > end {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}
