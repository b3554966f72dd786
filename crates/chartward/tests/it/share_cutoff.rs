//! A computer of the ward encrypts a share through smbclient; the hub, which only looks at the share from outside, cuts it off.
//!
//! Three network namespaces: the record server with a real Samba, the ward, and between them the gateway where the hub runs with its
//! wall. A second test looks at the same share where it is mounted: by FUSE, since not every kernel has cifs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::BINARY;

const SERVER: &str = "198.51.100.2";
const WARD: &str = "203.0.113.2";
const PASSWORD: &str = "only for this test";
const PATIENCE: Duration = Duration::from_secs(60);

fn must(program: &str, words: &[&str]) {
    let out = Command::new(program).args(words).output().unwrap();
    assert!(out.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A process with all that it starts, in a group of its own; dropped, the group ends.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Group {
        use std::os::unix::process::CommandExt;
        Group(command.process_group(0).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

/// What a process says, line by line.
struct Lines {
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Lines {
    fn of(child: &mut Child) -> Lines {
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Lines { lines, seen: Vec::new() }
    }

    fn wait_for(&mut self, kind: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if line["type"] == kind {
                return Some(line);
            }
        }
    }
}

/// Server, gateway and ward; dropped, they are gone.
struct Hospital {
    dir: TempDir,
    names: [String; 3],
    samba: Option<Group>,
}

impl Hospital {
    fn make(test: &str, tools: &[&str]) -> Option<Hospital> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "smbd", "smbpasswd", "smbclient", "python3"].iter().chain(tools) {
            testkit::tool(test, tool)?;
        }
        let own = std::process::id();
        let names = ["server", "gateway", "ward"].map(|part| format!("cut{}-{own}-{part}", test.len()));
        let dir = TempDir::with_prefix("chartward-cutoff-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut hospital = Hospital { dir, names, samba: None };
        hospital.network();
        hospital.serve();
        Some(hospital)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn network(&self) {
        let [server, gateway, ward] = &self.names;
        for name in &self.names {
            must("ip", &["netns", "add", name]);
            must("ip", &["-n", name, "link", "set", "lo", "up"]);
        }
        for (name, own, gate) in [(server, SERVER, "198.51.100.1"), (ward, WARD, "203.0.113.1")] {
            let device = if name == server { "server" } else { "ward" };
            must(
                "ip",
                &[
                    "-n", gateway, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns",
                    name,
                ],
            );
            must("ip", &["-n", gateway, "addr", "add", &format!("{gate}/24"), "dev", device]);
            must("ip", &["-n", gateway, "link", "set", device, "up"]);
            must("ip", &["-n", name, "addr", "add", &format!("{own}/24"), "dev", "eth0"]);
            must("ip", &["-n", name, "link", "set", "eth0", "up"]);
            must("ip", &["-n", name, "route", "add", "default", "via", gate]);
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        must("ip", &["netns", "exec", gateway, "sh", "-c", forward]);
    }

    /// A Samba on the server with a hospital's records.
    fn serve(&mut self) {
        let root = self.dir.path().display().to_string();
        for name in ["private", "lock", "state", "cache", "ncalrpc", "log"] {
            fs::create_dir(self.at(name)).unwrap();
        }
        must(BINARY, &["sample", "hospital", "--patients", "20", self.at("hospital").to_str().unwrap()]);
        fs::write(
            self.at("smb.conf"),
            format!(
                "[global]\nserver role = standalone server\nsmb ports = 445\ndisable netbios = yes\nload printers = no\n\
                 printcap name = /dev/null\nprivate dir = {root}/private\nlock directory = {root}/lock\nstate directory = {root}/state\n\
                 cache directory = {root}/cache\npid directory = {root}\nncalrpc dir = {root}/ncalrpc\nlog file = {root}/log/smbd.log\n\
                 passdb backend = tdbsam\nserver min protocol = SMB2_10\n\
                 [ssmix]\npath = {root}/hospital\nread only = no\nvalid users = root\nforce user = root\n"
            ),
        )
        .unwrap();
        let add = format!("printf '{PASSWORD}\\n{PASSWORD}\\n' | smbpasswd -c {root}/smb.conf -a -s root");
        must("sh", &["-c", &add]);
        fs::write(self.at("account"), format!("username=root\npassword={PASSWORD}\n")).unwrap();
        fs::set_permissions(self.at("account"), fs::Permissions::from_mode(0o600)).unwrap();
        let smb_conf = format!("{root}/smb.conf");
        let words = ["smbd", "--foreground", "--no-process-group", "-s", &smb_conf];
        self.samba = Some(Group::start(self.inside(0).args(words).stdout(Stdio::null())));
        until("Samba answers", || self.ward_lists().then_some(()));
    }

    /// A command in one of the namespaces: 0 the server, 1 the gateway, 2 the ward.
    fn inside(&self, place: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[place]]);
        command
    }

    fn smbclient(&self, order: &str) -> Command {
        let mut command = self.inside(2);
        command
            .args(["timeout", "5", "smbclient", &format!("//{SERVER}/ssmix"), "-A"])
            .arg(self.at("account"));
        command.args(["-c", order]).current_dir(self.dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn ward_lists(&self) -> bool {
        self.smbclient("ls").status().unwrap().success()
    }

    /// The ward's computer fetches records, turns each into noise with a seeded stream and puts it back, all over SMB.
    fn encrypt(&self) -> Group {
        let records = crate::support::files(&self.at("hospital")).into_keys();
        let list: String = records.map(|path| format!("{}\n", path.display())).collect();
        fs::write(self.at("list"), list).unwrap();
        let script = format!(
            "import os,random,subprocess,sys\nd=sys.argv[1]\nassert os.path.isfile(d+'/smb.conf'), 'refused: no test made this'\n\
             for n, f in enumerate(open(d+'/list').read().split('\\n')):\n\
             \x20if not f: break\n\
             \x20def smb(order): return subprocess.run(['timeout','5','smbclient','//{SERVER}/ssmix','-A',d+'/account','-c',order],cwd=d).returncode\n\
             \x20if smb('get \"%s\" plain' % f): sys.exit(1)\n\
             \x20b=open(d+'/plain','rb').read(); k=random.Random(f).randbytes(len(b))\n\
             \x20open(d+'/noise','wb').write(bytes(x^y for x,y in zip(b,k)))\n\
             \x20if smb('put noise \"%s\"' % f): sys.exit(1)\n"
        );
        let mut command = self.inside(2);
        Group::start(command.args(["python3", "-c", &script]).arg(self.dir.path()).stdout(Stdio::null()))
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Hospital {
    fn drop(&mut self) {
        self.samba.take();
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
        }
    }
}

#[test]
fn encryption_over_a_share_is_seen_from_outside_and_the_server_is_cut_off_until_it_is_undone() {
    let Some(hospital) = Hospital::make("encryption_over_a_share_is_seen", &[]) else { return };
    let (state, config) = (hospital.at("hub"), hospital.at("chartward.toml"));
    let account = hospital.at("account");
    fs::write(
        &config,
        format!(
            "hospital = \"試験病院\"\nstate = {state:?}\n[console]\nlisten = \"127.0.0.1:0\"\ntls = false\n[wall]\ncommand = [\"nft\"]\n\
             [[watch]]\nname = \"records\"\nuser = \"root\"\nshare = {{ path = \"//{SERVER}/ssmix\", credentials = {account:?}, canary_every = \"1s\", \
             look_every = \"2s\" }}\n\
             [[playbook]]\nname = \"share\"\nwatchers = [\"share\"]\ndetectors = [\"encryption.*\"]\n\
             acts = [{{ act = \"isolate_host\", of = \"target\" }}]\napproval = \"none\"\n"
        ),
    )
    .unwrap();
    let mut command = hospital.inside(1);
    command.args([BINARY, "up", "--json", "--config"]).arg(&config).stdout(Stdio::piped());
    let mut hub = Group::start(&mut command);
    let mut lines = Lines::of(&mut hub.0);
    assert!(lines.wait_for("ready", PATIENCE).is_some(), "the hub does not start");
    let ask = |words: &[&str]| -> Value {
        let run =
            crate::support::run(Command::new(BINARY).args(words).arg("--json").arg("--state").arg(&state));
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        run.lines.first().cloned().unwrap_or_default()
    };
    ask(&["act", "arm", "isolate_host", "share"]);
    until("the share is watched", || {
        let run = crate::support::run(
            Command::new(BINARY).args(["incident", "list", "--json", "--state"]).arg(&state),
        );
        (run.code == 0 && state.join("watch/records/control.sock").exists()).then_some(())
    });
    // The first look has to be over before there is anything to compare with.
    thread::sleep(Duration::from_secs(3));
    assert!(hospital.ward_lists());
    let before = crate::support::files(&hospital.at("hospital"));
    let mut attack = hospital.encrypt();
    let measure = until("the server is cut off", || {
        let run = crate::support::run(
            Command::new(BINARY).args(["act", "list", "--all", "--json", "--state"]).arg(&state),
        );
        let all = run.lines.into_iter().map(|line| line["countermeasure"].clone());
        all.into_iter().find(|it| it["act"]["act"] == "isolate_host" && it["state"] == "applied")
    });
    assert_eq!(measure["act"]["address"], SERVER, "{measure:#}");
    assert!(!hospital.ward_lists(), "the ward still reaches the server");
    let status = until("the attack ends", || attack.0.try_wait().unwrap());
    assert!(!status.success(), "the attack went through to its end");
    let after = crate::support::files(&hospital.at("hospital"));
    let lost = before.iter().filter(|(path, content)| after.get(*path) != Some(content)).count();
    assert!((1..before.len() / 2).contains(&lost), "{lost} of {} files", before.len());
    ask(&["act", "undo", &measure["id"].to_string()]);
    assert!(hospital.ward_lists(), "after the undo the ward does not reach the server");
}

/// The share, mounted in the gateway's network by a FUSE program; dropped, it is unmounted.
struct Mount {
    at: PathBuf,
    _program: Group,
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
    }
}

fn mount(hospital: &Hospital) -> Mount {
    let (at, conf) = (hospital.at("mnt"), hospital.at("smbnetfs.conf"));
    fs::create_dir(&at).unwrap();
    fs::write(&conf, format!("auth {SERVER} root \"{PASSWORD}\"\nfree_space_blocks_count 0\n")).unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o600)).unwrap();
    // `ip netns exec` would mount in a namespace of its own.
    let net = format!("--net=/run/netns/{}", hospital.names[1]);
    let mut command = Command::new("nsenter");
    command.args([&net, "smbnetfs", "-f", "-o"]).arg(format!("config={}", conf.display())).arg(&at);
    let program = Group::start(command.env("HOME", hospital.dir.path()).stdout(Stdio::null()));
    let mount = Mount { at, _program: program };
    until("the share is mounted", || {
        mount.share().join("storage").parent().map(Path::read_dir)?.ok().map(drop)
    });
    mount
}

impl Mount {
    fn share(&self) -> PathBuf {
        self.at.join(SERVER).join("ssmix")
    }
}

#[test]
fn a_mounted_share_is_watched_and_one_whose_server_is_gone_is_missed() {
    let test = "a_mounted_share_is_watched";
    let Some(mut hospital) = Hospital::make(test, &["smbnetfs", "nsenter"]) else { return };
    let mounted = mount(&hospital);
    let mut command = Command::new(BINARY);
    command.arg("share").arg(mounted.share()).args([
        "--json",
        "--plant",
        "--canary-interval",
        "1",
        "--look-interval",
        "2",
    ]);
    command.args(["--address", SERVER, "--state"]).arg(hospital.at("watch")).stdout(Stdio::piped());
    let mut watch = Group::start(&mut command);
    let mut lines = Lines::of(&mut watch.0);
    let ready = lines.wait_for("ready", PATIENCE).expect("the watch is never ready");
    assert!(ready["files"].as_u64().unwrap() > 20 && ready["canaries"] == 3, "{ready}");
    for (field, part) in [("lost_at_most", "at most the RPO"), ("lost_at_most_ja", "最大でも")] {
        assert!(ready[field].as_str().unwrap().contains(part), "{ready}");
    }
    assert!(hospital.at("hospital/!00").exists(), "the decoys do not lie on the server");
    let attack = hospital.encrypt();
    let finding = lines.wait_for("finding", PATIENCE).expect("nothing is seen");
    assert_eq!(finding["detector"], "encryption.share");
    assert!(finding.to_string().contains(SERVER), "the address that can be cut off is not told: {finding}");
    drop(attack);
    hospital.samba.take();
    let missed = lines.wait_for("missed", PATIENCE).expect("nobody says that the share is gone");
    assert_eq!(missed["answers"], false);
}

#[test]
fn a_folder_that_is_no_longer_the_mount_is_not_taken_for_an_emptied_share() {
    let test = "a_folder_that_is_no_longer_the_mount";
    if !testkit::root(test) {
        return;
    }
    let dir = TempDir::with_prefix("chartward-cutoff-").unwrap();
    let at = dir.path().join("mnt");
    fs::create_dir(&at).unwrap();
    must("mount", &["-t", "tmpfs", "chartward-test", at.to_str().unwrap()]);
    for number in 0..40 {
        fs::write(at.join(format!("{number}.csv")), format!("id,value\r\n{number},7\r\n").repeat(40))
            .unwrap();
    }
    let mut command = Command::new(BINARY);
    command.arg("share").arg(&at).args([
        "--json",
        "--canary-interval",
        "0.3",
        "--look-interval",
        "0.5",
        "--state",
    ]);
    let mut watch = Group::start(command.arg(dir.path().join("watch")).stdout(Stdio::piped()));
    let mut lines = Lines::of(&mut watch.0);
    let ready = lines.wait_for("ready", PATIENCE);
    let unmounted = rustix::mount::unmount(&at, rustix::mount::UnmountFlags::DETACH);
    assert_eq!(ready.expect("the watch is never ready")["files"], 40);
    unmounted.unwrap();
    let missed = lines.wait_for("missed", PATIENCE).expect("an unmounted share is taken for an empty one");
    assert_eq!(missed["answers"], false);
    assert!(
        !lines.seen.iter().any(|line| line["type"] == "look" && line["removed"] != 0),
        "{:?}",
        lines.seen
    );
}
