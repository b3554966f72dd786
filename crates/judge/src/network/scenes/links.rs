use jiff::tz::{Offset, TimeZone};
use schema::{NameSource, NtlmSight, NtlmStep, RdpSight, Service, Sight, SynFamily, SystemVersion};

use super::{Scene, Stage, attack, benign};
use crate::network::{Contract, Direction, HospitalPair, Periodic, Ports, Rules, Weekday};

const CLIENT: &str = "192.168.10.66";
const SERVER: &str = "192.168.10.20";
const OUTSIDE: &str = "198.51.100.7";
const VENDOR: &str = "203.0.113.10";

pub(super) fn scenes() -> Vec<Scene> {
    let mut all = agreements();
    all.extend(traffic());
    all.extend(names());
    all
}

fn agreements() -> Vec<Scene> {
    let deviation = |name, stage| attack("contract.deviation", name, stage);
    vec![
        attack("exposure.remote", "rdp", exposed(OUTSIDE, 3389)),
        attack("exposure.remote", "odd_port", speaking(OUTSIDE, SERVER, 40_022, Service::Ssh)),
        benign("exposure.remote", "inside", exposed(CLIENT, 3389)),
        benign("exposure.remote", "portal", exposed(OUTSIDE, 443)),
        benign("exposure.remote", "agreed", with_contract(VENDOR, SERVER, 22, 0.0)),
        attack("contract.remote_tool", "anydesk", speaking(CLIENT, OUTSIDE, 7070, Service::AnyDesk)),
        attack("contract.remote_tool", "tunnel", speaking(CLIENT, OUTSIDE, 443, Service::Tunnel)),
        benign("contract.remote_tool", "agreed", agreed_tool()),
        deviation("other_port", with_contract(VENDOR, SERVER, 3389, 0.0)),
        deviation("other_direction", with_contract(SERVER, VENDOR, 22, 0.0)),
        deviation("at_night", with_contract(VENDOR, SERVER, 22, 14.0 * 3600.0)),
        deviation("on_sunday", with_contract(VENDOR, SERVER, 22, 6.0 * 86_400.0)),
        deviation("other_machine", with_contract(VENDOR, "192.168.10.99", 22, 0.0)),
        deviation("too_much", volume(60_000_000)),
        benign("contract.deviation", "as_agreed", volume(9_000_000)),
        benign("contract.deviation", "others", with_contract(OUTSIDE, SERVER, 443, 0.0)),
        attack("contract.hospital_protocol", "outside", speaking(CLIENT, OUTSIDE, 104, Service::Dicom)),
        attack("contract.hospital_protocol", "not_listed", listed("192.168.10.77")),
        benign("contract.hospital_protocol", "listed", listed("192.168.10.30")),
        benign("contract.hospital_protocol", "inside", speaking(CLIENT, SERVER, 2575, Service::Mllp)),
    ]
}

fn exposed(client: &str, port: u16) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(client, SERVER, port);
    stage.end(flow, [10, 8], [1_000, 2_000], 1.0);
    stage
}

fn speaking(client: &str, server: &str, port: u16, service: Service) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(client, server, port);
    stage.see(flow, Sight::Speaks { service });
    stage
}

/// A contractor may come in by SSH on work days from nine to five, and take 20 MB a day.
fn contract() -> Contract {
    Contract {
        name: "modality service".into(),
        peers: vec!["203.0.113.0/28".parse().unwrap()],
        hosts: vec!["192.168.10.20/32".parse().unwrap(), "192.168.10.66/32".parse().unwrap()],
        ports: vec![Ports { from: 22, to: 22, transport: None }],
        direction: Direction::Inward,
        days: vec![Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday],
        from: Some("09:00".parse().unwrap()),
        to: Some("17:00".parse().unwrap()),
        bytes_out_max: Some(20_000_000),
        bytes_in_max: None,
        tools: vec![Service::TeamViewer],
    }
}

fn rules() -> Rules {
    Rules { contracts: vec![contract()], zone: TimeZone::fixed(Offset::constant(9)), ..Rules::default() }
}

fn with_contract(client: &str, server: &str, port: u16, later: f64) -> Stage {
    let mut stage = Stage::with(rules());
    stage.wait(later);
    let flow = stage.meet(client, server, port);
    stage.end(flow, [40, 40], [5_000, 9_000], 60.0);
    stage
}

fn volume(bytes: u64) -> Stage {
    let mut stage = Stage::with(rules());
    for _ in 0..2 {
        let flow = stage.meet(VENDOR, SERVER, 22);
        stage.end(flow, [4_000, 8_000], [90_000, bytes / 2], 600.0);
    }
    stage
}

fn agreed_tool() -> Stage {
    let mut stage = Stage::with(rules());
    let flow = stage.meet(CLIENT, OUTSIDE, 5938);
    stage.see(flow, Sight::Speaks { service: Service::TeamViewer });
    stage
}

fn listed(server: &str) -> Stage {
    let pair = HospitalPair {
        service: Some(Service::Dicom),
        client: "192.168.10.0/26".parse().unwrap(),
        server: "192.168.10.30/32".parse().unwrap(),
    };
    let mut stage = Stage::with(Rules { hospital_pairs: vec![pair], ..Rules::default() });
    let flow = stage.meet("192.168.10.40", server, 104);
    stage.see(flow, Sight::Speaks { service: Service::Dicom });
    stage
}

fn traffic() -> Vec<Scene> {
    let every_minute = |server: &str, port| beats(Rules::default(), CLIENT, server, port, |_| 60.0, |_| 420);
    let restless = |n: u64| [2.0, 40.0, 7.0, 190.0, 15.0, 1.0, 75.0][(n % 7) as usize];
    let sizes = |n: u64| 300 + n * n * 131 % 9_000;
    vec![
        attack("beacon.interval", "every_minute", every_minute(OUTSIDE, 443)),
        attack(
            "beacon.interval",
            "with_jitter",
            beats(Rules::default(), CLIENT, OUTSIDE, 8443, |n| 30.0 + (n * 7 % 9) as f64, |n| 400 + n % 3),
        ),
        attack("beacon.interval", "east_west", every_minute("192.168.10.77", 4444)),
        benign("beacon.interval", "browsing", beats(Rules::default(), CLIENT, OUTSIDE, 443, restless, sizes)),
        benign("beacon.interval", "clock", every_minute(OUTSIDE, 123)),
        benign("beacon.interval", "named", named_beat()),
        benign("beacon.interval", "monitoring", polling()),
        benign("beacon.interval", "worklist_polling", worklist()),
        benign("beacon.interval", "mllp_heartbeat", heartbeat("192.168.20.5", 2575, Service::Mllp, 30.0)),
        benign(
            "beacon.interval",
            "echo_of_an_archive",
            heartbeat("192.168.20.8", 11112, Service::Dicom, 60.0),
        ),
        attack("exfil.volume", "upload", sent(900_000_000, 9_000_000)),
        attack("exfil.volume", "in_parts", sent(160_000_000, 2_000_000)),
        benign("exfil.volume", "conference", sent(700_000_000, 800_000_000)),
        benign("exfil.volume", "small", sent(30_000_000, 100_000)),
        attack("tamper.mirror", "one_way", mirror(0)),
        benign("tamper.mirror", "both_ways", mirror(12)),
        benign("tamper.mirror", "one_liar", one_liar()),
    ]
}

fn beats(
    rules: Rules,
    client: &str,
    server: &str,
    port: u16,
    pause: impl Fn(u64) -> f64,
    bytes: impl Fn(u64) -> u64,
) -> Stage {
    let mut stage = Stage::with(rules);
    for n in 0..64 {
        let flow = stage.meet(client, server, port);
        let begun = stage.at;
        stage.end(flow, [5, 4], [bytes(n), 300], 0.2);
        stage.at = begun;
        stage.wait(pause(n));
    }
    stage
}

fn named_beat() -> Stage {
    let known = Periodic { client: None, server: Some("198.51.100.0/24".parse().unwrap()), port: Some(443) };
    let rules = Rules { periodic: vec![known], ..Rules::default() };
    beats(rules, CLIENT, OUTSIDE, 443, |_| 60.0, |_| 420)
}

/// One host asks four others each minute.
fn polling() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..66 {
        let begun = stage.at;
        for host in 1..=4 {
            let flow = stage.meet("192.168.10.6", &format!("192.168.30.{host}"), 5666);
            stage.end(flow, [5, 4], [420, 300], 0.1);
        }
        stage.at = begun;
        stage.wait(60.0);
    }
    stage
}

/// Six modalities ask for their worklist each minute, whether there is a patient or not.
fn worklist() -> Stage {
    let mut stage = Stage::default();
    for _ in 0..66 {
        let begun = stage.at;
        for modality in 1..=6 {
            let flow = stage.meet(&format!("192.168.30.{modality}"), "192.168.20.8", 104);
            stage.see(flow, Sight::Speaks { service: Service::Dicom });
            stage.end(flow, [7, 6], [1_100, 740], 0.4);
        }
        stage.at = begun;
        stage.wait(60.0);
    }
    stage
}

/// An engine that nobody else calls with says that it is alive, always in the same words.
fn heartbeat(server: &str, port: u16, service: Service, every: f64) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..72 {
        let flow = stage.meet(CLIENT, server, port);
        stage.see(flow, Sight::Speaks { service });
        let begun = stage.at;
        stage.end(flow, [5, 4], [212, 130], 0.1);
        stage.at = begun;
        stage.wait(every);
    }
    stage
}

fn sent(out: u64, back: u64) -> Stage {
    let mut stage = Stage::default();
    for _ in 0..4 {
        let flow = stage.meet(CLIENT, OUTSIDE, 443);
        stage.end(flow, [out / 4 / 1400, back / 4 / 1400 + 9], [out / 4, back / 4], 120.0);
    }
    stage
}

fn mirror(packets_back: u64) -> Stage {
    let mut stage = Stage::default();
    for desk in 1..=60 {
        let flow = stage.open(&format!("192.168.10.{desk}"), SERVER, 80);
        stage.end(flow, [12, packets_back], [900, packets_back * 1_000], 1.0);
    }
    stage
}

/// One machine sends data that nobody asked for, so that it looks as if answers were missing.
fn one_liar() -> Stage {
    let mut stage = Stage::default();
    for server in 0..200_u32 {
        let flow = stage.open("192.168.10.66", &format!("192.168.1.{}", server + 1), 80);
        stage.end(flow, [12, 0], [900, 0], 1.0);
    }
    stage
}

fn names() -> Vec<Scene> {
    let version = |major, minor, build| SystemVersion { major, minor, build };
    vec![
        attack("eol.windows", "server_2003", challenge(version(5, 2, 3790))),
        attack("eol.windows", "xp_client", rdp_build(2600)),
        attack("eol.windows", "nt5_look", syns(SynFamily::Nt5)),
        benign("eol.windows", "server_2019", challenge(version(10, 0, 17763))),
        benign("eol.windows", "samba", challenge(version(6, 1, 0))),
        benign("eol.windows", "newer_look", syns(SynFamily::Nt6)),
        attack(
            "phishing.name",
            "digits",
            asked(&["www.arnazon.co.jp", "rakuten.co.jp.account-verify.example"]),
        ),
        attack("phishing.name", "listed", asked(&["login.portal.bad.example"])),
        benign("phishing.name", "work_day", asked(EVERYDAY)),
        attack("malware.name", "listed", asked(&["cdn.update.evil.example"])),
        benign("malware.name", "near_the_list", asked(&["notevil.example", "evil.example.hospital.example"])),
    ]
}

const EVERYDAY: &[&str] = &[
    "www.amazon.co.jp",
    "fls-fe.amazon.co.jp",
    "d1.awsstatic.com",
    "www.rakuten.co.jp",
    "login.microsoftonline.com",
    "settings-win.data.microsoft.com",
    "ctldl.windowsupdate.com",
    "www.mhlw.go.jp",
    "www.google.co.jp",
    "fonts.gstatic.com",
    "ocsp.digicert.com",
    "time.windows.com",
    "pmda.go.jp",
    "www.jma.go.jp",
    "wpad",
    "dc1.hospital.local",
    "20.10.168.192.in-addr.arpa",
    "update.example",
];

fn challenge(version: SystemVersion) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 445);
    stage.see(flow, Sight::Ntlm(NtlmSight { step: NtlmStep::Challenge, version: Some(version), account: 0 }));
    stage
}

fn rdp_build(build: u32) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 3389);
    stage.see(flow, Sight::Rdp(RdpSight::Build { build }));
    stage
}

fn syns(family: SynFamily) -> Stage {
    let mut stage = Stage::default();
    for server in 1..=5 {
        let flow = stage.open(CLIENT, &format!("192.168.1.{server}"), 80);
        stage.events.pop();
        stage.see(flow, Sight::Opened { syn: Some(family), sure: true });
    }
    stage
}

fn asked(names: &[&str]) -> Stage {
    let mut stage = Stage::with(Rules {
        names_phishing: vec!["bad.example".into()],
        names_malware: vec!["evil.example".into()],
        ..Rules::default()
    });
    for name in names {
        let flow = stage.open_by(schema::Transport::Udp, CLIENT, "192.168.1.1", 53);
        stage.see(flow, Sight::Named { name: (*name).into(), source: NameSource::Dns });
    }
    stage
}
