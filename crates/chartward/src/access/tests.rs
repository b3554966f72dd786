//! The door as a whole: each rule as somebody meets it.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier, Mutex};

use jiff::{SignedDuration, Timestamp};
use prove::State;
use schema::Lang;
use tempfile::TempDir;

use super::*;

mod guests;
mod limits;
mod rules;

const PASSWORD: &str = "gravel-otter-lamp";
const OTHER: &str = "violin under seven bridges";

/// A state folder with the door to it. Time stands still unless a test moves it.
struct Door {
    access: Access,
    audits: Arc<Mutex<Vec<Audit>>>,
    dir: TempDir,
}

/// Somebody with a second factor.
struct Person {
    name: &'static str,
    secret: String,
    recovery: Vec<String>,
    session: Session,
    cookie: String,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn desk() -> IpAddr {
    "192.0.2.10".parse().unwrap()
}

fn elsewhere(number: u32) -> IpAddr {
    IpAddr::V4((0x0a00_0000 + number).into())
}

fn open(dir: &Path, audits: &Arc<Mutex<Vec<Audit>>>) -> Access {
    let settings = Settings { cost: Cost { kib: 64, passes: 1 }, ..Settings::new("Kita Clinic", true) };
    let audits = audits.clone();
    let auditor: Auditor = Arc::new(move |fact| audits.lock().unwrap().push(fact.clone()));
    let state = State::open(dir, at(0)).unwrap();
    Access::open(state, Sealed::open(dir, None).unwrap(), settings, auditor).unwrap()
}

impl Door {
    fn new() -> Self {
        let dir = TempDir::with_prefix("chartward-access-").unwrap();
        let audits = Arc::default();
        Self { access: open(dir.path(), &audits), audits, dir }
    }

    /// As after a restart of the hub.
    fn reopened(self) -> Self {
        let Self { access, audits, dir } = self;
        // One process holds the state folder at a time.
        drop(access);
        Self { access: open(dir.path(), &audits), audits, dir }
    }

    /// The first administrator, logged in at the desk with a second factor since second 0.
    fn admin(&self) -> Person {
        let code = self.access.set_up_code(at(0)).unwrap().unwrap();
        let logged_in =
            self.access.set_up(code.code.text(), "yoshiko", PASSWORD, Lang::Ja, desk(), at(0)).unwrap();
        self.with_totp("yoshiko", logged_in)
    }

    /// Another account, its password chosen; with a second factor where its role needs one.
    fn person(&self, admin: &Person, name: &'static str, role: Role) -> Person {
        let code = self.access.add_user(&admin.session.who(), name, role, Lang::En, at(0)).unwrap();
        let logged_in = self.access.accept(code.code.text(), name, PASSWORD, desk(), at(0)).unwrap();
        if role::needs_totp(role) {
            return self.with_totp(name, logged_in);
        }
        let cookie = logged_in.cookie.text().to_owned();
        Person { name, secret: String::new(), recovery: Vec::new(), session: logged_in.session, cookie }
    }

    fn with_totp(&self, name: &'static str, logged_in: LoggedIn) -> Person {
        let offer = self.access.begin_totp(&logged_in.session, at(0)).unwrap();
        let secret = offer.secret.text().replace(' ', "");
        let code = code_of(&secret, at(-30));
        let (recovery, logged_in) =
            self.access.confirm_totp(&logged_in.session, &offer.ticket, &code, desk(), at(0)).unwrap();
        let recovery = recovery.0.iter().map(|code| code.text().to_owned()).collect();
        let cookie = logged_in.cookie.text().to_owned();
        Person { name, secret, recovery, session: logged_in.session, cookie }
    }

    fn log_in(&self, person: &Person, address: IpAddr, now: Timestamp) -> Result<LoggedIn, Denied> {
        let code = (!person.secret.is_empty()).then(|| code_of(&person.secret, now));
        self.access.log_in(person.name, PASSWORD, code.as_deref(), address, now)
    }

    fn is_open(&self, cookie: &str, now: Timestamp) -> bool {
        self.access.session(cookie, now).unwrap().is_some()
    }

    fn audited(&self) -> Vec<(String, String, String, bool)> {
        let audits = self.audits.lock().unwrap();
        audits
            .iter()
            .map(|fact| (fact.user.clone(), fact.what.clone(), fact.object.clone(), fact.allowed))
            .collect()
    }
}

fn why<T: std::fmt::Debug>(result: Result<T, Denied>) -> Why {
    result.unwrap_err().why
}

/// The code that an authenticator shows.
fn code_of(secret: &str, now: Timestamp) -> String {
    totp::code(&unbase32(secret), totp::step_at(now), 6)
}

fn unbase32(text: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let digit = if letter.is_ascii_digit() { letter - b'2' + 26 } else { letter - b'A' };
        held = held << 5 | u32::from(digit);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

#[test]
fn codes_of_another_implementation_log_in() {
    let test = "codes_of_another_implementation_log_in";
    let Some(oathtool) = testkit::tool(test, "oathtool") else { return };
    let door = Door::new();
    let admin = door.admin();
    for minute in 1..=5 {
        let now = at(minute * 60);
        let made = Command::new(&oathtool)
            .args(["--totp", "--base32", "--now", &format!("@{}", now.as_second()), &admin.secret])
            .output()
            .unwrap();
        let code = String::from_utf8(made.stdout).unwrap();
        let logged_in = door.access.log_in("yoshiko", PASSWORD, Some(code.trim()), desk(), now);
        assert!(logged_in.is_ok(), "{logged_in:?} {}", String::from_utf8_lossy(&made.stderr));
    }
}

#[test]
fn a_stolen_database_lets_nobody_in() {
    let door = Door::new();
    let admin = door.admin();
    let code = door.access.add_user(&admin.session.who(), "tanaka", Role::Viewer, Lang::Ja, at(0)).unwrap();
    let token = door
        .access
        .make_token(&admin.session.who(), "prometheus", Role::Viewer, SignedDuration::from_hours(24), at(0))
        .unwrap();
    door.access.sealed().set("vault.passphrase", Secret::new("open sesame 123")).unwrap();
    let mut stolen = Vec::new();
    for entry in std::fs::read_dir(door.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(sealed::KEY_NAME) {
            stolen.extend(std::fs::read(path).unwrap());
        }
    }
    let raw_totp = unbase32(&admin.secret);
    let raw_cookie = hex::decode(&admin.cookie).unwrap();
    let mut secrets: Vec<(&str, &[u8])> = vec![
        ("password", PASSWORD.as_bytes()),
        ("cookie", admin.cookie.as_bytes()),
        ("raw cookie", &raw_cookie),
        ("csrf", admin.session.csrf.text().as_bytes()),
        ("totp", admin.secret.as_bytes()),
        ("raw totp", &raw_totp),
        ("invitation", code.code.text().as_bytes()),
        ("token", &token.text.text().as_bytes()[3..]),
        ("vault", b"open sesame"),
    ];
    secrets.extend(admin.recovery.iter().map(|code| ("recovery", code.as_bytes())));
    assert!(stolen.windows(7).any(|window| window == b"yoshiko"), "the right file was searched");
    for (what, secret) in secrets {
        assert!(!stolen.windows(secret.len()).any(|window| window == secret), "{what}");
    }
    let bare = admin.recovery[0].replace('-', "");
    assert!(!stolen.windows(bare.len()).any(|window| window == bare.as_bytes()));
}

/// Runs `try_it` in two threads at the same moment and counts who got through.
fn winners(try_it: impl Fn(u32) -> bool + Send + Sync) -> usize {
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let tries: Vec<_> = (0..2)
            .map(|number| {
                let (start, try_it) = (&start, &try_it);
                scope.spawn(move || {
                    start.wait();
                    try_it(number)
                })
            })
            .collect();
        tries.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    })
}

#[test]
fn of_two_at_the_same_time_one_gets_through() {
    let door = Door::new();
    let admin = door.admin();
    for round in 1..=8 {
        let now = at(round * 60);
        let code = code_of(&admin.secret, now);
        let step =
            winners(|n| door.access.log_in("yoshiko", PASSWORD, Some(&code), elsewhere(n), now).is_ok());
        assert_eq!(step, 1, "one-time code, round {round}");
        let code = &admin.recovery[round as usize];
        let recovery =
            winners(|n| door.access.log_in("yoshiko", PASSWORD, Some(code), elsewhere(n), now).is_ok());
        assert_eq!(recovery, 1, "recovery code, round {round}");
    }
    let code = door.access.add_user(&admin.session.who(), "tanaka", Role::Viewer, Lang::Ja, at(0)).unwrap();
    let accepted =
        winners(|n| door.access.accept(code.code.text(), "tanaka", PASSWORD, elsewhere(n), at(0)).is_ok());
    assert_eq!(accepted, 1, "invitation");
}

#[test]
fn two_who_set_up_at_the_same_time_make_one_administrator() {
    let door = Door::new();
    let code = door.access.set_up_code(at(0)).unwrap().unwrap();
    let made = winners(|n| {
        let name = ["yoshiko", "mallory"][n as usize];
        door.access.set_up(code.code.text(), name, PASSWORD, Lang::Ja, elsewhere(n), at(0)).is_ok()
    });
    assert_eq!(made, 1);
    assert_eq!(door.access.users(&Who::local(), at(0)).unwrap().len(), 1);
}

#[test]
fn two_last_administrators_cannot_disable_each_other() {
    let door = Door::new();
    let admin = door.admin();
    let second = door.person(&admin, "tanaka", Role::Admin);
    let sessions = [&admin, &second].map(|person| person.session.who());
    let disabled = winners(|n| {
        let other = ["tanaka", "yoshiko"][n as usize];
        door.access.disable(&sessions[n as usize], other, at(1)).is_ok()
    });
    assert_eq!(disabled, 1);
}
