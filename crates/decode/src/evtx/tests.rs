#![allow(clippy::disallowed_methods, reason = "tests read corpora")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use proptest::prelude::*;
use schema::{AuthOutcome, AuthProtocol, AuthReason, LogRecord, ValueKind};
use testkit::evtx::{self as made, Element};

use super::*;

const AT: i64 = 1_793_664_000_000_000;
const TIME: &str = "2026-11-03T00:00:00.0000000Z";

fn records(chunks: &[u8]) -> (Vec<LogRecord>, Vec<Damage>) {
    let (mut found, mut damages) = (Vec::new(), Vec::new());
    let flow = Reader::new().chunks(chunks, 0, &mut LogRecord::default(), |item| {
        match item {
            Item::Record(record) => found.push(record.clone()),
            Item::Damage(damage) => damages.push(damage.clone()),
        }
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    (found, damages)
}

fn one(event: Element) -> LogRecord {
    let chunks = made::chunks(&[made::Record { number: 7, at: AT, event }]).concat();
    let (mut found, damages) = records(&chunks);
    assert_eq!((found.len(), damages), (1, vec![]));
    found.remove(0)
}

fn event(channel: &str, id: u32, data: &[(&str, &str)]) -> Element {
    made::event(channel, "Microsoft-Windows-Test", id, "WS07.ward.example", TIME, data)
}

fn from_json(line: &str) -> LogRecord {
    let mut record = LogRecord::default();
    Reader::new().json(line.as_bytes(), &mut record).unwrap();
    record
}

fn from_xml(bytes: &[u8]) -> (Vec<LogRecord>, usize) {
    let (mut found, mut faults) = (Vec::new(), 0);
    let _ = Reader::new().xml(bytes, &mut LogRecord::default(), |record| {
        match record {
            Ok(record) => found.push(record.clone()),
            Err(_) => faults += 1,
        }
        ControlFlow::Continue(())
    });
    (found, faults)
}

fn values<'r>(record: &'r LogRecord, name: &str) -> Vec<&'r str> {
    record.iter().filter(|(other, _, _)| *other == name).map(|(_, value, _)| value).collect()
}

fn check(record: &LogRecord, expected: &[(&str, &[&str])]) {
    for (name, all) in expected {
        assert_eq!(values(record, name), *all, "{name} of {record:?}");
    }
}

#[test]
fn what_decides_which_rules_are_for_a_record_is_read() {
    let record = one(event("Security", 4625, &[("TargetUserName", "sato")]));
    assert_eq!((record.at, record.number, record.product), (AT, 7, "windows"));
    assert_eq!((record.channel.as_str(), record.provider.as_str()), ("Security", "Microsoft-Windows-Test"));
    assert_eq!((record.event_id, record.host.as_str()), (Some(4625), "ws07.ward.example"));
    assert_eq!(record.get("EventID"), Some(("4625", ValueKind::Number)));
    check(&record, &[("Computer", &["WS07.ward.example"]), ("Provider_Name", &["Microsoft-Windows-Test"])]);
}

#[test]
fn names_lose_their_spaces_and_values_their_edges() {
    let record = one(event(
        "Security",
        4624,
        &[("Threat Name", "X"), ("LogonProcessName", "NtLmSsp "), ("A", "\r\n\tb c\n")],
    ));
    check(
        &record,
        &[("ThreatName", &["X"]), ("Threat Name", &[]), ("LogonProcessName", &["NtLmSsp"]), ("A", &["b c"])],
    );
}

#[test]
fn a_cleared_log_lies_in_one_channel_and_names_another() {
    let cleared = Element::new("LogFileCleared")
        .with("xmlns", "http://manifests.example")
        .child(Element::new("SubjectUserName").text("sato"))
        .child(Element::new("Channel").text("Application"));
    let system = made::system("System", "Microsoft-Windows-Eventlog", 104, "WS07", TIME);
    let record = one(Element::new("Event").child(system).child(Element::new("UserData").child(cleared)));
    assert_eq!(record.channel, "System");
    check(
        &record,
        &[("Channel", &["Application"]), ("SubjectUserName", &["sato"]), ("LogFileCleared_xmlns", &[])],
    );
}

#[test]
fn values_without_a_name_are_all_there_and_so_are_repeated_names() {
    let data = ["one", "two"]
        .iter()
        .map(|text| Element::new("Data").text(text))
        .fold(Element::new("EventData"), Element::child);
    let data = data.child(Element::new("Binary").text("00FF"));
    let system = made::system("Application", "Example", 1, "WS07", TIME);
    check(
        &one(Element::new("Event").child(system).child(data)),
        &[("Data", &["one", "two"]), ("Binary", &["00FF"])],
    );
    let twice = event("Security", 4648, &[("LogonGuid", "a"), ("X", "1"), ("LogonGuid", "b")]);
    check(&one(twice), &[("LogonGuid", &["a", "b"]), ("X", &["1"])]);
}

#[test]
fn attributes_and_qualifiers_are_kept_beside_texts() {
    let system = Element::new("System")
        .child(Element::new("EventID").with("Qualifiers", "16384").text("7045"))
        .child(Element::new("Channel").text("System"))
        .child(Element::new("Security").with("UserID", "S-1-5-18"));
    let deep = Element::new("Outer").child(Element::new("Inner").with("Kind", "x").text("y"));
    let record = one(Element::new("Event").child(system).child(Element::new("UserData").child(deep)));
    assert_eq!(record.event_id, Some(7045));
    check(
        &record,
        &[("Qualifiers", &["16384"]), ("UserID", &["S-1-5-18"]), ("Inner", &["y"]), ("Inner_Kind", &["x"])],
    );
}

/// Channel, event id, what Windows says, and what Sigma's rules look for.
type Case<'a> = (&'a str, u32, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a [&'a str])]);

#[test]
fn windows_words_are_kept_beside_sigmas() {
    let cases: &[Case] = &[
        (
            "Security",
            4688,
            &[
                ("NewProcessName", r"C:\Windows\System32\vssadmin.exe"),
                ("ParentProcessName", r"C:\a.exe"),
                ("MandatoryLabel", "S-1-16-12288"),
                ("SubjectUserName", "sato"),
                ("SubjectDomainName", "WARD"),
                ("ProcessId", "0x1f4"),
            ],
            &[
                ("NewProcessName", &[r"C:\Windows\System32\vssadmin.exe"]),
                ("Image", &[r"C:\Windows\System32\vssadmin.exe"]),
                ("ParentImage", &[r"C:\a.exe"]),
                ("IntegrityLevel", &["High", "S-1-16-12288"]),
                ("MandatoryLabel", &["S-1-16-12288"]),
                ("User", &[r"WARD\sato"]),
                ("ParentProcessId", &["500"]),
                ("ProcessId", &["0x1f4"]),
            ],
        ),
        (
            "Security",
            4657,
            &[
                ("ObjectName", r"\REGISTRY\MACHINE\SYSTEM\Key"),
                ("ObjectValueName", "fDeny"),
                ("NewValue", "0"),
            ],
            &[("TargetObject", &[r"HKLM\SYSTEM\Key\fDeny"]), ("Details", &["0"])],
        ),
        (
            "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational",
            131,
            &[("ConnType", "TCP"), ("ClientIP", "203.0.113.7:50011")],
            &[
                ("ClientIP", &["203.0.113.7:50011"]),
                ("ClientAddress", &["203.0.113.7"]),
                ("ClientPort", &["50011"]),
            ],
        ),
        ("Application", 4688, &[("NewProcessName", "x")], &[("Image", &[])]),
        // Sysmon's own field goes before.
        ("Security", 4688, &[("NewProcessName", "x"), ("Image", "y")], &[("Image", &["y"])]),
    ];
    for (channel, id, data, expected) in cases {
        check(&one(event(channel, *id, data)), expected);
    }
}

const FORWARDED: &str = r#"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID Qualifiers=''>4625</EventID><TimeCreated SystemTime='2026-11-03T00:00:00.000Z'/><EventRecordID>99</EventRecordID><Channel>Security</Channel><Computer>DC01.ward.example</Computer><Security/></System>
<EventData><Data Name='TargetUserName'>sato &amp; &lt;x&gt; &#x4F50;</Data><Data Name='Status'>0xC000006D</Data><Data Name='SubStatus'>0xC000006A</Data><Data Name='LogonType'>3</Data><Data Name='LogonProcessName'>NtLmSsp </Data><Data Name='IpAddress'>::ffff:192.0.2.7</Data><Data Name='Empty'/></EventData><RenderingInfo Culture='ja-JP'><Message>失敗しました</Message><Level>情報</Level></RenderingInfo></Event>"#;

fn check_forwarded(record: &LogRecord) {
    assert_eq!((record.event_id, record.channel.as_str(), record.number), (Some(4625), "Security", 99));
    assert_eq!((record.at, record.host.as_str()), (AT, "dc01.ward.example"));
    check(record, &[("TargetUserName", &["sato & <x> 佐"]), ("LogonProcessName", &["NtLmSsp"])]);
    let auth = auth(record).unwrap();
    assert_eq!(
        (auth.reason, auth.protocol, auth.host),
        (AuthReason::WrongSecret, AuthProtocol::Ntlm, "dc01")
    );
    assert_eq!(auth.source, Some("192.0.2.7".parse().unwrap()));
}

#[test]
fn xml_of_a_collector_is_read_in_every_encoding() {
    let utf16 = |mark: &[u8], order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        mark.iter().copied().chain(FORWARDED.encode_utf16().flat_map(order)).collect()
    };
    let many = format!("<?xml version=\"1.0\"?>\n<Events>{FORWARDED}\n{FORWARDED}</Events>");
    for (bytes, count) in [
        (FORWARDED.as_bytes().to_vec(), 1),
        (many.into_bytes(), 2),
        (utf16(&[0xff, 0xfe], u16::to_le_bytes), 1),
        (utf16(&[], u16::to_le_bytes), 1),
        (utf16(&[0xfe, 0xff], u16::to_be_bytes), 1),
        (format!("\u{feff}- {FORWARDED}").into_bytes(), 1),
    ] {
        let (found, faults) = from_xml(&bytes);
        assert_eq!((found.len(), faults), (count, 0));
        found.iter().for_each(check_forwarded);
        check(&found[0], &[("Message", &["失敗しました"]), ("Level", &[]), ("Empty", &[""])]);
        assert_eq!(found[0].get("Empty").unwrap().1, ValueKind::Null);
    }
}

#[test]
fn xml_that_breaks_off_costs_one_record() {
    for broken in
        ["<Event><System><EventID>1</System></Event>", "<Event><System><EventID>1<", "<Event><a></b>"]
    {
        let (found, faults) = from_xml(format!("{FORWARDED}{broken}{FORWARDED}").as_bytes());
        assert_eq!((found.len(), faults >= 1), (2, true), "{broken}");
        found.iter().for_each(check_forwarded);
    }
    let deep = format!("<Event><UserData>{}</UserData></Event>{FORWARDED}", "<a>".repeat(100_000));
    assert_eq!(from_xml(deep.as_bytes()).0.len(), 1);
    // No entity of somebody's own is expanded.
    let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><Event><System><EventID>1</EventID></System><EventData><Data Name="x">&b;&b;</Data></EventData></Event>"#;
    check(&from_xml(bomb.as_bytes()).0[0], &[("x", &[""])]);
}

#[test]
fn lines_of_collectors_become_the_same_record() {
    let data = r#""TargetUserName":"sato & <x> 佐","Status":"0xc000006d","SubStatus":"0xc000006a","LogonType":"3","LogonProcessName":"NtLmSsp ","IpAddress":"::ffff:192.0.2.7""#;
    let number = data.replace("\"3\"", "3");
    for line in [
        // Winlogbeat 8 and 6.
        format!(
            r#"{{"@timestamp":"2026-11-03T00:00:00.000Z","winlog":{{"event_id":"4625","channel":"Security","provider_name":"P","computer_name":"DC01.ward.example","record_id":99,"event_data":{{{data}}},"process":{{"pid":4}}}},"message":"m"}}"#
        ),
        format!(
            r#"{{"@timestamp":"2026-11-03T00:00:00.000Z","event_id":4625,"log_name":"Security","source_name":"P","computer_name":"DC01.ward.example","record_number":"99","event_data":{{{data}}}}}"#
        ),
        // NXLog.
        format!(
            r#"{{"EventTime":"2026-11-03T09:00:00.000000+09:00","Hostname":"DC01.ward.example","Keywords":"-9218868437227405312","EventType":"AUDIT_FAILURE","EventID":4625,"SourceName":"P","Channel":"Security","RecordNumber":99,{number},"EventReceivedTime":"2026-11-03T09:00:02+09:00","SourceModuleName":"in"}}"#
        ),
        // A data set made of such lines: only the arrival says its offset.
        format!(
            r#"{{"TimeCreated":"2026-11-03 00:00:00.000","Hostname":"DC01.ward.example","EventID":4625,"SourceName":"P","Channel":"Security","RecordNumber":99,{data}}}"#
        ),
        // `evtx_dump`, both ways.
        format!(
            r##"{{"Event":{{"System":{{"EventID":{{"#text":4625}},"TimeCreated":{{"#attributes":{{"SystemTime":"2026-11-03T00:00:00Z"}}}},"EventRecordID":99,"Channel":"Security","Computer":"DC01.ward.example"}},"EventData":{{{number}}}}}}}"##
        ),
        format!(
            r#"{{ "Event": {{"System":{{"EventID":4625,"TimeCreated_attributes":{{"SystemTime":"2026-11-03T00:00:00Z"}},"EventRecordID":99,"Channel":"Security","Computer":"DC01.ward.example"}},"EventData":{{{number}}}}}}}"#
        ),
        // Chainsaw.
        format!(
            r#"{{"group":"Sigma","kind":"individual","name":"A rule","level":"high","authors":["A","B"],"document":{{"kind":"evtx","path":"a.evtx","data":{{"Event":{{"System":{{"EventID":4625,"TimeCreated_attributes":{{"SystemTime":"2026-11-03T00:00:00Z"}},"EventRecordID":99,"Channel":"Security","Computer":"DC01.ward.example"}},"EventData":{{{number}}}}}}}}}}}"#
        ),
        // Hayabusa, which abbreviates.
        format!(
            r#"{{"Timestamp":"2026-11-03 09:00:00.000 +09:00","RuleTitle":"A rule","Level":"high","Computer":"DC01.ward.example","Channel":"Sec","EventID":4625,"RecordID":99,"Details":{{"Type":"3 - NETWORK","TgtUser":"sato & <x> 佐","SrcIP":"::ffff:192.0.2.7"}},"ExtraFieldInfo":{{{number}}}}}"#
        ),
    ] {
        let record = from_json(&line);
        let first = record.get("TargetUserName").map(|(value, _)| value.to_owned());
        assert_eq!(first.as_deref(), Some("sato & <x> 佐"), "{line}");
        assert_eq!(
            (record.event_id, record.channel.as_str(), record.number),
            (Some(4625), "Security", 99),
            "{line}"
        );
        assert_eq!((record.at, record.host.as_str()), (AT, "dc01.ward.example"), "{line}");
        let auth = auth(&record).unwrap();
        assert_eq!(
            (auth.reason, auth.protocol, auth.host),
            (AuthReason::WrongSecret, AuthProtocol::Ntlm, "dc01"),
            "{line}"
        );
        assert_eq!(auth.source, Some("192.0.2.7".parse().unwrap()), "{line}");
    }
    let chainsaw = r#"{"document":{"data":{"Event":{"System":{"EventID":1,"Channel":"C"}}}},"name":"A rule","authors":["A","B"]}"#;
    check(&from_json(chainsaw), &[("RuleTitle", &["A rule"]), ("RuleAuthor", &["A", "B"])]);
    let nxlog =
        r#"{"EventID":4625,"Channel":"Security","Keywords":-9218868437227405312,"tags":["x"],"port":1}"#;
    check(&from_json(nxlog), &[("Keywords", &["0x8010000000000000"]), ("tags", &[]), ("port", &[])]);
}

#[test]
fn lines_that_are_no_events_are_named() {
    for (line, expected) in [
        ("", EvtxFault::NotJson { column: 0 }),
        ("{\"Event\":{}}", EvtxFault::NotAnEvent),
        ("{\"a\":1}", EvtxFault::NotAnEvent),
        ("[1]", EvtxFault::NotAnEvent),
        ("{\"EventID\":4625}", EvtxFault::NotAnEvent),
    ] {
        assert_eq!(Reader::new().json(line.as_bytes(), &mut LogRecord::default()), Err(expected), "{line}");
    }
    let deep = format!("{{\"Event\":{}", "{\"UserData\":".repeat(100_000));
    assert!(Reader::new().json(deep.as_bytes(), &mut LogRecord::default()).is_err());
    let long = vec![b' '; TEXT_MAX + 1];
    assert!(matches!(Reader::new().json(&long, &mut LogRecord::default()), Err(EvtxFault::TooLong { .. })));
}

#[test]
fn a_record_with_a_million_fields_or_ten_megabytes_is_bounded() {
    let many: String = (0..200_000).map(|at| format!(r#","f{at}":"x""#)).collect();
    let record = from_json(&format!(r#"{{"EventID":1,"Channel":"C"{many}}}"#));
    assert!(record.len() < 5_000);
    let long = format!(r#"{{"EventID":1,"Channel":"C","Payload":"{}"}}"#, "A".repeat(10 << 20));
    assert_eq!(from_json(&long).get("Payload").unwrap().0.len(), 10 << 20);
}

fn log(count: u64) -> Vec<u8> {
    let record = |number| made::Record {
        number,
        at: AT,
        event: event("Security", 4625, &[("TargetUserName", "sato")]),
    };
    made::chunks(&(1..=count).map(record).collect::<Vec<_>>()).concat()
}

#[test]
fn damage_is_named_and_the_rest_goes_on() {
    let whole = log(400);
    assert!(whole.len() >= 3 * CHUNK_LEN);
    let count = |chunks: &[u8]| {
        let (found, damages) = records(chunks);
        (found.len(), damages)
    };
    assert_eq!(count(&whole), (400, vec![]));
    let (full, in_first) = (400, count(&whole[..CHUNK_LEN]).0);

    // A chunk that is none any more.
    let mut broken = whole.clone();
    broken[CHUNK_LEN..CHUNK_LEN + 8].fill(b'x');
    let (found, damages) = count(&broken);
    assert!(found >= full - in_first - 5 && found < full, "{found}");
    assert_eq!((damages.len(), damages[0].chunk, damages[0].is_lost), (1, 1, true), "{damages:?}");

    // A changed byte in a value: the record is read, and the sum says that it was changed.
    let mut changed = whole.clone();
    let at = 512 + memchr::memmem::find(&whole[512..], b"s\0a\0t\0o\0").unwrap();
    changed[at] = b'z';
    let (found, damages) = count(&changed);
    assert_eq!((found, damages.len(), damages[0].is_lost), (full, 1, false), "{damages:?}");

    // A record whose length is nonsense.
    let mut changed = whole.clone();
    let second = 512 + u32::from_le_bytes(whole[516..520].try_into().unwrap()) as usize;
    changed[second + 4..second + 8].fill(0xff);
    let (found, damages) = count(&changed);
    assert_eq!((found, damages.iter().filter(|damage| damage.is_lost).count()), (full - 1, 1), "{damages:?}");

    // Cut off in the middle of a chunk.
    let (found, damages) = count(&whole[..CHUNK_LEN + 5_000]);
    assert!(found > in_first, "{found}");
    assert!(damages.iter().any(|damage| damage.what.starts_with("cut off")), "{damages:?}");
    assert_eq!(count(&[]), (0, vec![]));
}

#[test]
fn a_files_header_says_what_it_is() {
    let file = made::file(&[made::Record { number: 1, at: AT, event: event("Security", 1, &[]) }]);
    let expected = Header { chunks: 1, next_record: 2, is_dirty: false, is_intact: true };
    assert_eq!(Header::read(&file), Some(expected));
    let mut dirty = file.clone();
    dirty[24] = 9;
    dirty[120] = 1;
    assert_eq!(
        Header::read(&dirty),
        Some(Header { next_record: 9, is_dirty: true, is_intact: false, ..expected })
    );
    assert_eq!(Header::read(&file[..100]), None);
    assert_eq!(Header::read(&[0; 4096]), None);
}

/// Channel, number and data of an event, and of the logon: protocol, outcome, reason, account, domain, source and workstation.
type Logon = (
    &'static str,
    u32,
    &'static [(&'static str, &'static str)],
    AuthProtocol,
    AuthOutcome,
    AuthReason,
    [Option<&'static str>; 4],
);

const RDP_CORE: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational";
const CONNECTIONS: &str = "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational";
const SESSIONS: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational";
const GATEWAY: &str = "Microsoft-Windows-TerminalServices-Gateway/Operational";

#[rustfmt::skip]
const LOGONS: &[Logon] = {
    use AuthOutcome::*;
    use AuthProtocol::*;
    use AuthReason as R;
    &[
        ("Security", 4624, &[("TargetUserName", "sato"), ("TargetDomainName", "WARD"), ("LogonType", "10"), ("IpAddress", "203.0.113.7"), ("WorkstationName", "PC1")],
            Rdp, Success, R::None, [Some("sato"), Some("WARD"), Some("203.0.113.7"), Some("PC1")]),
        ("Security", 4624, &[("TargetUserName", "svc"), ("LogonType", "5"), ("IpAddress", "-")], Service, Success, R::None, [Some("svc"), None, None, None]),
        ("Security", 4624, &[("TargetUserName", "u"), ("LogonType", "3"), ("LogonProcessName", "Kerberos"), ("IpAddress", "fe80::1%4")],
            Kerberos, Success, R::None, [Some("u"), None, Some("fe80::1"), None]),
        ("Security", 4624, &[("TargetUserName", "u"), ("LogonType", "8"), ("ProcessName", r"C:\OpenSSH\sshd.exe")], Ssh, Success, R::None, [Some("u"), None, None, None]),
        ("Security", 4625, &[("TargetUserName", "x"), ("LogonType", "2"), ("Status", "0xc000006d"), ("SubStatus", "0xc0000064")],
            Console, Failure, R::NoSuchAccount, [Some("x"), None, None, None]),
        ("Security", 4625, &[("TargetUserName", "x"), ("LogonType", "3"), ("Status", "0xC0000234"), ("SubStatus", "0x0")], Smb, Failure, R::Locked, [Some("x"), None, None, None]),
        ("Security", 4625, &[("TargetUserName", "x"), ("LogonType", "3"), ("Status", "-1073741715")], Smb, Failure, R::WrongSecret, [Some("x"), None, None, None]),
        ("Security", 4625, &[("TargetUserName", "x"), ("Status", "0x12345")], Other, Failure, R::Unknown, [Some("x"), None, None, None]),
        ("Security", 4634, &[("TargetUserName", "sato"), ("LogonType", "10")], Rdp, Ended, R::None, [Some("sato"), None, None, None]),
        ("Security", 4647, &[("TargetUserName", "sato")], Other, Ended, R::None, [Some("sato"), None, None, None]),
        ("Security", 4672, &[("SubjectUserName", "admin"), ("SubjectDomainName", "WARD")], Other, Success, R::None, [Some("admin"), Some("WARD"), None, None]),
        ("Security", 4768, &[("TargetUserName", "sato"), ("Status", "0x0"), ("IpAddress", "::ffff:10.0.0.7")], Kerberos, Success, R::None, [Some("sato"), None, Some("10.0.0.7"), None]),
        ("Security", 4768, &[("TargetUserName", "nobody"), ("Status", "0x6")], Kerberos, Failure, R::NoSuchAccount, [Some("nobody"), None, None, None]),
        ("Security", 4769, &[("TargetUserName", "sato@WARD.EXAMPLE"), ("Status", "0x0")], Kerberos, Success, R::None, [Some("sato"), Some("WARD.EXAMPLE"), None, None]),
        ("Security", 4771, &[("TargetUserName", "sato"), ("Status", "0x18"), ("IpAddress", "::1")], Kerberos, Failure, R::WrongSecret, [Some("sato"), None, Some("::1"), None]),
        ("Security", 4776, &[("TargetUserName", "sato"), ("Workstation", r"\\KALI"), ("Status", "0xc000006a")], Ntlm, Failure, R::WrongSecret, [Some("sato"), None, None, Some("KALI")]),
        ("Security", 4776, &[("TargetUserName", "sato"), ("Status", "0x0")], Ntlm, Success, R::None, [Some("sato"), None, None, None]),
        ("Security", 4778, &[("AccountName", "sato"), ("AccountDomain", "WARD"), ("ClientName", "PC1"), ("ClientAddress", "192.0.2.7")],
            Rdp, Resumed, R::None, [Some("sato"), Some("WARD"), Some("192.0.2.7"), Some("PC1")]),
        ("Security", 4779, &[("AccountName", "sato"), ("ClientAddress", "LOCAL")], Console, Ended, R::None, [Some("sato"), None, None, None]),
        (RDP_CORE, 131, &[("ClientIP", "203.0.113.7:50011")], Rdp, Reached, R::None, [None, None, Some("203.0.113.7"), None]),
        (RDP_CORE, 131, &[("ClientIP", "[2001:db8::7]:50011")], Rdp, Reached, R::None, [None, None, Some("2001:db8::7"), None]),
        (RDP_CORE, 140, &[("IPString", "203.0.113.7")], Rdp, Failure, R::WrongSecret, [None, None, Some("203.0.113.7"), None]),
        (CONNECTIONS, 261, &[("listenerName", "RDP-Tcp")], Rdp, Reached, R::None, [None, None, None, None]),
        (CONNECTIONS, 1149, &[("Param1", "sato"), ("Param2", "WARD"), ("Param3", "203.0.113.7")], Rdp, Reached, R::None, [Some("sato"), Some("WARD"), Some("203.0.113.7"), None]),
        (SESSIONS, 21, &[("User", r"WARD\sato"), ("Address", "192.0.2.7")], Rdp, Success, R::None, [Some("sato"), Some("WARD"), Some("192.0.2.7"), None]),
        (SESSIONS, 21, &[("User", r"WARD\sato"), ("Address", "LOCAL")], Console, Success, R::None, [Some("sato"), Some("WARD"), None, None]),
        (SESSIONS, 24, &[("User", r"WARD\sato"), ("Address", "192.0.2.7")], Rdp, Ended, R::None, [Some("sato"), Some("WARD"), Some("192.0.2.7"), None]),
        (SESSIONS, 25, &[("User", r"WARD\sato"), ("Address", "192.0.2.7")], Rdp, Resumed, R::None, [Some("sato"), Some("WARD"), Some("192.0.2.7"), None]),
        (GATEWAY, 302, &[("Username", r"WARD\vendor"), ("IpAddress", "203.0.113.9")], RdGateway, Success, R::None, [Some("vendor"), Some("WARD"), Some("203.0.113.9"), None]),
        (GATEWAY, 303, &[("Username", r"WARD\vendor"), ("IpAddress", "203.0.113.9")], RdGateway, Ended, R::None, [Some("vendor"), Some("WARD"), Some("203.0.113.9"), None]),
        (GATEWAY, 201, &[("Username", "vendor"), ("IpAddress", "203.0.113.9")], RdGateway, Failure, R::NotAllowed, [Some("vendor"), None, Some("203.0.113.9"), None]),
        ("OpenSSH/Operational", 4, &[("process", "sshd"), ("payload", "Failed password for invalid user x from 10.0.0.1 port 1 ssh2 from 203.0.113.7 port 22 ssh2")],
            Ssh, Failure, R::NoSuchAccount, [Some("x from 10.0.0.1 port 1 ssh2"), None, Some("203.0.113.7"), None]),
        // A client offers keys before the right one, and a name that nobody has is counted with the attempt that follows.
        ("OpenSSH/Operational", 4, &[("payload", "Failed publickey for sato from 192.0.2.7 port 5 ssh2: RSA SHA256:x")], Ssh, Reached, R::WrongSecret, [Some("sato"), None, Some("192.0.2.7"), None]),
        ("OpenSSH/Operational", 4, &[("payload", "Invalid user x from 192.0.2.7 port 5")], Ssh, Reached, R::NoSuchAccount, [Some("x"), None, Some("192.0.2.7"), None]),
        ("OpenSSH/Operational", 4, &[("payload", r"Failed password for ward\sato from 192.0.2.7 port 5 ssh2")], Ssh, Failure, R::WrongSecret, [Some("sato"), Some("ward"), Some("192.0.2.7"), None]),
        ("OpenSSH/Operational", 4, &[("payload", "Accepted publickey for sato from 192.0.2.7 port 5 ssh2: ED25519 SHA256:x")], Ssh, Success, R::None, [Some("sato"), None, Some("192.0.2.7"), None]),
    ]
};

#[test]
fn records_of_logons_say_who_from_where_and_why_not() {
    for (channel, id, data, protocol, outcome, reason, [account, domain, source, workstation]) in LOGONS {
        let record = one(event(channel, *id, data));
        let auth = auth(&record).unwrap_or_else(|| panic!("{record:?}"));
        assert_eq!((auth.protocol, auth.outcome, auth.reason), (*protocol, *outcome, *reason), "{record:?}");
        assert_eq!((auth.account, auth.domain), (*account, *domain), "{record:?}");
        assert_eq!(
            (auth.source.map(|source| source.to_string()).as_deref(), auth.workstation),
            (*source, *workstation),
            "{record:?}"
        );
        assert_eq!((auth.at, auth.host), (AT, "ws07"));
    }
    for (channel, id) in [("Security", 4688), ("System", 4625), ("Security", 21), ("OpenSSH/Operational", 4)]
    {
        assert_eq!(
            auth(&one(event(channel, id, &[("TargetUserName", "x"), ("payload", "Server listening")]))),
            None
        );
    }
    // Another account's secret, given here for another machine.
    let record = one(event(
        "Security",
        4648,
        &[("TargetUserName", "admin"), ("TargetServerName", "EMR01.ward.example")],
    ));
    let explicit = auth(&record).unwrap();
    assert_eq!(
        (explicit.host, explicit.workstation, explicit.outcome),
        ("emr01", Some("ws07"), AuthOutcome::Reached)
    );
}

#[test]
fn every_record_of_the_corpora_is_read() {
    let Some(folder) = testkit::shared("evtx_corpora", "logins") else { return };
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let mut wrong = BTreeMap::new();
    let mut files = 0;
    for line in manifest.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (Some(name), Some(Ok(expected))) =
            (columns.first(), columns.get(7).map(|count| count.parse::<usize>()))
        else {
            continue;
        };
        if !name.ends_with(".evtx") {
            continue;
        }
        files += 1;
        let bytes = fs::read(folder.join(name)).unwrap();
        // What lies behind the chunks in use was never written: whatever the disk held.
        let in_use = Header::read(&bytes).map_or(u64::MAX, |header| u64::from(header.chunks));
        let (found, damages) = records(&bytes[HEADER_LEN..]);
        let lost: Vec<_> = damages.iter().filter(|damage| damage.is_lost && damage.chunk < in_use).collect();
        if found.len() != expected || !lost.is_empty() {
            wrong.insert(*name, format!("{} of {expected}, {lost:?}", found.len()));
        }
    }
    assert!(files > 190, "{files}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(noise in proptest::collection::vec((0_usize..CHUNK_LEN, any::<u8>()), 0..60), text in "\\PC{0,200}") {
        let mut bytes = log(120);
        bytes.truncate(CHUNK_LEN);
        for (at, byte) in noise {
            bytes[at] = byte;
        }
        records(&bytes);
        let _ = Reader::new().json(text.as_bytes(), &mut LogRecord::default());
        from_xml(text.as_bytes());
        from_xml(format!("<Event>{text}</Event>").as_bytes());
    }
}
