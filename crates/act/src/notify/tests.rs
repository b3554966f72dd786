use super::*;

fn notice(title: &str, severity_id: Severity) -> Notice {
    Notice {
        incident: None,
        severity_id,
        title: title.to_owned(),
        title_ja: "表題".to_owned(),
        body: "one\ntwo".to_owned(),
        body_ja: String::new(),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        lang: Lang::En,
    }
}

#[test]
fn a_line_of_syslog_is_what_the_rfc_says_whatever_the_title_holds() {
    let hostile = "a\r\n<0>1 - - - - - - b\0\u{7f}\u{85}";
    let line =
        String::from_utf8(syslog::line(&notice(hostile, Severity::Low), Facility::Auth, "ch art\nward日"))
            .unwrap();
    assert!(line.starts_with("<37>1 2027-01-15T08:00:00.000Z "), "{line}");
    let end = format!(
        " chartward {} notice [chartward@32473 severity_id=\"2\" lang=\"en\"] \u{feff}a  <0>1 - - - - - - b   : one two",
        std::process::id()
    );
    assert!(line.ends_with(&end), "{line}");
    assert!(!line.contains(['\r', '\n', '\0']));
    let mut long = notice(&"長".repeat(5000), Severity::Critical);
    long.body = "い".repeat(50_000);
    let line = syslog::line(&long, Facility::Local7, "");
    assert!(line.len() <= 2048 && String::from_utf8(line).is_ok());
}

#[test]
fn waiting_doubles_up_to_a_quarter_of_an_hour_and_jitter_halves_it_at_most() {
    for (tries, jitter, seconds) in [
        (0, 1.0, 2.0),
        (1, 1.0, 2.0),
        (1, 0.0, 1.0),
        (2, 1.0, 4.0),
        (5, 0.5, 24.0),
        (10, 1.0, 900.0),
        (u32::MAX, 0.0, 450.0),
        (3, f64::NAN, 8.0),
        (3, -7.0, 4.0),
    ] {
        assert_eq!(retry_after(tries, jitter), Duration::from_secs_f64(seconds), "{tries} {jitter}");
    }
}

#[test]
fn the_signature_is_the_one_of_rfc_4231() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(http::signature("Jefe", b"what do ya want for nothing?"), expected);
}

#[test]
fn channels_are_read_strictly_and_hold_no_secret() {
    let smtp = r#"{"kind": "smtp", "server": "mail", "port": 587, "from": "a@b.jp", "to": ["c@d.jp"], "tls": "starttls", "user": "u", "secret": "mail"}"#;
    let channel: Channel = serde_json::from_str(smtp).unwrap();
    let unknown = send(&channel, &notice("t", Severity::High), &|_| None, Duration::from_secs(1));
    assert!(matches!(unknown, Err(Error::NoSecret { name }) if name == "mail"));
    let clear: Channel = serde_json::from_str(&smtp.replace("starttls", "none")).unwrap();
    let clear = send(&clear, &notice("t", Severity::High), &|_| Some("x".into()), Duration::from_secs(1));
    assert!(matches!(clear, Err(Error::BadChannel { field: "user", .. })));
    let lamp: Channel =
        serde_json::from_str(r#"{"kind": "lamp", "url": "http://10.0.0.9/?{lights}"}"#).unwrap();
    assert!(matches!(lamp, Channel::Lamp { method: Method::Get, .. }));
    let line: Channel = serde_json::from_str(
        r#"{"kind": "syslog", "address": "log:514", "transport": "tcp", "facility": "local4"}"#,
    )
    .unwrap();
    assert!(matches!(line, Channel::Syslog { facility: Facility::Local4, .. }));
    for wrong in [
        smtp.replace("secret", "password"),
        smtp.replace("starttls", "ssl"),
        smtp.replace("smtp", "pager"),
        r#"{"kind": "webhook"}"#.to_owned(),
        r#"{"kind": "lamp", "url": "x", "lights": ["1"]}"#.to_owned(),
        r#"{"kind": "lamp", "url": "x", "method": "get"}"#.to_owned(),
    ] {
        assert!(serde_json::from_str::<Channel>(&wrong).is_err(), "{wrong}");
    }
}
