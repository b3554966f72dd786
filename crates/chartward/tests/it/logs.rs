//! The watcher of logs: real files, a real logger, kills.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::evtx as made;

const PATIENCE: Duration = Duration::from_secs(40);

/// A watcher that ends with the test.
struct Watcher {
    child: Child,
    lines: Receiver<Value>,
}

impl Watcher {
    fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_in(dir, args, None)
    }

    /// With programs of that folder in place of the machine's.
    fn start_in(dir: &Path, args: &[&str], programs: Option<&Path>) -> Self {
        let state = dir.join("state");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chartward"))
            .arg("logs")
            .args(args)
            .args(["--json", "--zone", "UTC", "--end-with-parent", "--state"])
            .arg(&state)
            .current_dir(dir)
            .env("PATH", programs.map_or(path.clone(), |bin| format!("{}:{path}", bin.display())))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    fn until(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the watcher said nothing of it");
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Asks it to end, and waits until it has said so.
    fn stop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.until(|line| line["type"] == "stopped");
        self.child.wait().unwrap();
    }

    fn ready(&self) -> Value {
        self.until(|line| line["type"] == "ready")
    }

    fn guessed(&self, from: &str) -> Value {
        self.until(|line| line["type"] == "finding" && line["src_endpoint"]["ip"] == from)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(from: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%b %e %H:%M:%S");
    format!("{now} emr1 sshd[77]: Failed password for root from {from} port 5 ssh2")
}

fn append(path: &Path, lines: &[String]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

#[test]
fn a_guess_is_told_through_rotation_and_counts_once_over_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    fs::write(&log, "").unwrap();
    let mut watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    append(&log, &vec![failure("198.51.100.7"); 8]);
    // Places are put on the disk every five seconds.
    let state = dir.path().join("state/logs/state.json");
    let until = Instant::now() + PATIENCE;
    while !fs::read_to_string(&state).is_ok_and(|text| text.contains("auth.log")) {
        assert!(Instant::now() < until, "nothing was kept");
        std::thread::sleep(Duration::from_millis(100));
    }
    watcher.child.kill().unwrap();
    watcher.child.wait().unwrap();
    // While nobody watches: the rest of the guess, and a rotation.
    append(&log, &vec![failure("198.51.100.7"); 4]);
    fs::rename(&log, dir.path().join("auth.log.1")).unwrap();
    append(&log, &vec![failure("203.0.113.9"); 12]);
    let watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    watcher.guessed("198.51.100.7");
    watcher.guessed("203.0.113.9");
}

#[test]
fn what_logger_sends_over_datagrams_and_streams_is_judged() {
    let Some(logger) = testkit::tool("syslog of logger", "logger") else { return };
    let dir = tempfile::tempdir().unwrap();
    let watcher =
        Watcher::start(dir.path(), &["--syslog", "udp://127.0.0.1:0", "--syslog", "tcp://127.0.0.1:0"]);
    let ready = watcher.ready();
    for (door, flag, from) in [(0, "--udp", "198.51.100.7"), (1, "--tcp", "203.0.113.9")] {
        let port = ready["paths"][door].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        for number in 0..12 {
            let text = format!("Failed password for root from {from} port {number} ssh2");
            let sent = Command::new(&logger)
                .args([flag, "--server", "127.0.0.1", "--port", &port, "--tag", "sshd", "--id=77", &text])
                // Only a stream is cut by counts.
                .args((flag == "--tcp").then_some("--octet-count"))
                .status();
            assert!(sent.unwrap().success());
        }
        watcher.guessed(from);
    }
}

#[test]
fn rules_hold_for_text_logs_and_are_read_anew_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let (log, rules) = (dir.path().join("auth.log"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    let rule = |title: &str, word: &str| {
        format!(
            "title: {title}\nid: 5f2e3f0e-6a3c-4a43-9a8e-2f4f6c2f9a01\nauthor: Example\nlevel: high\nlogsource:\n    product: linux\n    service: sshd\n\
             detection:\n    keywords:\n        - '{word}'\n    condition: keywords\n"
        )
    };
    fs::write(rules.join("one.yml"), rule("First", "rexec line 9")).unwrap();
    fs::write(&log, "").unwrap();
    let watcher = Watcher::start(dir.path(), &["auth.log", "--rules", "rules", "--no-own-rules"]);
    assert_eq!(watcher.ready()["rules"], 1);
    let line = |text: &str| format!("Nov  1 00:00:00 emr1 sshd[7]: {text}");
    append(&log, &[line("rexec line 9: bad")]);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!(
        (&hit["sigma"]["author"], &hit["finding_info"]["title"]),
        (&"Example".into(), &"First".into())
    );
    fs::write(rules.join("one.yml"), rule("Second", "line 10")).unwrap();
    watcher.until(|line| line["type"] == "rules");
    append(&log, &[line("rexec line 10: bad")]);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!(hit["finding_info"]["title"], "Second");
}

#[test]
fn a_scan_says_what_it_read_and_what_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    append(&log, &vec![failure("198.51.100.7"); 20]);
    append(&log, &["gibberish".to_owned()]);
    let out = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["scan", "logs", "--json", "--zone", "UTC"])
        .args([&log, &dir.path().join("missing")])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<Value> = out
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["lines"], &summary["unknown"]),
        (&"summary".into(), &21.into(), &1.into())
    );
    assert_eq!((&summary["failed"], &summary["formats"]["sshd"]), (&1.into(), &20.into()));
    assert!(lines.iter().any(|line| line["src_endpoint"]["ip"] == "198.51.100.7"), "{lines:?}");
}

/// A Windows log with records of these numbers: shadow copies are deleted in each.
fn windows_log(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let now = jiff::Timestamp::now();
    let data = [
        ("NewProcessName", r"C:\Windows\System32\vssadmin.exe"),
        ("CommandLine", "vssadmin delete shadows /all /quiet"),
    ];
    let (channel, provider) = ("Security", "Microsoft-Windows-Security-Auditing");
    let event = made::event(channel, provider, 4688, "EMR01", &now.to_string(), &data);
    let record = |number| made::Record { number, at: now.as_microsecond(), event: event.clone() };
    made::file(&numbers.map(record).collect::<Vec<_>>())
}

#[test]
fn a_windows_log_is_followed_from_where_it_was_and_rules_come_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("Security.evtx");
    // In place, as the server writes it.
    let write = |numbers| {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&log).unwrap();
        file.write_all(&windows_log(numbers)).unwrap();
    };
    write(1..=2);
    let mut watcher = Watcher::start(dir.path(), &["Security.evtx"]);
    let ready = watcher.ready();
    assert!(ready["rules"].as_u64().unwrap() > 10, "{ready}");
    let covers = ready["covers"].as_array().unwrap();
    assert!(covers.contains(&"backup.sigma".into()), "{ready}");
    assert!(!covers.contains(&"bruteforce.sigma".into()), "rules on guessing are left out: {ready}");
    assert_eq!(
        ready["blind_spots"].as_array().unwrap().len(),
        ready["blind_spots_ja"].as_array().unwrap().len()
    );
    write(1..=3);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!((&hit["sigma"]["record"], &hit["sigma"]["author"]), (&3.into(), &"Chartward".into()));
    assert!(covers.contains(&hit["detector"]), "{hit}");
    let state = dir.path().join("state/logs/state.json");
    let until = Instant::now() + PATIENCE;
    while !fs::read_to_string(&state).is_ok_and(|text| text.contains("\"record\":3")) {
        assert!(Instant::now() < until, "nothing was kept");
        std::thread::sleep(Duration::from_millis(100));
    }
    watcher.child.kill().unwrap();
    watcher.child.wait().unwrap();
    write(1..=4);
    let watcher = Watcher::start(dir.path(), &["Security.evtx"]);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!(hit["sigma"]["record"], 4);
}

#[test]
fn what_came_while_nobody_watched_is_judged_where_nothing_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // A journal that was quiet; it notes how it was asked.
    let journal = format!(
        "#!/bin/sh\necho \"$@\" >> {}\ncase \"$1\" in --lines=1) echo '{{\"__CURSOR\":\"s=7\"}}';; *) exec sleep 60;; esac\n",
        dir.path().join("asked").display()
    );
    fs::write(bin.join("journalctl"), journal).unwrap();
    fs::set_permissions(bin.join("journalctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let (text, windows) = (dir.path().join("auth.log"), dir.path().join("Security.evtx"));
    append(&text, &vec![failure("192.0.2.1"); 12]);
    fs::write(&windows, windows_log(1..=2)).unwrap();
    let start = || Watcher::start_in(dir.path(), &["auth.log", "Security.evtx", "--journal"], Some(&bin));
    let mut watcher = start();
    watcher.ready();
    watcher.stop();
    append(&text, &vec![failure("198.51.100.7"); 12]);
    let mut file = OpenOptions::new().write(true).open(&windows).unwrap();
    file.write_all(&windows_log(1..=3)).unwrap();
    let watcher = start();
    let mut told = [false; 2];
    while told != [true; 2] {
        let finding = watcher.until(|line| line["type"] == "finding");
        assert_ne!(finding["src_endpoint"]["ip"], "192.0.2.1", "what stood there before is not judged");
        told[0] |= finding["src_endpoint"]["ip"] == "198.51.100.7";
        told[1] |= finding["sigma"]["record"] == 3;
    }
    let asked = fs::read_to_string(dir.path().join("asked")).unwrap();
    assert_eq!(asked.matches("--after-cursor=s=7").count(), 2, "{asked}");
}

#[test]
fn it_ends_while_others_go_on_sending() {
    let dir = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::start(dir.path(), &["--syslog", "tcp://127.0.0.1:0"]);
    let ready = watcher.ready();
    let at = ready["paths"][0].as_str().unwrap().strip_prefix("tcp://").unwrap().to_owned();
    for _ in 0..4 {
        let mut stream = std::net::TcpStream::connect(&at).unwrap();
        let lines = (failure("198.51.100.7") + "\n").repeat(1_000);
        std::thread::spawn(move || while stream.write_all(lines.as_bytes()).is_ok() {});
    }
    watcher.guessed("198.51.100.7");
    watcher.stop();
}

#[test]
fn pages_show_what_came_last() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    fs::write(&log, "").unwrap();
    let watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    let shown = dir.path().join("state/logs/shown.json");
    let until = Instant::now() + 2 * PATIENCE;
    // The second one comes while pages were given something a moment ago.
    for from in ["198.51.100.7", "203.0.113.9"] {
        append(&log, &[failure(from)]);
        while !fs::read_to_string(&shown).is_ok_and(|text| text.contains(from)) {
            assert!(Instant::now() < until, "{from} is not shown");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn what_is_opened_for_a_contractor_reaches_the_watcher_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    fs::write(&log, "").unwrap();
    let config = dir.path().join("chartward.toml");
    fs::write(
        &config,
        "[[logins.contractor]]\nname = \"vendor-a\"\naccounts = [\"vendor-a\"]\nonly_when_granted = true\n",
    )
    .unwrap();
    let watcher = Watcher::start(dir.path(), &["auth.log", "--config", "chartward.toml"]);
    watcher.ready();
    let access = |words: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_chartward"))
            .arg("access")
            .args(words)
            .args(["--json", "--config", "chartward.toml", "--state", "state"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let logs_in = |host: &str| {
        let now = jiff::Timestamp::now().strftime("%b %e %H:%M:%S");
        append(
            &log,
            &[format!("{now} {host} sshd[9]: Accepted publickey for vendor-a from 198.51.100.7 port 5 ssh2")],
        );
    };
    access(&["grant", "vendor-a", "--hours", "2", "--reason", "ticket 4711"]);
    // It looks once a second.
    std::thread::sleep(Duration::from_secs(3));
    logs_in("emr1");
    append(&log, &vec![failure("203.0.113.9"); 12]);
    let is_told =
        |line: &Value| line["detector"] == "contract.login" || line["detector"] == "bruteforce.login_source";
    let first = watcher.until(is_told);
    assert_eq!(first["src_endpoint"]["ip"], "203.0.113.9", "what was opened is not told: {first}");
    access(&["revoke", "1"]);
    std::thread::sleep(Duration::from_secs(3));
    logs_in("emr2");
    let told =
        watcher.until(|line| line["type"] == "finding" && line["src_endpoint"]["ip"] == "198.51.100.7");
    assert_eq!(told["detector"], "contract.login", "{told}");
}

/// rsyslog writes, logrotate rotates both ways, and every line counts once.
#[test]
fn rsyslog_and_logrotate_lose_nothing() {
    let test = "rsyslog_and_logrotate_lose_nothing";
    if !testkit::root(test) {
        return;
    }
    let tools = ["rsyslogd", "logrotate", "logger"].map(|tool| testkit::tool(test, tool));
    let [Some(rsyslogd), Some(logrotate), Some(logger)] = tools else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(
        path("rsyslog.conf"),
        format!(
            "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\")\n\
             action(type=\"omfile\" File=\"{}\")\n",
            path("log.sock"),
            path("auth.log")
        ),
    )
    .unwrap();
    let mut server = Command::new(rsyslogd)
        .args(["-n", "-f", &path("rsyslog.conf"), "-i", &path("pid")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wait = |what: &str, is_it: &dyn Fn() -> bool| {
        let until = Instant::now() + PATIENCE;
        while !is_it() {
            assert!(Instant::now() < until, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("rsyslog has no socket", &|| {
        Path::new(&path("log.sock")).exists() && Path::new(&path("pid")).exists()
    });
    fs::write(path("auth.log"), "").unwrap();
    let watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    let lines = |count: u64| {
        let text = "Failed password for root from 198.51.100.7 port 5 ssh2";
        for _ in 0..count {
            let mut command = Command::new(&logger);
            command.args(["-u", &path("log.sock"), "--tag", "sshd", "--id=77", text]);
            assert!(command.status().unwrap().success());
        }
    };
    let rotate = |ways: &str| {
        let config = format!(
            "{} {{\n rotate 5\n {ways}\n postrotate\n  kill -HUP $(cat {})\n endscript\n}}\n",
            path("auth.log"),
            path("pid")
        );
        fs::write(path("logrotate.conf"), config).unwrap();
        let run = Command::new(&logrotate)
            .args(["--force", "--state", &path("status"), &path("logrotate.conf")])
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let written = |count: u64| {
        wait("rsyslog wrote nothing", &|| {
            let all = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path());
            let logs = all.filter(|path| path.to_string_lossy().contains("auth.log"));
            let text = |path: std::path::PathBuf| {
                let bytes = fs::read(&path).unwrap_or_default();
                let mut text = String::new();
                if bytes.starts_with(&[0x1f, 0x8b]) {
                    let read = flate2::read::GzDecoder::new(&bytes[..]);
                    let _ = std::io::Read::read_to_string(&mut { read }, &mut text);
                    text
                } else {
                    String::from_utf8_lossy(&bytes).into_owned()
                }
            };
            logs.map(|path| text(path).matches("Failed password").count() as u64).sum::<u64>() >= count
        });
        // A file that comes and goes between two looks is nobody's.
        std::thread::sleep(Duration::from_millis(500));
    };
    lines(3);
    written(3);
    rotate("nocreate\n nocompress");
    lines(3);
    written(6);
    rotate("copytruncate\n compress");
    lines(3);
    written(9);
    rotate("create 0640\n compress\n delaycompress");
    lines(1);
    let finding = watcher.guessed("198.51.100.7");
    let reasons = finding["finding_info"].to_string();
    let health = watcher.until(|line| line["type"] == "health" && line["lines"].as_u64() >= Some(10));
    assert_eq!((&health["events"], &health["lost"]), (&10.into(), &0.into()), "{health} {reasons}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// An ordinary day, made up: people log in by RDP and SSH and mistype now and then, services and backups run, an administrator works.
fn ordinary_day(dir: &Path) {
    let day: jiff::Timestamp = "2026-11-04T00:00:00Z".parse().unwrap();
    let (mut ssh, mut windows) = (Vec::new(), Vec::new());
    let mut event = |second: i64, host: &str, id: u32, data: &[(&str, &str)]| {
        let at = day + jiff::SignedDuration::from_secs(second);
        let data: serde_json::Map<String, Value> =
            data.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        windows.push((
            second,
            serde_json::json!({
                "@timestamp": at.to_string(),
                "winlog": {
                    "channel": "Security", "event_id": id.to_string(), "computer_name": host,
                    "provider_name": "Microsoft-Windows-Security-Auditing", "event_data": data,
                },
            })
            .to_string(),
        ));
    };
    for person in 0..60_i64 {
        let (name, from) = (format!("staff{person:02}"), format!("10.1.2.{}", 10 + person));
        let begins = 8 * 3600 + person * 97;
        // Every fifth mistypes once or twice.
        for slip in 0..(person % 5 - 2).max(0) {
            let data = [
                ("TargetUserName", &*name),
                ("IpAddress", &from),
                ("LogonType", "10"),
                ("SubStatus", "0xc000006a"),
            ];
            event(begins + slip * 7, "emr01", 4625, &data);
        }
        for (after, kind) in [(30, "10"), (90, "3"), (4 * 3600, "7")] {
            let data = [("TargetUserName", &*name), ("IpAddress", &from), ("LogonType", kind)];
            event(begins + after, "emr01", 4624, &data);
        }
    }
    for turn in 0..288 {
        let data = [("TargetUserName", "svc-lab"), ("IpAddress", "10.1.3.5"), ("LogonType", "3")];
        event(turn * 300, "files01", 4624, &data);
    }
    for (second, image, line) in [
        (3600, "wbadmin.exe", "wbadmin start backup -backupTarget:E: -include:C: -quiet"),
        (3700, "vssadmin.exe", "vssadmin list shadows"),
        (36_000, "net.exe", "net user staff07 /domain"),
        (36_100, "sc.exe", "sc query WinDefend"),
        (36_200, "bcdedit.exe", "bcdedit /enum"),
        (36_300, "wevtutil.exe", "wevtutil qe Security /c:5 /f:text"),
        (36_400, "mstsc.exe", "mstsc /v:emr01"),
    ] {
        let image = format!(r"C:\Windows\System32\{image}");
        event(second, "adm01", 4688, &[("NewProcessName", &image), ("CommandLine", line)]);
    }
    for turn in 0..48_i64 {
        let at = |more: i64| (day + jiff::SignedDuration::from_secs(turn * 1800 + more)).to_string();
        if turn % 12 == 5 {
            ssh.push(format!("{} gate sshd[9]: Failed password for ops from 10.1.9.2 port 5 ssh2", at(0)));
        }
        ssh.push(format!("{} gate sshd[9]: Accepted publickey for ops from 10.1.9.2 port 5 ssh2", at(9)));
        ssh.push(format!("{} gate sshd[9]: Disconnected from user ops 10.1.9.2 port 5", at(600)));
    }
    windows.sort();
    let windows: Vec<String> = windows.into_iter().map(|(_, line)| line).collect();
    append(&dir.join("windows.jsonl"), &windows);
    append(&dir.join("auth.log"), &ssh);
}

/// What is told of level high and above.
fn high(path: &Path) -> (u64, Vec<String>) {
    let out = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["scan", "logs", "--json", "--zone", "UTC"])
        .arg(path)
        .output()
        .unwrap();
    let lines: Vec<Value> = out
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let loud = |line: &&Value| line["severity_id"].as_u64() >= Some(4);
    // One that grows is told again under its id.
    let told: std::collections::BTreeSet<String> = lines
        .iter()
        .filter(loud)
        .map(|line| format!("{} {}", line["finding_info"]["uid"], line["finding_info"]["title"]))
        .collect();
    (lines.last().unwrap()["events"].as_u64().unwrap(), told.into_iter().collect())
}

#[test]
fn an_ordinary_day_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    ordinary_day(dir.path());
    let (events, told) = high(dir.path());
    assert!(events > 500, "{events}");
    assert!(told.len() <= 1, "{told:#?}");
    let test = "an_ordinary_day_is_quiet (given logs)";
    for name in ["security.evtx", "post-Security.evtx", "system.evtx", "sysmon.evtx"] {
        let Some(log) = testkit::shared(test, &format!("logins/evtx-crate-mit/{name}")) else { return };
        let (_, told) = high(&log);
        assert!(told.len() <= 1, "{name}: {told:#?}");
    }
}
