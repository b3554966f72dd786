//! A small clinic out of namespaces: a box with three legs (the clinic's LAN, the segment of the medical record, the outside),
//! as a router or as a bridge, with hosts on each.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use act::wall::gate::Gate;

const AGENT: &str = include_str!("legs.py");
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Ports on which every host answers, by TCP and UDP.
pub(crate) const PORTS: [u16; 6] = [22, 53, 104, 445, 3389, 8080];
/// Hosts, by leg: `lan1` and `lan2` at the clinic, `emr1` and `emr2` at the record, `out1` outside.
pub(crate) const HOSTS: [(&str, u8, u8); 5] =
    [("lan1", 10, 1), ("lan2", 10, 2), ("emr1", 20, 1), ("emr2", 20, 2), ("out1", 30, 1)];

pub(crate) struct Legs {
    pub(crate) box_: Space,
    hosts: Vec<(&'static str, Space)>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Space {
    namespace: String,
    agent: Option<RefCell<Agent>>,
    v4: IpAddr,
    v6: IpAddr,
}

struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Router,
    Bridge,
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Some(agent) = &self.agent {
            let mut agent = agent.borrow_mut();
            let _ = agent.child.kill();
            let _ = agent.child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

impl Legs {
    /// The clinic, or `None` after saying what is missing.
    pub(crate) fn new(test: &str, stands: Stands) -> Option<Self> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "python3"] {
            testkit::tool(test, tool)?;
        }
        let box_ = Space::new("10.10.0.254", "fd10::fe");
        if stands == Stands::Bridge {
            box_.ip("link add br0 type bridge");
            box_.ip("link set br0 up");
        }
        let mut legs = Self { box_, hosts: vec![], folder: tempfile::tempdir().unwrap() };
        for leg in [10, 20, 30] {
            legs.leg(leg, stands);
        }
        let forward = match stands {
            Stands::Router => {
                "for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done"
            }
            Stands::Bridge => {
                "for f in iptables ip6tables; do echo 1 > /proc/sys/net/bridge/bridge-nf-call-$f; done"
            }
        };
        legs.box_.run(&["sh", "-c", forward]);
        legs.box_.start_agent();
        for (_, host) in &mut legs.hosts {
            host.start_agent();
        }
        Some(legs)
    }

    /// One leg: a bridge that stands for a switch, with the hosts of the leg. As a bridge, the box is one switch, and all of it is one
    /// network.
    fn leg(&mut self, leg: u8, stands: Stands) {
        let of_leg: Vec<_> = HOSTS.iter().filter(|(_, of, _)| *of == leg).collect();
        let switch = format!("leg{leg}");
        if stands == Stands::Router {
            self.box_.ip(&format!("link add {switch} type bridge"));
            self.box_.ip(&format!("addr add 10.{leg}.0.254/24 dev {switch}"));
            self.box_.ip(&format!("addr add fd{leg}::fe/64 dev {switch} nodad"));
            self.box_.ip(&format!("link set {switch} up"));
        }
        for (name, _, number) in of_leg {
            let (v4, v6) = match stands {
                Stands::Router => (format!("10.{leg}.0.{number}"), format!("fd{leg}::{number}")),
                Stands::Bridge => (format!("10.10.{leg}.{number}"), format!("fd10::{leg}:{number}")),
            };
            let host = Space::new(&v4, &v6);
            let port = format!("p{leg}x{number}");
            self.box_.ip(&format!("link add {port} type veth peer name eth0 netns {}", host.namespace));
            let switch = if stands == Stands::Router { switch.as_str() } else { "br0" };
            self.box_.ip(&format!("link set {port} master {switch} up"));
            let length = if stands == Stands::Router { 24 } else { 16 };
            host.ip(&format!("addr add {v4}/{length} dev eth0"));
            host.ip(&format!("addr add {v6}/64 dev eth0 nodad"));
            host.ip("link set eth0 up");
            if stands == Stands::Router {
                host.ip(&format!("route add default via 10.{leg}.0.254"));
                host.ip(&format!("-6 route add default via fd{leg}::fe"));
            }
            self.hosts.push((name, host));
        }
    }

    pub(crate) fn host(&self, name: &str) -> &Space {
        &self.hosts.iter().find(|(known, _)| *known == name).unwrap().1
    }

    pub(crate) fn nft_command(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.box_.namespace, "nft"].map(str::to_owned).to_vec()
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate::new(self.nft_command(), &self.folder.path().join("wall"), Duration::from_secs(20))
    }
}

impl Space {
    fn new(v4: &str, v6: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("leg-{}-{count}", std::process::id());
        assert!(Command::new("ip").args(["netns", "add", &namespace]).status().unwrap().success());
        let space = Self { namespace, agent: None, v4: v4.parse().unwrap(), v6: v6.parse().unwrap() };
        space.ip("link set lo up");
        space
    }

    pub(crate) fn address(&self, v6: bool) -> IpAddr {
        if v6 { self.v6 } else { self.v4 }
    }

    /// Runs a program in it and gives back what it says.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output =
            Command::new("ip").args(["netns", "exec", &self.namespace]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn ip(&self, words: &str) {
        let status =
            Command::new("ip").args(["-n", &self.namespace]).args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }

    fn start_agent(&mut self) {
        let ports = PORTS.map(|port| port.to_string());
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.namespace, "python3", "-c", AGENT])
            .args(ports)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        self.agent = Some(RefCell::new(Agent { child, input, output }));
    }

    fn ask(&self, verb: &str, address: IpAddr, port: u16, seconds: f64) -> String {
        let mut agent = self.agent.as_ref().unwrap().borrow_mut();
        writeln!(agent.input, "{verb} {address} {port} {seconds}").unwrap();
        let mut line = String::new();
        agent.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Whether a new TCP connection carries a word there and back.
    pub(crate) fn reaches(&self, address: IpAddr, port: u16) -> bool {
        // A network that was just made may take seconds until neighbours answer each other.
        (0..3).any(|_| self.ask("tcp", address, port, 4.0) == "yes")
    }

    /// Whether a new TCP connection gets nowhere within a moment.
    pub(crate) fn is_refused_by(&self, address: IpAddr, port: u16) -> bool {
        self.ask("tcp", address, port, 0.4) == "no"
    }

    /// One try, without waiting for a network that is not there yet.
    pub(crate) fn ask_quickly(&self, address: IpAddr, port: u16) -> bool {
        self.ask("tcp", address, port, 0.4) == "yes"
    }

    pub(crate) fn reaches_by_udp(&self, address: IpAddr, port: u16, seconds: f64) -> bool {
        self.ask("udp", address, port, seconds) == "yes"
    }

    /// Opens a connection that is kept for [`Space::talks`].
    pub(crate) fn opens(&self, address: IpAddr, port: u16) -> bool {
        self.ask("open", address, port, 3.0) == "yes"
    }

    pub(crate) fn talks(&self, address: IpAddr, port: u16, seconds: f64) -> bool {
        self.ask("talk", address, port, seconds) == "yes"
    }

    /// Begins a transfer that goes on in the background.
    pub(crate) fn transfers(&self, address: IpAddr, port: u16) {
        assert_eq!(self.ask("transfer", address, port, 0.0), "yes");
    }

    /// Blocks that it has carried; `None` when it broke.
    pub(crate) fn rounds(&self, address: IpAddr, port: u16) -> Option<u64> {
        self.ask("rounds", address, port, 0.0).parse().ok()
    }
}
