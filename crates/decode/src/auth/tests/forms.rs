//! Each format by lines of our own.

use schema::AuthOutcome::{self, Ended, Failure, Reached, Success};
use schema::AuthReason::{
    self, Broken, Disabled, Expired, Locked, NoSuchAccount, None as Fine, NotAllowed, TooMany, Unknown,
    WrongSecret,
};
use schema::{LogRecord, ValueKind};

use super::{Reader, events, reader};

fn fresh() -> Reader {
    reader("2026-11-23T00:00:00Z", "UTC")
}

/// One line, one event, from 198.51.100.7 unless it says otherwise.
fn check(line: &str, outcome: AuthOutcome, reason: AuthReason, account: &str, from: &str) {
    let found = events(&mut fresh(), line.as_bytes());
    assert_eq!(found.len(), 1, "{line}: {found:?}");
    let read = &found[0];
    let seen = (
        read.outcome,
        read.reason,
        read.account.as_deref().unwrap_or("-"),
        read.from.as_deref().unwrap_or("-"),
    );
    assert_eq!(seen, (outcome, reason, account, from), "{line}");
}

fn nothing(line: &str) {
    let found = events(&mut fresh(), line.as_bytes());
    assert!(found.is_empty(), "{line}: {found:?}");
}

const A: &str = "198.51.100.7";

#[test]
fn shells_and_desktops() {
    let ssh = |text: &str| format!("Nov  1 00:00:00 emr1 sshd-session[77]: {text}");
    check(&ssh("Accepted password for yamada from 198.51.100.7 port 5 ssh2"), Success, Fine, "yamada", A);
    check(
        &ssh("Accepted publickey for yamada from 2001:db8::7 port 5 ssh2: ED25519 SHA256:x from 192.0.2.1"),
        Success,
        Fine,
        "yamada",
        "2001:db8::7",
    );
    check(&ssh("Failed password for root from 198.51.100.7 port 5 ssh2"), Failure, WrongSecret, "root", A);
    check(
        &ssh("Failed none for invalid user admin from 198.51.100.7 port 5 ssh2"),
        Failure,
        NoSuchAccount,
        "admin",
        A,
    );
    check(
        &ssh("Failed publickey for root from 198.51.100.7 port 5 ssh2: RSA SHA256:x"),
        Reached,
        WrongSecret,
        "root",
        A,
    );
    check(&ssh("Disconnected from user yamada 198.51.100.7 port 5"), Ended, Fine, "yamada", A);
    check(
        &ssh("User root from 198.51.100.7 not allowed because account is locked"),
        Failure,
        Locked,
        "root",
        A,
    );
    check(&ssh("pam_unix(sshd:session): session closed for user yamada"), Ended, Fine, "yamada", "-");
    // Some write no number of a process.
    check(
        "Nov  1 00:00:00 emr1 sshd: Failed publickey for root from 198.51.100.7 port 5 ssh2",
        Reached,
        WrongSecret,
        "root",
        A,
    );
    nothing(&ssh("Server listening on 0.0.0.0 port 22."));
    check(
        "Nov  1 00:00:00 h dropbear[7]: Pubkey auth succeeded for 'root' with key sha1!! 00:11 from 198.51.100.7:5",
        Success,
        Fine,
        "root",
        A,
    );
    check(
        "[20261101-00:00:00] [INFO ] ++ created session (access granted): username yamada, ip 198.51.100.7:5 - socket: 12",
        Success,
        Fine,
        "yamada",
        A,
    );
    check(
        "[20261101-00:00:00] [INFO ] AUTHFAIL: user=root ip=198.51.100.7 time=1",
        Failure,
        WrongSecret,
        "root",
        A,
    );
    check(
        "00:00:00.907 [http-nio] INFO  o.a.g.r.auth.AuthenticationService - User \"yamada\" successfully authenticated from 198.51.100.7.",
        Success,
        Fine,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h klogind[7]: Authentication failed from 198.51.100.7 (198.51.100.7): Permission denied",
        Failure,
        Unknown,
        "-",
        A,
    );
}

#[test]
fn one_attempt_that_a_program_tells_twice_is_one() {
    let mut reader = fresh();
    let mut failures = 0;
    for text in [
        "Invalid user admin from 198.51.100.7 port 5",
        "pam_unix(sshd:auth): check pass; user unknown",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.7 ",
        "Failed password for invalid user admin from 198.51.100.7 port 5 ssh2",
        "Connection closed by invalid user admin 198.51.100.7 port 5 [preauth]",
    ] {
        let found = events(&mut reader, format!("Nov  1 00:00:00 h sshd[9]: {text}").as_bytes());
        failures += found.iter().filter(|read| read.outcome == Failure).count();
    }
    assert_eq!(failures, 1);
    for text in ["Failed password for root from 198.51.100.7 port 5 ssh2"; 3] {
        failures += events(&mut reader, format!("Nov  1 00:00:00 h sshd[10]: {text}").as_bytes()).len();
    }
    assert_eq!(failures, 4);
}

#[test]
fn vpns() {
    let forti = |rest: &str| {
        format!(
            "<185>date=2026-11-01 time=00:00:00 devname=\"FGT60F\" devid=\"FG1\" eventtime=1793491200000000000 tz=\"+0000\" logid=\"0101039426\" type=\"event\" {rest}"
        )
    };
    check(
        &forti(
            "subtype=\"vpn\" action=\"ssl-login-fail\" tunnelid=0 remip=198.51.100.7 user=\"yamada\" group=\"N/A\" reason=\"sslvpn_login_permission_denied\"",
        ),
        Failure,
        NotAllowed,
        "yamada",
        A,
    );
    check(
        &forti(
            "subtype=\"vpn\" action=\"ssl-login-fail\" remip=198.51.100.7 user=\"N/A\" reason=\"sslvpn_login_unknown_user\"",
        ),
        Failure,
        NoSuchAccount,
        "-",
        A,
    );
    check(
        &forti(
            "subtype=\"vpn\" action=\"tunnel-up\" tunneltype=\"ssl-tunnel\" tunnelid=77 remip=198.51.100.7 user=\"vendor-a\" group=\"vendors\"",
        ),
        Success,
        Fine,
        "vendor-a",
        A,
    );
    check(
        &forti("subtype=\"vpn\" action=\"tunnel-down\" tunnelid=77 remip=198.51.100.7 user=\"vendor-a\""),
        Ended,
        Fine,
        "vendor-a",
        A,
    );
    check(
        &forti(
            "subtype=\"system\" action=\"login\" status=\"failed\" user=\"admin\" ui=\"https(198.51.100.7)\" reason=\"passwd_invalid\"",
        ),
        Failure,
        WrongSecret,
        "admin",
        A,
    );
    check(
        &forti(
            "subtype=\"system\" action=\"login\" status=\"success\" user=\"admin\" ui=\"ssh(198.51.100.7)\"",
        ),
        Success,
        Fine,
        "admin",
        A,
    );
    nothing(&forti("subtype=\"forward\" action=\"accept\" srcip=198.51.100.7"));
    let found = events(
        &mut fresh(),
        forti("subtype=\"vpn\" action=\"tunnel-up\" remip=198.51.100.7 user=\"x\"").as_bytes(),
    );
    assert_eq!((found[0].host.as_str(), found[0].at), ("FGT60F", 1_793_491_200_000_000));
    let ovpn = |rest: &str| format!("Nov  1 00:00:00 gw ovpn-server[7]: {rest}");
    check(
        &ovpn("198.51.100.7:5 TLS Auth Error: Auth Username/Password verification failed for peer"),
        Failure,
        WrongSecret,
        "-",
        A,
    );
    check(
        &ovpn("198.51.100.7:5 [vendor-a] Peer Connection Initiated with [AF_INET]198.51.100.7:5"),
        Success,
        Fine,
        "vendor-a",
        A,
    );
    check(
        &ovpn("vendor-a/198.51.100.7:5 SIGTERM[soft,remote-exit] received, client-instance exiting"),
        Ended,
        Fine,
        "vendor-a",
        A,
    );
    nothing(&ovpn("Initialization Sequence Completed"));
    let pan = |kind: &str, rest: &str| {
        format!("<14>Nov  1 00:00:00 pa1 1,2026/11/01 00:00:00,0123456789,{kind},{rest}")
    };
    let gp = |stage: &str, status: &str, error: &str| {
        pan(
            "GLOBALPROTECT",
            &format!(
                "0,2561,2026/11/01 00:00:00,vsys1,gateway-auth,{stage},RADIUS,,HOSP\\yamada,JP,pc7,198.51.100.7,0.0.0.0,0.0.0.0,0.0.0.0,id,serial,5.2,Windows,\"10\",1,,\"{error}\",,{status},,0,,0,gw1,7,0x0"
            ),
        )
    };
    let found = events(&mut fresh(), gp("login", "failure", "Invalid username/password").as_bytes());
    assert_eq!(found.len(), 1, "{found:?}");
    check(
        &pan(
            "SYSTEM",
            "globalprotect,0,2026/11/01 00:00:00,,globalprotectgateway-auth-fail,gw,0,0,general,informational,\"GlobalProtect gateway user authentication failed. Login from: 198.51.100.7, Source region: JP, User name: yamada, Client OS version: x, Reason: Authentication failed: Invalid username or password, Auth type: profile.\",1,0x0",
        ),
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        &pan(
            "SYSTEM",
            "auth,0,2026/11/01 00:00:00,,auth-fail,,0,0,general,medium,\"failed authentication for user 'admin'. Reason: Invalid username/password. From: 198.51.100.7.\",1,0x0",
        ),
        Failure,
        WrongSecret,
        "admin",
        A,
    );
    let pulse = |rest: &str| {
        format!("<134>Nov  1 00:00:00 vpn1 PulseSecure: 2026-11-01 00:00:00 - ive - [198.51.100.7] {rest}")
    };
    check(
        &pulse("yamada(Users)[] - Login failed using auth server AD (Active Directory).  Reason: Failed"),
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        &pulse(
            "vendor-a(Vendors)[Vendor] - Login succeeded for vendor-a/Vendors (session:00000000) from 198.51.100.7.",
        ),
        Success,
        Fine,
        "vendor-a",
        A,
    );
}

#[test]
fn shares_and_gateways() {
    let json = |status: &str| {
        format!(
            r#"{{"timestamp": "2026-11-01T00:00:00.000000+0900", "type": "Authentication", "Authentication": {{"version": {{"major": 1, "minor": 2}}, "eventId": 4625, "logonId": "0", "logonType": 3, "status": "{status}", "localAddress": "ipv4:192.0.2.1:445", "remoteAddress": "ipv4:198.51.100.7:5", "serviceDescription": "SMB2", "authDescription": null, "clientDomain": "HOSP", "clientAccount": "yamada", "workstation": "PC\"7", "duration": 6863}}}}"#
        )
    };
    check(&json("NT_STATUS_ACCOUNT_DISABLED"), Failure, Disabled, "yamada", A);
    check(&json("NT_STATUS_OK"), Success, Fine, "yamada", A);
    let found = events(&mut fresh(), format!("  {}", json("NT_STATUS_PASSWORD_EXPIRED")).as_bytes());
    assert_eq!((found[0].reason, found[0].at), (Expired, 1_793_458_800_000_000), "{found:?}");
    check(
        r#"Nov  1 00:00:00 gw1 gateway: The user "HOSP\yamada", on client computer "198.51.100.7", did not meet connection authorization policy requirements and was therefore not authorized to access the RD Gateway server."#,
        Failure,
        NotAllowed,
        "yamada",
        A,
    );
    check(
        r#"The user "HOSP\yamada", on client computer "198.51.100.7", connected to resource "emr1.example". Connection protocol used: "HTTP"."#,
        Success,
        Fine,
        "yamada",
        A,
    );
}

#[test]
fn servers() {
    check(
        "Sun Nov  1 00:00:00 2026 [pid 3] [yamada] FAIL LOGIN: Client \"198.51.100.7\"",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h proftpd[7]: 192.0.2.1 (ftp.example[198.51.100.7]) - USER yamada (Login failed): Incorrect password",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h proftpd[7]: 192.0.2.1 (198.51.100.7[198.51.100.7]) - USER x: no such user found from ftp.example [198.51.100.7] to 192.0.2.1:21",
        Failure,
        NoSuchAccount,
        "x",
        A,
    );
    check(
        "Nov  1 00:00:00 h pure-ftpd: (?@198.51.100.7) [WARNING] Authentication failed for user [yamada]",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h dovecot: imap-login: Login: user=<yamada>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, mpid=7, TLS",
        Success,
        Fine,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h dovecot: pop3-login: Aborted login (auth failed, 1 attempts in 2 secs): user=<yamada>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h dovecot: auth-worker(9): pam(yamada,198.51.100.7): unknown user",
        Failure,
        NoSuchAccount,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h postfix/smtps/smtpd[7]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=yamada",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h postfix/smtpd[7]: 4F1: client=mx.example[198.51.100.7], sasl_method=PLAIN, sasl_username=yamada",
        Success,
        Fine,
        "yamada",
        A,
    );
    check(
        "2026-11-01T00:00:00.000000Z 9 [Note] [MY-010926] [Server] Access denied for user 'root'@'198.51.100.7' (using password: YES)",
        Failure,
        WrongSecret,
        "root",
        A,
    );
    check(
        "2026-11-01 00:00:00.10 Logon       Login succeeded for user 'sa'. Connection made using SQL Server authentication. [CLIENT: 198.51.100.7]",
        Success,
        Fine,
        "sa",
        A,
    );
    check(
        "2026-11-01 00:00:00.123 UTC [77] emr@emr host=198.51.100.7 FATAL:  password authentication failed for user \"emr\"",
        Failure,
        WrongSecret,
        "emr",
        A,
    );
    check(
        "198.51.100.7 - yamada [01/Nov/2026:09:00:00 +0900] \"GET /admin HTTP/1.1\" 401 5 \"-\" \"curl\"",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "198.51.100.7 - yamada [01/Nov/2026:09:00:00 +0900] \"GET /admin HTTP/1.1\" 200 5",
        Success,
        Fine,
        "yamada",
        A,
    );
    nothing("198.51.100.7 - - [01/Nov/2026:09:00:00 +0900] \"GET / HTTP/1.1\" 401 5 \"-\" \"curl\"");
    check(
        "198.51.100.7 - - [01/Nov/2026:09:00:00 +0900] \"GET /remote/fgt_lang?lang=/%2e%2e/..//////dev/cmdb/sslvpn_websession HTTP/1.1\" 404 5",
        Failure,
        NotAllowed,
        "-",
        A,
    );
    nothing("198.51.100.7 - - [01/Nov/2026:09:00:00 +0900] \"GET /remote/fgt_lang?lang=en HTTP/1.1\" 200 5");
    check(
        "2026/11/01 00:00:00 [error] 9#9: *1 user \"yamada\": password mismatch, client: 198.51.100.7, server: emr.example, request: \"GET / HTTP/1.1\"",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "[Sun Nov 01 00:00:00.5 2026] [auth_basic:error] [pid 7] [client 198.51.100.7:5] AH01618: user yamada not found: /",
        Failure,
        NoSuchAccount,
        "yamada",
        A,
    );
    check(
        "2026-11-01 00:00:00,388 fail2ban.actions        [123]: NOTICE  [sshd] Ban 198.51.100.7",
        Failure,
        TooMany,
        "-",
        A,
    );
    check(
        "Nov  1 00:00:00 gw system,info,account user admin logged in from 198.51.100.7 via winbox",
        Success,
        Fine,
        "admin",
        A,
    );
}

#[test]
fn the_machine_itself() {
    check(
        "Nov  1 00:00:00 h sudo: yamada : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Failure,
        WrongSecret,
        "yamada",
        "-",
    );
    check(
        "Nov  1 00:00:00 h sudo: yamada : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Failure,
        NotAllowed,
        "yamada",
        "-",
    );
    check(
        "Nov  1 00:00:00 h sudo[7]: yamada : TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        Success,
        Fine,
        "yamada",
        "-",
    );
    check("Nov  1 00:00:00 h su[7]: FAILED SU (to root) yamada on pts/1", Failure, WrongSecret, "root", "-");
    check("Nov  1 00:00:00 h su: (to root) yamada on pts/1", Success, Fine, "root", "-");
    check(
        "Nov  1 00:00:00 h login[7]: FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure",
        Failure,
        WrongSecret,
        "root",
        "-",
    );
    check("Nov  1 00:00:00 h login[7]: ROOT LOGIN ON tty1", Success, Fine, "root", "-");
    check(
        "Nov  1 00:00:00 h vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=yamada rhost=198.51.100.7  user=yamada",
        Failure,
        WrongSecret,
        "yamada",
        A,
    );
    check(
        "Nov  1 00:00:00 h sshd[7]: Connection reset by authenticating user root 198.51.100.7 port 5 [preauth]",
        Reached,
        Broken,
        "root",
        A,
    );
}

#[test]
fn journals_and_records_for_rules() {
    // What is no printable text is an array of bytes.
    let text = b"Failed password for invalid user \x1b[31m\xff from 198.51.100.7 port 5 ssh2"
        .map(|byte| byte.to_string());
    let line = format!(
        r#"{{"__REALTIME_TIMESTAMP":"1793491200000000","SYSLOG_IDENTIFIER":"sshd","MESSAGE":[{}]}}"#,
        text.join(",")
    );
    check(&line, Failure, NoSuchAccount, "\u{1b}[31m\u{fffd}", A);
    let line = br#"{"__REALTIME_TIMESTAMP":"1793491200000000","_HOSTNAME":"EMR1.example","SYSLOG_IDENTIFIER":"sshd","_PID":"7","MESSAGE":"Invalid user \"x\" from 198.51.100.7 port 5"}"#;
    let mut record = LogRecord::default();
    let mut found = Vec::new();
    let seen = fresh().read(line, Some(&mut record), &mut |event| found.push(super::owned(event)));
    assert_eq!(
        (found[0].host.as_str(), found[0].account.as_deref(), found[0].at),
        ("emr1", Some("\"x\""), 1_793_491_200_000_000)
    );
    assert_eq!((seen.format, seen.events), (Some("sshd"), 1));
    assert_eq!((record.product, record.channel.as_str(), record.host.as_str()), ("linux", "sshd", "emr1"));
    assert_eq!(record.get("message"), Some(("Invalid user \"x\" from 198.51.100.7 port 5", ValueKind::Text)));
    for (line, product, channel, field, value) in [
        (
            "198.51.100.7 - - [01/Nov/2026:09:00:00 +0900] \"GET /a?b=c HTTP/1.1\" 200 5 \"-\" \"sqlmap\"",
            "",
            "webserver",
            "cs-uri-query",
            "b=c",
        ),
        (
            "date=2026-11-01 type=\"event\" subtype=\"system\" action=\"login\"",
            "fortigate",
            "event",
            "action",
            "login",
        ),
        ("Nov  1 00:00:00 h cron[7]: (root) CMD (x)", "linux", "cron", "program", "cron"),
        ("Nov  1 00:00:00 h useradd[7]: new user: name=x", "linux", "auth", "message", "new user: name=x"),
        (r#"{"a":{"b":"c"}}"#, "linux", "syslog", "a.b", "c"),
    ] {
        fresh().read(line.as_bytes(), Some(&mut record), &mut |_| {});
        let got = record.get(field).map(|(value, _)| value);
        assert_eq!((record.product, record.channel.as_str(), got), (product, channel, Some(value)), "{line}");
    }
}
