//! `chartward telescope`: from packets to a quarter's report, what the responder hears, letters to owners.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{BINARY, Run, Site};

fn telescope(site: &Site, args: &[&str]) -> Run {
    let state = site.state();
    site.bare([&["telescope"], args, &["--state", &state]].concat())
}

/// A place that has observed both quarters of 2018.
fn observed(site: &Site) {
    let file = site.path().join("2018.pcap");
    fs::write(&file, testkit::telescope::capture(11, 0.5)).unwrap();
    let run = telescope(
        site,
        &["observe", "--sensor", "front", "--net", "198.51.100.0/28", "--json", file.to_str().unwrap()],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let summary = run.lines.last().unwrap();
    assert!(
        summary["packets"].as_u64() > Some(40_000) && summary["elsewhere"] == 0 && summary["lost"] == 0,
        "{summary}"
    );
}

const REPORT: [&str; 5] = ["report", "--quarter", "2018Q3", "--zone", "Asia/Tokyo"];

#[test]
fn the_third_quarter_of_2018_is_reported_from_its_packets() {
    let site = Site::new();
    observed(&site);
    let report = telescope(&site, &[&REPORT[..], &["--json"]].concat());
    assert_eq!(report.code, 0, "{}", report.stderr);
    let line = &report.lines[0];
    let top: Vec<(u64, u64, &str)> = line["ports"].as_array().unwrap()[..5]
        .iter()
        .map(|row| {
            (
                row["target"]["port"].as_u64().unwrap(),
                row["previous_rank"].as_u64().unwrap(),
                row["service"].as_str().unwrap(),
            )
        })
        .collect();
    let expected =
        [(23, 1, "telnet"), (445, 2, "microsoft-ds"), (80, 3, "http"), (8080, 6, "http-alt"), (22, 4, "ssh")];
    assert_eq!(top, expected);
    let surges = line["surges"].as_array().unwrap();
    assert_eq!((surges.len(), surges[0]["target"]["port"].as_u64()), (1, Some(445)), "{surges:?}");
    let onset: jiff::Timestamp = surges[0]["onset"].as_str().unwrap().parse().unwrap();
    assert!((onset.as_second() - testkit::telescope::ONSET).abs() <= 86_400, "{onset}");
    let nt5 = &line["ports"][1]["systems"][0];
    let share = |name: &str| nt5["share"][name].as_f64().unwrap();
    assert_eq!(nt5["family"], "nt5");
    assert!(share("low") < 0.8 && share("high") > 0.8 && (0.76..0.84).contains(&share("share")), "{nt5}");

    let (html, pdf) = (site.path().join("q.html"), site.path().join("q.pdf"));
    let files = ["--html", html.to_str().unwrap(), "--pdf", pdf.to_str().unwrap()];
    for (lang, expected) in [
        (
            "en",
            [
                "rose from 12 August 2018",
                "NT5 family (Windows 2000, XP, Server 2003)",
                "microsoft-ds",
                "Test: negative-binomial CUSUM",
            ],
        ),
        (
            "ja",
            [
                "2018年8月12日頃から増加",
                "NT5系（Windows 2000、XP、Server 2003）",
                "前四半期の順位",
                "跳ね返りパケット",
            ],
        ),
    ] {
        let run = telescope(&site, &[&REPORT[..], &files, &["--lang", lang]].concat());
        let page = fs::read_to_string(&html).unwrap();
        // The test says the day of the onset in words only where it was found on the day itself.
        let day = |text: &str| {
            text.replace("8月11日", "8月12日")
                .replace("8月13日", "8月12日")
                .replace("11 August", "12 August")
                .replace("13 August", "12 August")
        };
        for it in expected {
            assert!(day(&page).contains(it) && day(&run.stdout).contains(it), "{it}\n{}", run.stdout);
        }
        assert!(page.contains("<svg") && page.contains("polyline") && !page.contains("<script"));
        assert!(fs::read(&pdf).unwrap().starts_with(b"%PDF-"));
    }
    let csv = telescope(&site, &[&REPORT[..], &["--csv"]].concat()).stdout;
    assert!(
        csv.starts_with("rank,previous_rank,port,service") && csv.contains("\r\n1,1,23/tcp,telnet,"),
        "{}",
        &csv[..400]
    );
    // A report with its pages is what the documentation shows.
    if let Some(folder) = std::env::var_os("CHARTWARD_KEEP_REPORT") {
        for file in [&html, &pdf] {
            fs::copy(file, Path::new(&folder).join(file.file_name().unwrap())).unwrap();
        }
    }
    a_damaged_day_is_named_and_the_others_count(&site);
}

fn a_damaged_day_is_named_and_the_others_count(site: &Site) {
    let day = Path::new(&site.state()).join("telescope/days/2018/20180901.front.counts");
    let mut bytes = fs::read(&day).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&day, bytes).unwrap();
    let report = telescope(site, &[&REPORT[..], &["--json"]].concat());
    assert!(
        report.code == 1 && report.stderr.contains("20180901.front.counts"),
        "{} {}",
        report.code,
        report.stderr
    );
    assert_eq!(report.lines[0]["sensors"][0]["gap_count"], 1);
    assert_eq!(report.lines[0]["surges"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_read_is_named_and_what_was_never_observed_is_not_called_quiet() {
    let site = Site::new();
    let (bad, cut) = (site.path().join("bad.pcap"), site.path().join("cut.pcap"));
    fs::write(&bad, b"no capture").unwrap();
    let whole = testkit::telescope::capture(1, 0.02);
    fs::write(&cut, &whole[..whole.len() / 2 + 5]).unwrap();
    let run = telescope(
        &site,
        &["observe", "--sensor", "a", "--json", bad.to_str().unwrap(), cut.to_str().unwrap()],
    );
    assert!(
        run.code == 1 && run.stderr.contains("bad.pcap") && run.stderr.contains("cut.pcap"),
        "{}",
        run.stderr
    );
    assert!(run.lines.last().unwrap()["packets"].as_u64() > Some(1_000));
    let empty = telescope(&site, &["report", "--quarter", "2016Q1", "--lang", "en"]);
    assert!(empty.code == 0 && empty.stdout.contains("No sensor has left anything."), "{}", empty.stdout);
    for wrong in [
        &["report", "--quarter", "2018Q5"][..],
        &["report", "--quarter", "2999Q1"],
        &["observe", "--sensor", "../x", "y"],
    ] {
        assert_eq!(telescope(&site, wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn letters_are_drafted_and_tracked_to_a_reply_and_the_ledger_says_so() {
    let site = Site::new();
    observed(&site);
    let contacts = site.path().join("contacts.csv");
    fs::write(&contacts, "prefix,name,email\n198.18.0.0/17,Example Net,abuse@example.test\n").unwrap();
    // Addresses of 2018 are forgotten by the next observation, not by what reads them.
    let args = [
        "letters",
        "--from",
        "2018-08-12",
        "--to",
        "2018-08-14",
        "--zone",
        "Asia/Tokyo",
        "--packets-min",
        "2",
        "--json",
    ];
    let drafted = telescope(&site, &[&args[..], &["--contacts", contacts.to_str().unwrap()]].concat());
    assert_eq!(drafted.code, 0, "{}", drafted.stderr);
    let letter = &drafted.lines[0];
    assert_eq!((letter["id"].as_str(), letter["state"].as_str()), (Some("L-0001"), Some("draft")));
    assert!(letter["addresses"].as_u64() > Some(0));
    let folder = Path::new(&site.state()).join("telescope/letters/L-0001");
    for (name, expected) in [("letter.en.txt", "+09:00"), ("letter.ja.txt", "ご担当者様")] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(text.contains(expected) && text.contains("198.18."), "{text}");
    }
    let step = |what: &str, note: &str| {
        telescope(&site, &["letters", what, "L-0001", "--by", "sato", "--note", note, "--json"])
    };
    assert_eq!(step("sent", "").code, 2, "nothing is sent unapproved");
    assert_eq!(step("approve", "").code, 0);
    assert_eq!(step("sent", "by post").code, 0);
    assert_eq!(step("reply", "antivirus found malware").lines[0]["state"], "replied");
    let listed = telescope(&site, &["letters", "list", "--lang", "en"]);
    assert!(
        listed.stdout.contains("antivirus found malware") && listed.stdout.contains("answered"),
        "{}",
        listed.stdout
    );
    let ledger = fs::read_to_string(Path::new(&site.state()).join("ledger.jsonl")).unwrap();
    let states: Vec<Value> = ledger
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fact"].clone())
        .filter(|fact| fact["kind"] == "letter_changed")
        .map(|fact| fact["state"].clone())
        .collect();
    assert_eq!(states, ["draft", "approved", "sent", "replied"]);
    let shown = telescope(&site, &["letters", "show", "L-0001", "--lang", "ja"]);
    assert!(shown.stdout.contains("件名：【L-0001】"), "{}", shown.stdout);
}

/// A mail server for one mail: who it is for, and its lines.
fn mail_server() -> (u16, std::thread::JoinHandle<(Vec<String>, String)>) {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let (mut lines, mut answers) = (BufReader::new(stream.try_clone().unwrap()).lines(), stream);
        let (mut receivers, mut mail, mut in_data) = (Vec::new(), String::new(), false);
        answers.write_all(b"220 mail.example.test\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            let answer: &[u8] = match line.as_str() {
                "." if in_data => {
                    in_data = false;
                    b"250 2.0.0 Ok: queued as 4Yk2\r\n"
                }
                _ if in_data => {
                    mail.push_str(&line);
                    mail.push('\n');
                    continue;
                }
                "DATA" => {
                    in_data = true;
                    b"354 go on\r\n"
                }
                "QUIT" => break,
                other => {
                    receivers.extend(other.strip_prefix("RCPT TO:").map(str::to_owned));
                    b"250 Ok\r\n"
                }
            };
            answers.write_all(answer).unwrap();
        }
        (receivers, mail)
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn an_approved_letter_is_mailed_once_to_whom_a_person_names_and_never_before() {
    let site = Site::new();
    observed(&site);
    let contacts = site.path().join("contacts.csv");
    fs::write(&contacts, "prefix,name,email\n198.18.0.0/17,Example Net,trap@example.test\n").unwrap();
    let args = ["letters", "--from", "2018-08-12", "--to", "2018-08-14", "--packets-min", "2", "--json"];
    let drafted = telescope(&site, &[&args[..], &["--contacts", contacts.to_str().unwrap()]].concat());
    assert_eq!(drafted.code, 0, "{}", drafted.stderr);
    let (port, served) = mail_server();
    let config = site.path().join("chartward.toml");
    let text = format!(
        "hospital = \"Test\"\n[vault]\ndir = \"/nowhere\"\npassphrase = {{ file = \"/nowhere/pass\" }}\n\
         [[notify]]\nname = \"duty\"\n\
         smtp = {{ server = \"127.0.0.1\", port = {port}, tls = \"none\", from = \"it@hospital.example\", to = [\"duty@hospital.example\"] }}\n"
    );
    fs::write(&config, text).unwrap();
    let send = |to: &[&str]| {
        let to: Vec<&str> = to.iter().flat_map(|to| ["--to", *to]).collect();
        let config = ["--config", config.to_str().unwrap(), "--by", "sato", "--json"];
        telescope(&site, &[&["letters", "send", "L-0001"][..], &to, &config].concat())
    };
    assert_eq!(send(&["abuse@example.test"]).code, 2, "nobody has read it");
    assert_eq!(telescope(&site, &["letters", "approve", "L-0001", "--by", "mori"]).code, 0);
    assert_eq!(send(&[]).code, 2, "it goes to nobody by itself");
    assert_eq!(send(&["no address"]).code, 2);
    let sent = send(&["abuse@example.test", "noc@example.test"]);
    assert_eq!((sent.code, sent.lines[0]["state"].as_str()), (0, Some("sent")), "{}", sent.stderr);
    assert_eq!(send(&["abuse@example.test"]).code, 2, "it goes out once");
    let (receivers, mail) = served.join().unwrap();
    assert_eq!(receivers, ["<abuse@example.test>", "<noc@example.test>"]);
    assert!(mail.contains("Subject: [L-0001] Scanning packets") && !mail.contains("trap@"), "{mail}");
    let ledger = fs::read_to_string(Path::new(&site.state()).join("ledger.jsonl")).unwrap();
    let last: Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
    let fact = &last["fact"];
    assert_eq!((&fact["state"], &fact["by"]), (&Value::from("sent"), &Value::from("sato")));
    assert!(fact["note"].as_str().unwrap().contains("queued as 4Yk2"), "{fact}");
}

/// The responder, ended with the test.
struct Responder {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    ready: Value,
}

impl Responder {
    fn start(site: &Site) -> Responder {
        let mut command = Command::new(BINARY);
        command.args([
            "telescope",
            "respond",
            "--listen",
            "127.0.0.1:0",
            "--sensor",
            "front",
            "--json",
            "--state",
            &site.state(),
        ]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut responder = Responder { child, lines, ready: Value::Null };
        responder.ready = responder.next();
        assert_eq!(responder.ready["type"], "ready");
        responder
    }

    fn port(&self) -> u16 {
        self.ready["listen"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// As an operator ends it.
    fn end(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let ends = Instant::now() + Duration::from_secs(30);
        while Instant::now() < ends {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the responder does not end");
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Negotiate and the first Session Setup as Server 2003 sends them.
fn like_server_2003(port: u16) {
    let framed =
        |message: Vec<u8>| [&[0, 0, (message.len() >> 8) as u8, message.len() as u8][..], &message].concat();
    let header = |command: u8| {
        [
            &[0xff, b'S', b'M', b'B', command, 0, 0, 0, 0, 0x18, 0x07, 0xc8][..],
            &[0; 12],
            &[0, 0, 0xff, 0xfe, 0, 0, 1, 0],
        ]
        .concat()
    };
    let negotiate = [header(0x72), vec![0, 12, 0], b"\x02NT LM 0.12\0".to_vec()].concat();
    let mut blob = b"NTLMSSP\0\x01\0\0\0".to_vec();
    blob.extend(0xe208_b2b7u32.to_le_bytes());
    blob.extend([0; 16]);
    blob.extend([5, 2, 0xce, 0x0e, 0, 0, 0, 15]);
    let set_up = [
        header(0x73),
        vec![
            12,
            0xff,
            0,
            0,
            0,
            4,
            0x11,
            50,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            blob.len() as u8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ],
        vec![blob.len() as u8, 0],
        blob,
    ]
    .concat();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for (message, command) in [(negotiate, 0x72), (set_up, 0x73)] {
        stream.write_all(&framed(message)).unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        assert_eq!((&head[4..8], head[8]), (&b"\xffSMB"[..], command));
        let mut rest = vec![0; (usize::from(head[2]) << 8 | usize::from(head[3])) - 5];
        stream.read_exact(&mut rest).unwrap();
    }
}

#[test]
fn the_responder_hears_server_2003_out_of_its_sandbox_and_the_report_tells_it() {
    let site = Site::new();
    let mut responder = Responder::start(&site);
    let confined = &responder.ready["confined"];
    let pid = confined["pid"].as_u64().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line) || !rustix_is_root(), "{line} is not in {status}");
    }
    like_server_2003(responder.port());
    let heard = responder.next();
    assert_eq!((heard["type"].as_str(), heard["source"].as_str()), (Some("heard"), Some("127.0.0.1")));
    assert_eq!((heard["version"]["build"].as_u64(), heard["forgeable"].as_bool()), (Some(3790), Some(true)));
    // It answers nothing else.
    let mut stream = TcpStream::connect(("127.0.0.1", responder.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(responder.end(), 0);
    let year = Path::new(&site.state())
        .join("telescope/days")
        .join(jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).year().to_string());
    let file = fs::read_dir(year).unwrap().flatten().next().unwrap().path();
    let lines = prove::observation::read(&fs::read(file).unwrap()).unwrap().1;
    assert!(String::from_utf8(lines).unwrap().contains("\"build\":3790"));
}

fn rustix_is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

#[test]
fn a_real_smb_client_is_answered_up_to_the_challenge() {
    const TEST: &str = "a_real_smb_client_is_answered_up_to_the_challenge";
    let Some(client) = testkit::tool(TEST, "smbclient") else { return };
    let site = Site::new();
    let mut responder = Responder::start(&site);
    let port = responder.port().to_string();
    for protocol in ["NT1", "SMB2_02", "SMB2_10"] {
        let out = Command::new(&client)
            .args(["-p", &port, "//127.0.0.1/share", "-U", "user%password", "-d", "5", "-t", "20"])
            .args([
                "--option=client min protocol=NT1",
                &format!("--option=client max protocol={protocol}"),
                "-c",
                "ls",
            ])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let said = [out.stdout, out.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // It read our CHALLENGE, answered it, and was hung up on.
        assert!(said.contains("FILES") || said.contains("challenge"), "{protocol}: {said}");
        assert!(!out.status.success(), "{protocol}: nobody is let in");
    }
    // Samba names a version of Windows for compatibility.
    let heard = responder.next();
    assert_eq!(
        (heard["type"].as_str(), heard["version"]["major"].as_u64()),
        (Some("heard"), Some(6)),
        "{heard}"
    );
    assert_eq!(responder.end(), 0);
}

#[test]
fn an_interface_is_counted_without_rights_and_its_own_answers_are_not() {
    use crate::sensor::net::{Net, inside};
    let Some(net) = Net::new("an_interface_is_counted_without_rights_and_its_own_answers_are_not") else {
        return;
    };
    let site = Site::new();
    let args = [
        "telescope",
        "observe",
        "--interface",
        "m0",
        "--net",
        "10.77.0.0/28",
        "--sensor",
        "live",
        "--json",
        "--state",
    ];
    let mut command = inside(&net.post, &[&[BINARY][..], &args, &[site.state().as_str()]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut observer = Responder { child, lines, ready: Value::Null };
    assert_eq!(observer.next()["type"], "ready");
    let status = fs::read_to_string(format!("/proc/{}/status", observer.child.id())).unwrap();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    // 10.77.0.1 refuses, which is its own answer; what it answers must not count as backscatter.
    let script = "import socket\nfor port in (445, 445, 23):\n    s = socket.socket(); s.settimeout(5); s.connect_ex(('10.77.0.1', port)); s.close()\n";
    let sent = net.ward(&["python3", "-c", script]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(observer.end(), 0);
    let folder = Path::new(&site.state()).join("telescope/days");
    let read = |end: &str| -> String {
        let years = fs::read_dir(&folder).unwrap().flatten().filter(|it| it.path().is_dir());
        let files = years.flat_map(|year| fs::read_dir(year.path()).unwrap().flatten());
        let mine = files.filter(|it| it.file_name().to_str().unwrap().ends_with(end));
        mine.map(|it| {
            String::from_utf8(prove::observation::read(&fs::read(it.path()).unwrap()).unwrap().1).unwrap()
        })
        .collect()
    };
    let counts: Vec<Value> =
        read("live.counts").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let packets = |port: u64, kind: &str| -> u64 {
        let is_it = |it: &&Value| it["port"] == port && it["kind"] == kind && it["transport"] == "tcp";
        counts.iter().filter(is_it).map(|it| it["n"].as_u64().unwrap()).sum()
    };
    assert_eq!(
        (packets(445, "scan"), packets(23, "scan"), packets(445, "backscatter")),
        (2, 1, 0),
        "{counts:#?}"
    );
    assert!(read("live.addresses").contains("10.77.0.66"));
}
