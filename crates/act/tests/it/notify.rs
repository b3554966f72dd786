use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use act::Error;
use act::notify::{Channel, Facility, Method, Notice, Tls, Transport, send};
use schema::{IncidentId, Lang, Severity};
use testkit::servers::{Postfix, Rsyslog, free_port, web};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(700);

fn notice(lang: Lang) -> Notice {
    Notice {
        incident: Some(IncidentId(12)),
        severity_id: Severity::Critical,
        title: "Files were encrypted\r\nBcc: everybody@example.invalid".into(),
        title_ja: "ファイルが暗号化されました\r\nBcc: everybody@example.invalid".into(),
        body: "3 stores, 2 hosts.".into(),
        body_ja: "保存領域3件、ホスト2台です。".into(),
        at: "2026-11-22T05:06:07.089Z".parse().unwrap(),
        lang,
    }
}

fn secrets(name: &str) -> Option<String> {
    (name == "webhook").then(|| "a secret of the hospital".to_owned())
}

fn deliver(channel: &Channel, lang: Lang) -> Result<String, Error> {
    send(channel, &notice(lang), &secrets, PATIENCE).map(|delivery| delivery.proof)
}

#[test]
fn a_mail_server_takes_a_notice_and_its_queue_id_is_the_proof() {
    let test = "a_mail_server_takes_a_notice";
    if !testkit::root(test) || ["postfix", "openssl"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let postfix = Postfix::start();
    let mail = |tls, ca, to: &str| Channel::Smtp {
        server: "127.0.0.1".into(),
        port: if tls == Tls::Tls { postfix.tls_port } else { postfix.port },
        from: "Chartward <chartward@hospital.invalid>".into(),
        to: vec![to.into()],
        tls,
        ca,
        user: None,
        secret: None,
    };
    let oncall = "oncall@hospital.invalid";
    for (tls, lang) in [(Tls::None, Lang::En), (Tls::Starttls, Lang::Ja), (Tls::Tls, Lang::Ja)] {
        let ca = (tls != Tls::None).then(|| postfix.ca());
        let proof = deliver(&mail(tls, ca, oncall), lang).unwrap();
        let id = proof.strip_prefix("250 2.0.0 Ok: queued as ").unwrap_or_else(|| panic!("{proof}"));
        let arrived = postfix.mail(id);
        let (head, body) = arrived.split_once("\n\n").unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
        assert!(
            head.contains("X-Chartward-Incident: INC-0012")
                && head.contains("Auto-Submitted: auto-generated")
        );
        assert!(head.contains("MIME-Version: 1.0"), "{head}");
        assert_eq!(head.contains("with ESMTPS id"), tls != Tls::None, "{head}");
        if lang == Lang::En {
            assert!(head.contains("Subject: [Chartward] Files were encrypted"), "{head}");
            assert!(body.contains("3 stores, 2 hosts."), "{body}");
        }
    }
    // Who signed the certificate is not known here: not a word is sent.
    for tls in [Tls::Starttls, Tls::Tls] {
        assert!(matches!(deliver(&mail(tls, None, oncall), Lang::En), Err(Error::Deliver { .. })));
    }
    let refused = deliver(&mail(Tls::None, None, "nobody@hospital.invalid"), Lang::En).unwrap_err();
    let chain = format!("{refused}: {}", std::error::Error::source(&refused).unwrap());
    assert!(chain.contains("550"), "{chain}");
    assert!(matches!(
        deliver(&mail(Tls::None, None, "no address"), Lang::En),
        Err(Error::BadChannel { field: "to", .. })
    ));
}

#[test]
fn a_syslog_server_reads_every_field_over_tcp_and_udp() {
    let test = "a_syslog_server_reads_every_field";
    if testkit::tool(test, "rsyslogd").is_none() {
        return;
    }
    let rsyslog = Rsyslog::start();
    for (transport, app_name, proof) in [
        (Transport::Tcp, "by tcp", "accepted by the kernel of 127.0.0.1:"),
        (Transport::Udp, "by-udp", "UDP has no receipt"),
    ] {
        let channel = Channel::Syslog {
            address: format!("127.0.0.1:{}", rsyslog.port),
            transport,
            facility: Facility::Local3,
            app_name: app_name.into(),
        };
        let said = deliver(&channel, Lang::Ja).unwrap();
        assert!(said.contains(proof), "{said}");
        let app_name = app_name.replace(' ', "");
        let fields = rsyslog.fields(&app_name);
        let pid = std::process::id().to_string();
        let data = r#"[chartward@32473 severity_id="5" lang="ja" incident="INC-0012"]"#;
        let text = "\u{feff}ファイルが暗号化されました  Bcc: everybody@example.invalid: 保存領域3件、ホスト2台です。";
        let expected =
            ["1", "local3", "crit", "2026-11-22T05:06:07.089Z", &app_name, &pid, "notice", data, text];
        assert_eq!(fields, expected);
    }
}

#[test]
fn a_web_server_verifies_the_signature_and_answers_in_its_own_words() {
    let test = "a_web_server_verifies";
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let (_web, port) = web();
    let hook = |path: &str, secret: Option<&str>| Channel::Webhook {
        url: format!("http://127.0.0.1:{port}{path}"),
        secret: secret.map(str::to_owned),
        headers: BTreeMap::from([("X-Team".to_owned(), "night".to_owned())]),
    };
    let proof = deliver(&hook("/hook", Some("webhook")), Lang::Ja).unwrap();
    assert!(
        proof.starts_with("HTTP 202 taken 12 5 night INC-0012 ファイルが暗号化されました  Bcc"),
        "{proof}"
    );
    let not_taken = |channel: &Channel| match deliver(channel, Lang::En) {
        Err(Error::NotTaken { answer, .. }) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(not_taken(&hook("/hook", None)), "HTTP 401 bad signature");
    assert_eq!(not_taken(&hook("/other", None)), "HTTP 500 out of  order");
    assert_eq!(not_taken(&hook("/redirect", Some("webhook"))), "HTTP 302 elsewhere");
    assert!(
        matches!(deliver(&hook("/hook", Some("lost")), Lang::En), Err(Error::NoSecret { name }) if name == "lost")
    );
    let endless = deliver(&hook("/endless", None), Lang::En).unwrap();
    assert!(endless.len() <= 600 && endless.starts_with("HTTP 200 xxx"));
    let begun = Instant::now();
    let slow = send(&hook("/slow", None), &notice(Lang::En), &secrets, MOMENT);
    assert!(matches!(slow, Err(Error::Deliver { .. })) && begun.elapsed() < PATIENCE);
    let injected = Channel::Webhook {
        url: format!("http://127.0.0.1:{port}/hook"),
        secret: None,
        headers: BTreeMap::from([("X-Team".to_owned(), "night\r\nX-Other: 1".to_owned())]),
    };
    assert!(matches!(deliver(&injected, Lang::En), Err(Error::BadChannel { field: "headers", .. })));
}

#[test]
fn a_signal_lamp_is_set_by_severity() {
    let test = "a_signal_lamp_is_set";
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let (_web, port) = web();
    let lamp = |path: &str, method| Channel::Lamp {
        url: format!("http://127.0.0.1:{port}{path}"),
        method,
        lights: ["0", "1", "10", "100", "200001"].map(str::to_owned),
    };
    let proof =
        deliver(&lamp("/lamp?alert={lights}&s={severity}&i={incident}&l={lang}", Method::Get), Lang::Ja);
    assert_eq!(proof.unwrap(), "HTTP 200 GET /lamp?alert=200001&s=5&i=12&l=ja");
    assert_eq!(deliver(&lamp("/lamp", Method::Put), Lang::En).unwrap(), "HTTP 200 PUT /lamp");
    assert!(matches!(deliver(&lamp("/none", Method::Get), Lang::En), Err(Error::NotTaken { .. })));
    assert!(matches!(deliver(&lamp("/lamp?{title}", Method::Get), Lang::En), Err(Error::BadChannel { .. })));
}

/// What a receiver does that takes connections and then misbehaves.
fn misbehaving(how: fn(std::net::TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().take(8).flatten() {
            thread::spawn(move || how(stream));
        }
    });
    port
}

#[test]
fn a_receiver_that_hangs_drips_or_is_not_there_never_holds_us_up() {
    let hangs = misbehaving(|stream| {
        thread::sleep(Duration::from_secs(8));
        drop(stream);
    });
    let drips = misbehaving(|mut stream| {
        let _ = stream.write_all(b"220");
        while stream.write_all(b"-x\r\n220").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let floods = misbehaving(|mut stream| while stream.write_all(&[b'2'; 65536]).is_ok() {});
    let nobody = free_port();
    let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
    for port in [hangs, drips, floods, nobody] {
        let channels = [
            Channel::Smtp {
                server: "127.0.0.1".into(),
                port,
                from: "a@hospital.invalid".into(),
                to: vec!["b@hospital.invalid".into()],
                tls: Tls::None,
                ca: None,
                user: None,
                secret: None,
            },
            Channel::Webhook {
                url: format!("http://127.0.0.1:{port}/"),
                secret: None,
                headers: BTreeMap::new(),
            },
        ];
        for channel in channels {
            let begun = Instant::now();
            let result = send(&channel, &notice(Lang::En), &secrets, MOMENT);
            assert!(matches!(result, Err(Error::Deliver { .. })), "{channel:?}: {result:?}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{channel:?}");
        }
    }
    let syslog = |port: u16, transport| Channel::Syslog {
        address: format!("127.0.0.1:{port}"),
        transport,
        facility: Facility::Local0,
        app_name: "chartward".into(),
    };
    let sent = |port, transport| send(&syslog(port, transport), &notice(Lang::En), &secrets, MOMENT);
    assert!(matches!(sent(nobody, Transport::Tcp), Err(Error::Deliver { .. })));
    assert!(sent(hangs, Transport::Tcp).unwrap().proof.contains("did not end the connection"));
    assert!(sent(quiet.local_addr().unwrap().port(), Transport::Udp).is_ok());
}
