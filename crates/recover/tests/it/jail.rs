//! What runs in a jail reaches neither the network nor a file nor a process of this machine, and does not outlive the drill.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use recover::adapter::{Jail, Limits};

use crate::support::census;

const NOBODY: (u32, u32) = (65_534, 65_534);
const FOLDER: &str = "CHARTWARD_TEST_JAIL";
const MARK: &str = "CHARTWARD_TEST_MARK";

fn ground() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(NOBODY.0), Some(NOBODY.1)).unwrap();
    dir
}

fn jail(dir: &Path) -> Jail {
    Jail::new(&dir.join("own"), Some(NOBODY), &[]).unwrap()
}

/// What a script in the jail says.
fn said(jail: &Jail, script: &str) -> String {
    let mut command = jail.command(Path::new("/bin/sh")).unwrap();
    let output =
        command.arg("-c").arg(script).stderr(Stdio::piped()).stdout(Stdio::piped()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn nothing_outside_the_sandbox_is_seen_reached_or_changed() {
    let test = "nothing_outside_the_sandbox_is_seen_reached_or_changed";
    if !testkit::root(test) {
        return;
    }
    let dir = ground();
    let jail = jail(dir.path());
    assert!(jail.has_no_network());
    assert_eq!(jail.said().len(), 1, "everything is enforced here: {:?}", jail.said());
    // Production: a folder that everybody may write to, a socket, a port, a process of the same user.
    let production = dir.path().join("production");
    fs::create_dir(&production).unwrap();
    fs::write(production.join("record"), "content").unwrap();
    for path in [production.clone(), production.join("record")] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let socket = production.join("socket");
    let _server = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o777)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    port.set_nonblocking(true).unwrap();
    let mut victim = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "sleep",
            "600",
        ])
        .spawn()
        .unwrap();
    let before = census(&production);

    let attack = format!(
        "echo bad > {0}/record; rm -rf {0}; ls {0}; kill -9 {1}; kill -9 -1; \
         echo here > {2}/own/mine && echo wrote; exec 3<>/dev/tcp/127.0.0.1/{3}",
        production.display(),
        victim.id(),
        dir.path().display(),
        port.local_addr().unwrap().port()
    );
    let mut bash = jail.command(Path::new("/bin/bash")).unwrap();
    let output = bash.arg("-c").arg(attack).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let ended = victim.try_wait().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(told.contains("wrote"), "{told} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ended, None, "a process outside was ended");
    assert_eq!(census(&production), before);
    assert!(port.accept().is_err(), "somebody came from the jail");
    assert!(dir.path().join("own/mine").exists());
    let tells = said(
        &jail,
        "grep -E '^Cap(Prm|Bnd|Eff)|NoNewPrivs' /proc/self/status; touch /etc/x /usr/x; ls /root /home /run",
    );
    assert_eq!(tells.matches("0000000000000000").count(), 3, "{tells}");
    assert!(tells.contains("NoNewPrivs:\t1"), "{tells}");
    assert!(!Path::new("/etc/x").exists());
}

#[test]
fn limits_hold() {
    if !testkit::root("limits_hold") {
        return;
    }
    let dir = ground();
    // The kernel counts the processes of a user, and beside this test others run as the same one.
    let limits = Limits { memory_bytes: 1 << 30, processes: 1024, cpu_seconds: 1, file_bytes: 1 << 20 };
    let jail = jail(dir.path()).limited(limits);
    let own = dir.path().join("own");
    let began = Instant::now();
    for (script, expected) in [
        (
            format!("dd if=/dev/zero of={}/big bs=64k count=64 2>/dev/null; echo status $?", own.display()),
            "status 153",
        ),
        ("python3 -c 'bytearray(2 << 30)' 2>&1".to_owned(), "MemoryError"),
        ("sh -c 'while :; do :; done'; echo status $?".to_owned(), "status 137"),
    ] {
        let told = said(&jail, &script);
        assert!(told.contains(expected), "{script}: {told}");
    }
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(fs::metadata(own.join("big")).unwrap().len() <= 1 << 20);
}

#[test]
fn a_fork_bomb_stays_within_its_limit_and_ends_with_its_jail() {
    if !testkit::root("a_fork_bomb_stays_within_its_limit") {
        return;
    }
    let dir = ground();
    let limits = Limits { memory_bytes: 4 << 30, processes: 64, cpu_seconds: 20, file_bytes: 1 << 20 };
    let jail = jail(dir.path()).limited(limits);
    let mark = format!("bomb-{}", std::process::id());
    // Every process forks for as long as it may, and its children do the same.
    let bomb = "import os, sys, time\n\
                end = time.time() + 30\n\
                while time.time() < end:\n\
                \x20   try: os.fork()\n\
                \x20   except OSError: time.sleep(0.05)";
    let mut command = jail.command(Path::new("/usr/bin/python3")).unwrap();
    let mut child = command.args(["-c", bomb, &mark]).spawn().unwrap();
    let count = || {
        of_cmdline(|line| {
            line.ends_with(format!("{mark}\0").as_bytes()) && line.starts_with(b"/usr/bin/python3")
        })
    };
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        most = most.max(count());
        std::thread::sleep(Duration::from_millis(20));
    }
    // This machine goes on meanwhile, also as the same user's neighbour.
    assert!(Command::new("true").status().unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!((1..=64).contains(&most), "{most} processes at once");
    let killed = Instant::now();
    while count() > 0 {
        assert!(killed.elapsed() < Duration::from_secs(10), "{} outlive the jail", count());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test by itself: the drill that the next one kills.
#[test]
fn a_drill_that_is_going_to_be_killed() {
    let (Some(folder), Some(mark)) = (std::env::var_os(FOLDER), std::env::var_os(MARK)) else { return };
    let jail = jail(Path::new(&folder));
    let mark = mark.to_str().unwrap();
    let script = format!("sleep {mark} & setsid sleep {mark} & (sleep {mark} &) & echo ready; wait");
    let mut command = jail.command(Path::new("/bin/sh")).unwrap();
    let mut child = command.arg("-c").arg(script).stdout(Stdio::inherit()).spawn().unwrap();
    std::io::stdout().flush().unwrap();
    child.wait().unwrap();
}

#[test]
fn everything_ends_with_a_drill_that_is_killed() {
    let test = "everything_ends_with_a_drill_that_is_killed";
    if !testkit::root(test) {
        return;
    }
    let dir = ground();
    // A duration that nobody else sleeps.
    let mark = format!("{}.25", 100_000 + std::process::id());
    let mut drill = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jail::a_drill_that_is_going_to_be_killed", "--nocapture"])
        .env(FOLDER, dir.path())
        .env(MARK, &mark)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while sleeping(&mark) < 3 {
        assert!(began.elapsed() < Duration::from_secs(30), "{} of 3 sleep", sleeping(&mark));
        std::thread::sleep(Duration::from_millis(20));
    }
    drill.kill().unwrap();
    drill.wait().unwrap();
    let killed = Instant::now();
    while sleeping(&mark) > 0 {
        assert!(killed.elapsed() < Duration::from_secs(10), "{} outlive the drill", sleeping(&mark));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many processes sleep for exactly this long.
fn sleeping(mark: &str) -> usize {
    of_cmdline(|line| line.starts_with(b"sleep\0") && line.ends_with(format!("{mark}\0").as_bytes()))
}

/// How many processes have such a command line.
fn of_cmdline(is_it: impl Fn(&[u8]) -> bool) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| is_it(line)).count()
}
