//! The hospital's network of a rehearsal: the record server, the ward and, between the two, a gateway with the hub's wall.
//!
//! Three network namespaces that nothing of the machine's own network is connected to. A process of its own takes them away,
//! with whoever still runs on the server or in the ward, as soon as the rehearsal has ended, however it ended.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Networks of documentation (RFC 5737), so that nobody takes them for a hospital's.
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
/// The gateway as the server sees it: here is the console.
pub(crate) const CONSOLE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const WARD_GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// A computer of the ward.
pub(crate) const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2));
/// The machine that the vault would lie on.
pub(crate) const VAULT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 3));
/// Where neighbour and vault answer.
const PORT: u16 = 445;
const PATIENCE: Duration = Duration::from_millis(400);
/// All names begin so and go on with the id of the rehearsal's process.
const PREFIX: &str = "chartward-reh";
const FOLDER: &str = "/run/netns";

/// Waits for the end of whoever holds the other end of its input, then takes the namespaces away.
const SWEEPER: &str = r#"
read -r nothing
for name in "$@"; do
    case "$name" in
        *-gateway) ;;
        *) for pid in $(ip netns pids "$name" 2>/dev/null); do kill -9 "$pid"; done ;;
    esac
    ip netns del "$name"
done
"#;

/// The three namespaces while they stand; dropped, they are gone.
pub(crate) struct Network {
    names: Names,
    sweeper: Child,
}

struct Names {
    gateway: String,
    server: String,
    ward: String,
}

/// What the server reaches at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// A new connection to the neighbour.
    pub(crate) neighbour: bool,
    /// The connection to the neighbour that was open before.
    pub(crate) established: bool,
    pub(crate) vault: bool,
    pub(crate) console: bool,
}

impl Reach {
    pub(crate) const ALL: Reach = Reach { neighbour: true, established: true, vault: true, console: true };
    /// What an isolated host is to reach.
    pub(crate) const ISOLATED: Reach =
        Reach { neighbour: false, established: false, vault: true, console: true };
}

impl Network {
    /// Makes the namespaces and what answers in them.
    pub(crate) fn make() -> anyhow::Result<Network> {
        sweep_leftovers();
        let own = std::process::id();
        let name = |part: &str| format!("{PREFIX}-{own}-{part}");
        let names = Names { gateway: name("gateway"), server: name("server"), ward: name("ward") };
        // First of all, so that there is no moment in which a namespace stands and nobody would take it away.
        let sweeper = Command::new("sh")
            .args(["-c", SWEEPER, "sh", &names.server, &names.ward, &names.gateway])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C of the terminal must not reach it before its work is done.
            .process_group(0)
            .spawn()
            .context("cannot start what takes the namespaces away")?;
        let network = Network { names, sweeper };
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> anyhow::Result<()> {
        let Names { gateway, server, ward } = &self.names;
        ip(&[], &format!("netns add {gateway}\nnetns add {server}\nnetns add {ward}\n"))?;
        ip(
            &["-n", gateway],
            &format!(
                "link set lo up\n\
                 link add server type veth peer name eth0 netns {server}\n\
                 link add ward type veth peer name eth0 netns {ward}\n\
                 addr add {CONSOLE}/24 dev server\naddr add {WARD_GATEWAY}/24 dev ward\n\
                 link set server up\nlink set ward up\n"
            ),
        )?;
        let host = |own: &str, via: IpAddr| {
            format!("link set lo up\n{own}link set eth0 up\nroute add default via {via}\n")
        };
        ip(&["-n", server], &host(&format!("addr add {SERVER}/24 dev eth0\n"), CONSOLE))?;
        let both = format!("addr add {NEIGHBOUR}/24 dev eth0\naddr add {VAULT}/24 dev eth0\n");
        ip(&["-n", ward], &host(&both, WARD_GATEWAY))?;
        self.at_gateway(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?
            .context("cannot let the gateway forward")?;
        for address in [NEIGHBOUR, VAULT] {
            let listener = inside(ward, || TcpListener::bind((address, PORT)))??;
            answer(listener)?;
        }
        Ok(())
    }

    /// Runs something in a thread that belongs to the gateway; what it starts belongs there as well.
    pub(crate) fn at_gateway<T: Send>(&self, run: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        inside(&self.names.gateway, run)
    }

    /// The program that changes the gateway's packet filter.
    pub(crate) fn wall_command(&self) -> [&str; 5] {
        ["ip", "netns", "exec", &self.names.gateway, "nft"]
    }

    /// A command that runs on the server. Only its network is another: it sees the same mounts, those of the guard among them.
    pub(crate) fn on_server(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={FOLDER}/{}", self.names.server)).arg("--").arg(program);
        command
    }

    /// Whether a port of the server answers at the gateway.
    pub(crate) fn server_answers(&self, port: u16) -> anyhow::Result<bool> {
        self.at_gateway(|| connect(SERVER, port).is_ok())
    }

    /// A connection from the server to the neighbour that stays open.
    pub(crate) fn open_connection(&self) -> anyhow::Result<TcpStream> {
        let opened = inside(&self.names.server, || connect(NEIGHBOUR, PORT))?;
        opened.context("the server does not reach its neighbour before anything happened")
    }

    /// Tries now what the server reaches.
    pub(crate) fn measure(&self, open: &TcpStream, console: u16) -> anyhow::Result<Reach> {
        let established = goes_on(open);
        inside(&self.names.server, || Reach {
            neighbour: connect(NEIGHBOUR, PORT).is_ok(),
            established,
            vault: connect(VAULT, PORT).is_ok(),
            console: connect(CONSOLE, console).is_ok(),
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

/// Removes what a rehearsal left whose sweeper was killed with it.
fn sweep_leftovers() {
    let Ok(entries) = fs::read_dir(FOLDER) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-'));
        let Some(pid) = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok()) else { continue };
        if !fs::exists(format!("/proc/{pid}")).unwrap_or(true) {
            let _ = Command::new("sh").args(["-c", SWEEPER, "sh", &name]).stdin(Stdio::null()).status();
        }
    }
}

fn ip(before: &[&str], lines: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(before)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip (Debian package iproute2)")?;
    child.stdin.take().context("ip has no input")?.write_all(lines.as_bytes())?;
    let ended = child.wait_with_output()?;
    ensure!(ended.status.success(), "ip refused: {}", String::from_utf8_lossy(&ended.stderr).trim());
    Ok(())
}

/// In a thread of its own, since a thread belongs to one network at a time.
fn inside<T: Send>(name: &str, run: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let namespace = File::open(format!("{FOLDER}/{name}")).context("the rehearsal's network is gone")?;
    let run = move || {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
        Ok::<T, rustix::io::Errno>(run())
    };
    match thread::scope(|scope| scope.spawn(run).join()) {
        Ok(done) => done.context("cannot enter the rehearsal's network"),
        Err(_) => bail!("what ran in the rehearsal's network failed"),
    }
}

fn connect(address: IpAddr, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE)
}

/// Whether what is sent over the connection still comes back.
fn goes_on(mut open: &TcpStream) -> bool {
    let mut byte = [0];
    let tried = open
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| open.write_all(b"?"))
        .and_then(|()| open.read_exact(&mut byte));
    tried.is_ok()
}

/// Gives back what it is sent.
fn answer(listener: TcpListener) -> anyhow::Result<()> {
    let serve = move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    };
    thread::Builder::new().name("neighbour".into()).spawn(serve)?;
    Ok(())
}
