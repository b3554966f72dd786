//! A hospital's network out of namespaces: a gateway that forwards between hosts, each in a network of its own.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const AGENT: &str = include_str!("agent.py");
static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Net {
    hosts: Vec<Host>,
}

/// One namespace; the first is the gateway.
pub(crate) struct Host {
    name: &'static str,
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

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(agent) = &self.agent {
            let mut agent = agent.borrow_mut();
            let _ = agent.child.kill();
            let _ = agent.child.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

impl Net {
    /// A gateway and these hosts, or `None` after saying what is missing.
    pub(crate) fn new(test: &str, names: &[&'static str]) -> Option<Self> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "python3"] {
            testkit::tool(test, tool)?;
        }
        let mut net = Self { hosts: vec![Host::new("gateway", 0)] };
        for (name, number) in names.iter().zip(1u8..) {
            let host = Host::new(name, number);
            let (gateway, namespace) = (net.gateway(), host.namespace.clone());
            let port = format!("p{number}");
            gateway.ip(&format!("link add {port} type veth peer name eth0 netns {namespace}"));
            gateway.ip(&format!("addr add 10.77.{number}.1/24 dev {port}"));
            gateway.ip(&format!("addr add fd77:{number}::1/64 dev {port} nodad"));
            gateway.ip(&format!("link set {port} up"));
            host.ip(&format!("addr add {}/24 dev eth0", host.v4));
            host.ip(&format!("addr add {}/64 dev eth0 nodad", host.v6));
            host.ip("link set eth0 up");
            host.ip(&format!("route add default via 10.77.{number}.1"));
            host.ip(&format!("-6 route add default via fd77:{number}::1"));
            net.hosts.push(host);
        }
        let forward = "for f in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; do echo 1 > $f; done";
        net.gateway().run(&["sh", "-c", forward]);
        for host in &mut net.hosts {
            host.agent = Some(RefCell::new(host.start_agent()));
        }
        Some(net)
    }

    pub(crate) fn gateway(&self) -> &Host {
        &self.hosts[0]
    }

    pub(crate) fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }
}

impl Host {
    fn new(name: &'static str, number: u8) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("act-{}-{count}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &namespace]).status().unwrap();
        assert!(made.success());
        let (v4, v6) = (format!("10.77.{number}.2"), format!("fd77:{number}::2"));
        let host = Self { name, namespace, agent: None, v4: v4.parse().unwrap(), v6: v6.parse().unwrap() };
        host.ip("link set lo up");
        host
    }

    /// What runs `nft` in this namespace.
    pub(crate) fn nft_command(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace, "nft"].map(str::to_owned).to_vec()
    }

    /// Its address in one family.
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

    fn ip(&self, words: &str) {
        let status =
            Command::new("ip").args(["-n", &self.namespace]).args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }

    fn start_agent(&self) -> Agent {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.namespace, "python3", "-c", AGENT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Agent { child, input, output }
    }

    fn ask(&self, verb: &str, address: IpAddr, seconds: f64) -> bool {
        let mut agent = self.agent.as_ref().unwrap().borrow_mut();
        writeln!(agent.input, "{verb} {address} {seconds}").unwrap();
        let mut line = String::new();
        agent.output.read_line(&mut line).unwrap();
        line == "yes\n"
    }

    /// Whether a new TCP connection carries a word there and back.
    pub(crate) fn reaches(&self, address: IpAddr) -> bool {
        // A network that was just made may take seconds until neighbours answer each other.
        (0..3).any(|_| self.ask("reach", address, 4.0))
    }

    /// Whether a new TCP connection gets nowhere within a moment.
    pub(crate) fn is_cut_off_from(&self, address: IpAddr) -> bool {
        !self.ask("reach", address, 0.5)
    }

    /// Opens a connection that is kept for [`Host::talks`].
    pub(crate) fn opens(&self, address: IpAddr) -> bool {
        // A network that was just made may take a moment until neighbours answer each other.
        (0..5).any(|_| self.ask("open", address, 2.0))
    }

    /// Whether the kept connection still carries a word there and back.
    pub(crate) fn talks(&self, address: IpAddr, seconds: f64) -> bool {
        self.ask("talk", address, seconds)
    }
}
