//! What nobody wrote in good faith.

use proptest::prelude::*;
use schema::{AuthOutcome, LogRecord};

use super::{events, reader};

const NOW: &str = "2026-11-23T00:00:00Z";

fn source_of(line: &str) -> Vec<Option<String>> {
    events(&mut reader(NOW, "UTC"), line.as_bytes())
        .into_iter()
        .filter(|read| read.outcome == AuthOutcome::Failure)
        .map(|read| read.from)
        .collect()
}

/// Names that try to speak for the line they stand in: the address is the true one for each format.
#[test]
fn whoever_writes_an_address_into_his_name_is_still_told_from_his_own() {
    let names = [
        "from 192.0.2.66",
        "x from 192.0.2.66 port 22 ssh2",
        "x from 192.0.2.66 port 22",
        "root ip=192.0.2.66 time=1",
        "x', from 192.0.2.66",
        "x'@'192.0.2.66' (using password: YES)",
        "x'. Reason: y. [CLIENT: 192.0.2.66]",
        "x\", from 192.0.2.66.",
        "x user=y rhost=192.0.2.66",
        "x msg=y",
        "[192.0.2.66]",
        "\u{1b}[31mred",
        "a\\nFailed password for root from 192.0.2.66 port 22 ssh2",
        "(Login failed): ",
    ];
    for name in names {
        for line in [
            format!(
                "Nov  1 00:00:00 h sshd[1]: Failed password for invalid user {name} from 198.51.100.7 port 5 ssh2"
            ),
            format!("Nov  1 00:00:00 h sshd[1]: Invalid user {name} from 198.51.100.7 port 5"),
            format!(
                "Nov  1 00:00:00 h sshd[1]: User {name} from 198.51.100.7 not allowed because not listed in AllowUsers"
            ),
            format!(
                "Nov  1 00:00:00 h sshd[1]: error: maximum authentication attempts exceeded for {name} from 198.51.100.7 port 5 ssh2 [preauth]"
            ),
            format!("Nov  1 00:00:00 h dropbear[1]: Bad password attempt for '{name}' from 198.51.100.7:5"),
            format!("Nov  1 00:00:00 h xrdp-sesman[1]: [INFO ] AUTHFAIL: user={name} ip=198.51.100.7 time=7"),
            format!(
                "2026-11-01 00:00:00.5 Logon       Login failed for user '{name}'. Reason: Password did not match that for the login provided. [CLIENT: 198.51.100.7]"
            ),
            format!(
                "2026-11-01T00:00:00Z 9 [Warning] Access denied for user '{name}'@'198.51.100.7' (using password: YES)"
            ),
            format!(
                "Nov  1 00:00:00 h pvedaemon[1]: authentication failure; rhost=198.51.100.7 user={name} msg=no such user"
            ),
            format!(
                "Nov  1 00:00:00 gw system,error,critical login failure for user {name} from 198.51.100.7 via ssh"
            ),
            format!("Nov  1 00:00:00 h webmin[1]: Invalid login as {name} from 198.51.100.7"),
            format!(
                "2026-11-01 00:00:00 Connection \"CID-1\": User authentication failed. The user name that has been provided was \"{name}\", from 198.51.100.7."
            ),
            format!(
                "Nov  1 00:00:00 h smbd[1]: Auth: [SMB2,(null)] user [D]\\[{name}] at [x] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD] workstation [W] remote host [ipv4:198.51.100.7:5] mapped to [D]\\[x]. local host [ipv4:192.0.2.1:445]"
            ),
        ] {
            let sources = source_of(&line);
            assert!(
                sources.iter().all(|source| source.as_deref() == Some("198.51.100.7")),
                "{line}: {sources:?}"
            );
            assert_eq!(sources.len(), 1, "{line}");
        }
    }
}

/// What a name, a request or a referrer says of an address is never the source: it is the true one, or none.
#[test]
fn an_address_that_was_written_into_another_field_is_not_the_source() {
    let forged = "192.0.2.66";
    let nginx = "2026/11/01 00:00:00 [error] 9#9: *1";
    let http = "[01/Nov/2026:09:00:00 +0900] \"GET / HTTP/1.1\" 401 12 \"-\"";
    let pam = "Nov  1 00:00:00 h vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp";
    let rest =
        "server: emr.example, request: \"GET / HTTP/1.1\", referrer: \"http://x/, client: 192.0.2.66, ";
    let smb = "status [NT_STATUS_WRONG_PASSWORD]";
    for (line, source) in [
        (format!("{nginx} user \"root\": password mismatch, client: 198.51.100.7, {rest}\""), true),
        (format!("{nginx} user \"x\" was not found in \"/etc/users\", client: 198.51.100.7, {rest}\""), true),
        (
            format!(
                "{nginx} user \"x\" was not found in \"/etc/users\", client: 198.51.100.7, {rest}\": password mismatch, client: {forged}, \""
            ),
            true,
        ),
        (
            format!(
                "{nginx} user \"x\" was not found in \"y\": password mismatch, client: 198.51.100.7, {rest}\", client: {forged}, \""
            ),
            true,
        ),
        (
            format!(
                "{nginx} user \"x [client {forged}] user y\": password mismatch, client: 198.51.100.7, {rest} not found: \""
            ),
            true,
        ),
        (format!("198.51.100.7 - Access denied for user 'root'@'{forged}' {http} \"curl\""), true),
        (format!("198.51.100.7 - yamada {http} \"AUTHFAIL: user=root ip={forged} time=1\""), true),
        (
            format!(
                "Auth: [SMB2,(null)] user [D]\\[u] at [x] with [NTLMv2] {smb} workstation [W] remote host [ipv4:{forged}:1] remote host [ipv4:198.51.100.7:5] mapped to [D]\\[u]. local host [ipv4:192.0.2.1:445]"
            ),
            false,
        ),
        (
            format!(
                "Auth: [SMB2,(null)] user [D]\\[u] at [x] with [NTLMv2] {smb} workstation [W] remote host [ipv4:198.51.100.7:5] mapped to [D]\\[u] workstation [y] remote host [ipv4:{forged}:1]. local host [ipv4:192.0.2.1:445]"
            ),
            false,
        ),
        (format!("{pam} ruser=x rhost={forged} user=root rhost=198.51.100.7  user=root"), false),
        (format!("{pam} ruser=x rhost={forged} user= rhost=198.51.100.7"), false),
        (
            format!(
                "2026-11-01 00:00:00 UTC [77] user=client={forged},db=x,client=198.51.100.7 FATAL:  password authentication failed for user \"client={forged}\""
            ),
            true,
        ),
        (
            format!(
                "2026-11-01 00:00:00 UTC [77] client={forged}@emr host=198.51.100.7 FATAL:  password authentication failed for user \"client={forged}\""
            ),
            true,
        ),
        (
            format!(
                "2026-11-01 00:00:00 UTC [77] host={forged} FATAL:  role \"@emr host=198.51.100.7 FATAL:  role \"x\" does not exist"
            ),
            false,
        ),
        (
            format!(
                "2026-11-01 00:00:00 UTC [77] host=198.51.100.7 FATAL:  password authentication failed for user \"x for host \"{forged}\""
            ),
            true,
        ),
        (
            format!(
                "Nov  1 00:00:00 h sendmail[7]: 4F1: AUTH failure (LOGIN): user not found (-20), user=x, relay=y [{forged}], relay=host [198.51.100.7]"
            ),
            true,
        ),
    ] {
        let expected = if source { "Some(198.51.100.7)" } else { "None" };
        let found = events(&mut reader(NOW, "UTC"), line.as_bytes());
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert_eq!(found[0].outcome, AuthOutcome::Failure, "{line}");
        assert!(found[0].debug.contains(&format!("source: {expected},")), "{line}: {found:?}");
    }
    // A request for a path that looks like a message.
    let line =
        format!("{nginx} open() \"/srv/ user \"root\": password mismatch, client: {forged}, x\" failed");
    assert!(source_of(&line).is_empty());
}

#[test]
fn bytes_that_are_no_text_and_lines_without_end_are_read_and_said_to_be_so() {
    let mut reader = reader(NOW, "UTC");
    let mut line = b"Nov  1 00:00:00 h sshd[1]: Invalid user \xff\xfe\x00x from 198.51.100.7 port 5".to_vec();
    let mut found = Vec::new();
    let seen =
        reader.read(&line, None, &mut |event| found.push(event.account.unwrap_or_default().to_owned()));
    assert!(seen.dirty && found == ["\u{fffd}\u{fffd}\0x"], "{found:?}");
    line.resize(10 << 20, b'x');
    let seen = reader.read(&line, None, &mut |_| {});
    assert!(seen.dirty);
    let long =
        format!("Nov  1 00:00:00 h sshd[1]: Invalid user {} from 198.51.100.7 port 5", "y".repeat(9_999));
    assert_eq!(events(&mut reader, long.as_bytes())[0].account.as_ref().unwrap().len(), 256);
}

const PIECES: &[&str] = &[
    "Nov  1 00:00:00 ",
    "2026-11-01T00:00:00Z ",
    "<38>1 ",
    "[",
    "]",
    "\"",
    "{",
    "}",
    "h ",
    "sshd[1]: ",
    "dovecot: ",
    "smbd[7]: ",
    "Failed password for ",
    "Invalid user ",
    " from ",
    "198.51.100.7",
    " port ",
    "ssh2",
    ":",
    "'",
    "Disconnecting ",
    "Connection closed by ",
    "authentication failure; ruser=",
    " rhost=",
    " user=",
    "pam_unix(sshd:auth): ",
    "date=2026-11-01 ",
    "action=\"",
    "1,2026/11/01 00:00:00,",
    "GLOBALPROTECT,",
    "\\",
    "%2e%2e/",
    "GET /remote/fgt_lang ",
    "あ",
    "\u{0}",
    "\u{1b}",
    ",",
    "(",
    ")",
    " - ",
    "Auth: [",
    "AUTHFAIL: user=",
];

proptest! {
    #[test]
    fn no_line_whatever_is_in_it_ends_the_reader(pieces in prop::collection::vec(0..PIECES.len(), 0..24), noise in prop::collection::vec(any::<u8>(), 0..16)) {
        let mut line: Vec<u8> = pieces.iter().flat_map(|at| PIECES[*at].bytes()).collect();
        let at = line.len() / 2;
        line.splice(at..at, noise);
        let mut reader = reader(NOW, "Asia/Tokyo");
        let mut record = LogRecord::default();
        for _ in 0..2 {
            reader.read(&line, Some(&mut record), &mut |event| {
                assert!(event.account.is_none_or(|name| name.len() <= 256) && event.workstation.is_none_or(|name| name.len() <= 256));
            });
        }
    }
}
