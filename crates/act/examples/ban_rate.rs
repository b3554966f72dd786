//! How long a ban takes, from the call to the kernel's having it: `cargo run --release -p act --example ban_rate [ROUNDS]`, as
//! root. Bans one address and a hundred at once, in a network namespace of its own, beside 10,000 that are banned already.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement that people run by hand")]

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use act::NeverTouch;
use act::wall::{Settings, Wall};

const STANDING: u32 = 10_000;

struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn main() {
    let rounds: u32 = std::env::args().nth(1).map_or(200, |text| text.parse().unwrap());
    let namespace = Namespace(format!("act-ban-rate-{}", std::process::id()));
    assert!(Command::new("ip").args(["netns", "add", &namespace.0]).status().unwrap().success());
    let command = ["ip", "netns", "exec", &namespace.0, "nft"].map(str::to_owned).to_vec();
    let wall = Wall::new(Settings { command, ..Settings::local(NeverTouch::default(), vec![]) });
    wall.ensure().unwrap();
    wall.ban(&addresses(10, 0, STANDING)).unwrap();
    println!("{rounds} rounds, {STANDING} addresses banned already, times in milliseconds");
    for batch in [1, 100] {
        let new =
            (0..rounds).map(|round| addresses(11, round * batch, batch)).map(|batch| timed(&wall, &batch));
        print("new ban of", batch, new.collect());
        let again =
            (0..rounds).map(|round| addresses(11, round * batch, batch)).map(|batch| timed(&wall, &batch));
        print("again of", batch, again.collect());
    }
    let held = STANDING + rounds * 100;
    let listing = (0..rounds.min(20)).map(|_| {
        let begun = Instant::now();
        assert!(wall.in_force().unwrap().len() > STANDING as usize);
        begun.elapsed()
    });
    print("listing of", held, listing.collect());
}

fn addresses(net: u8, first: u32, count: u32) -> Vec<(IpAddr, Option<Duration>)> {
    let base = u32::from(Ipv4Addr::new(net, 0, 0, 0));
    let hour = Some(Duration::from_secs(3600));
    (first..first + count).map(|n| (IpAddr::V4(Ipv4Addr::from(base + n)), hour)).collect()
}

fn timed(wall: &Wall, batch: &[(IpAddr, Option<Duration>)]) -> Duration {
    let begun = Instant::now();
    wall.ban(batch).unwrap();
    begun.elapsed()
}

fn print(what: &str, count: u32, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at =
        |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:10} {count:5}: p50 {:.1}, p99 {:.1}, max {:.1}", at(50), at(99), at(100));
}
