//! What `smbstatus --json` calls the clients, asked in a thread of its own: nobody waits for it.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use serde::Deserialize;

use super::{Client, Samba};
use crate::files::fanotify::roam;

const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_MAX: u64 = 16 << 20;
const NAMES_MAX: usize = 8192;
/// A session is listed a moment after its connection stands; and a server that is flooded is not flooded by us.
const PAUSE: Duration = Duration::from_millis(300);

/// A client in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientName {
    /// The account that it logged in with.
    pub user: String,
    /// The machine, as it calls itself.
    pub machine: String,
}

type Known = Arc<Mutex<HashMap<Client, ClientName>>>;

/// The names that are known so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    samba: Samba,
    known: Known,
    asked: Option<Sender<()>>,
}

impl Names {
    pub(super) fn new(samba: Samba) -> Self {
        Self { samba, ..Self::default() }
    }

    pub(super) fn of(&self, client: Client) -> Option<ClientName> {
        self.known.lock().ok()?.get(&client).cloned()
    }

    /// There is a new connection. The thread is only started where there is a Samba.
    pub(super) fn ask(&mut self) {
        let asked = self.asked.get_or_insert_with(|| start(self.samba.clone(), Arc::clone(&self.known)));
        // Full: it will look after this connection, too.
        let _ = asked.try_send(());
    }
}

fn start(samba: Samba, known: Known) -> Sender<()> {
    let (send, asked) = bounded(1);
    let work = move || {
        roam();
        while asked.recv().is_ok() {
            for _ in 0..2 {
                thread::sleep(PAUSE);
                let Some(answer) = ask(&samba) else { continue };
                let Ok(mut known) = known.lock() else { return };
                if known.len() >= NAMES_MAX {
                    known.clear();
                }
                known.extend(parse(&answer));
            }
        }
    };
    // Without a thread the clients have no names; they are told apart all the same.
    let _ = thread::Builder::new().name("smbstatus".into()).spawn(work);
    send
}

fn ask(samba: &Samba) -> Option<Vec<u8>> {
    let mut command = Command::new(&samba.smbstatus);
    command.args(["--json", "--processes"]);
    if let Some(configuration) = &samba.configuration {
        command.arg("--configfile").arg(configuration);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let stdout = child.stdout.take()?;
    let read = thread::Builder::new().name("smbstatus-out".into()).spawn(move || {
        let mut answer = Vec::new();
        let _ = stdout.take(ANSWER_MAX).read_to_end(&mut answer);
        answer
    });
    let end = Instant::now() + PATIENCE;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= end {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    read.ok()?.join().ok()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    sessions: HashMap<String, Session>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Session {
    uid: i64,
    username: String,
    remote_machine: String,
    hostname: String,
}

fn parse(answer: &[u8]) -> Vec<(Client, ClientName)> {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else { return vec![] };
    let named = |session: Session| {
        let client = Client {
            address: peer(&session.hostname).or_else(|| session.remote_machine.parse().ok())?,
            uid: u32::try_from(session.uid).ok()?,
        };
        Some((
            client,
            ClientName {
                user: bounded_name(session.username),
                machine: bounded_name(session.remote_machine),
            },
        ))
    };
    answer.sessions.into_values().take(NAMES_MAX).filter_map(named).collect()
}

/// `ipv4:192.0.2.7:49152` or `ipv6:2001:db8::7:49152`.
fn peer(text: &str) -> Option<IpAddr> {
    let (_, rest) = text.split_once(':')?;
    let (address, _) = rest.rsplit_once(':')?;
    Some(address.parse::<IpAddr>().ok()?.to_canonical())
}

/// The machine chooses what it is called.
fn bounded_name(name: String) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_name_clients_and_nonsense_names_nobody() {
        let answer = br#"{"sessions": {"654567950": {"session_id": "654567950", "server_id": {"pid": "8482"}, "uid": 1003,
            "username": "reception", "remote_machine": "pc-7", "hostname": "ipv4:192.0.2.7:36010"},
            "2": {"uid": -1, "username": "x", "hostname": "ipv4:192.0.2.8:1"},
            "3": {"uid": 0, "username": "root\u001b[2J", "remote_machine": "2001:db8::1", "hostname": ""}}, "tcons": {}}"#;
        let mut found = parse(answer);
        found.sort_by_key(|(client, _)| *client);
        let expected =
            [("192.0.2.7", 1003, "reception", "pc-7"), ("2001:db8::1", 0, "root[2J", "2001:db8::1")].map(
                |(address, uid, user, machine)| {
                    let name = ClientName { user: user.into(), machine: machine.into() };
                    (Client { address: address.parse().unwrap(), uid }, name)
                },
            );
        assert_eq!(found, expected);
        for nonsense in [&b""[..], b"[]", b"{\"sessions\": 7}", b"{\"sessions\": {\"a\": {\"uid\": \"x\"}}}"]
        {
            assert_eq!(parse(nonsense), []);
        }
    }
}
