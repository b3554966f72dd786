//! Who is inside: readers with an account of the hub, readers with the viewer's code where there are no accounts, and
//! readers by emergency access.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::access::{Denied, Guests, Limits, Role, Why};

/// Readers that may be logged in at once.
const READERS_MAX: usize = 1_000;
/// Without a request for this long, a session is over.
pub(crate) const IDLE_MAX: SignedDuration = SignedDuration::from_mins(30);
/// However busy, a session is over after this.
const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);
/// After how long it is looked whether the account still may read charts.
const CHECKED: SignedDuration = SignedDuration::from_mins(1);
/// Letters of a name or a reason that are kept.
const NAME_MAX: usize = 100;
const REASON_MAX: usize = 300;
/// A reason of fewer letters is none.
const REASON_MIN: usize = 2;

/// How somebody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// With an account of the hub.
    Account,
    /// With the viewer's code, where there are no accounts.
    Code,
    /// With the viewer's code and a reason, without an account or its right.
    Emergency,
}

/// Somebody who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    /// The account's name, or the name they gave.
    pub(crate) name: String,
    /// How they came in.
    pub(crate) way: Way,
    /// The account's role.
    pub(crate) role: Option<Role>,
    /// Why, as they said.
    pub(crate) reason: Option<String>,
    /// When they have to come in anew.
    pub(crate) until: Timestamp,
    /// What every form of theirs sends back.
    pub(crate) csrf: String,
}

impl Reader {
    /// Whether emergency accesses are shown to them.
    pub(crate) fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
    }
}

/// What somebody typed at the entrance.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Typed {
    pub(crate) who: String,
    pub(crate) password: String,
    pub(crate) totp: String,
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// The viewer's door.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    code: [u8; 32],
    guests: Option<Guests>,
    limits: Limits,
    emergency: SignedDuration,
    cookie: &'static str,
    inside: Mutex<Vec<Inside>>,
}

struct Inside {
    /// SHA-256 of the cookie.
    hash: [u8; 32],
    reader: Reader,
    seen_at: Timestamp,
    checked_at: Timestamp,
}

impl Door {
    /// `emergency` is how long an emergency access lasts.
    pub(super) fn new(code: &str, guests: Option<Guests>, emergency: SignedDuration, is_tls: bool) -> Self {
        let cookie = if is_tls { "__Host-chartward-charts" } else { "chartward-charts" };
        let (limits, inside) = (Limits::default(), Mutex::default());
        Self(Arc::new(Inner { code: digest(code), guests, limits, emergency, cookie, inside }))
    }

    /// Whether people come in with accounts of their own, and with the code in an emergency only.
    pub(super) fn has_accounts(&self) -> bool {
        self.0.guests.as_ref().is_some_and(Guests::has_readers)
    }

    /// How long an emergency access lasts.
    pub(super) fn emergency(&self) -> SignedDuration {
        self.0.emergency
    }

    /// Lets somebody in: their cookie, and who they are. It may take as long as a password's check.
    pub(super) fn admit(
        &self,
        typed: &Typed,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(String, Reader), Denied> {
        let reader = if typed.password.is_empty() {
            self.by_code(typed, address, now)?
        } else {
            let Some(guests) = &self.0.guests else {
                return Err(Denied::new(Why::Input, NO_ACCOUNTS.0, NO_ACCOUNTS.1));
            };
            let (name, role) = guests.log_in(&typed.who, &typed.password, &typed.totp, address, now)?;
            let until = now + SESSION_MAX;
            Reader { name, way: Way::Account, role: Some(role), reason: None, until, csrf: String::new() }
        };
        let mut cookie = [0u8; 32];
        getrandom::fill(&mut cookie).map_err(|_| Denied::new(Why::Broken, RANDOM.0, RANDOM.1))?;
        let cookie = hex::encode(cookie);
        let reader = Reader { csrf: hex::encode(digest(&format!("csrf {cookie}"))), ..reader };
        let mut inside = self.inside();
        inside.retain(|inside| !inside.is_over(now));
        if inside.len() >= READERS_MAX {
            inside.remove(0);
        }
        inside.push(Inside { hash: digest(&cookie), reader: reader.clone(), seen_at: now, checked_at: now });
        Ok((cookie, reader))
    }

    fn by_code(&self, typed: &Typed, address: IpAddr, now: Timestamp) -> Result<Reader, Denied> {
        if let Err(wait) = self.0.limits.take(address, now) {
            let seconds = wait.as_secs().max(1);
            return Err(Denied::new(
                Why::Limited,
                format!("too many tries; try again in {seconds} seconds"),
                format!("試行回数が多すぎます。{seconds}秒後にもう一度お試しください。"),
            ));
        }
        if !bool::from(digest(typed.code.trim()).ct_eq(&self.0.code)) {
            return Err(Denied::new(Why::Credentials, WRONG_CODE.0, WRONG_CODE.1));
        }
        self.0.limits.give_back(address);
        let (name, reason) = (plain(&typed.who, NAME_MAX), plain(&typed.reason, REASON_MAX));
        if name.is_empty() {
            return Err(Denied::new(Why::Input, NO_NAME.0, NO_NAME.1));
        }
        let is_emergency = self.has_accounts();
        if is_emergency && reason.chars().count() < REASON_MIN {
            return Err(Denied::new(Why::Input, NO_REASON.0, NO_REASON.1));
        }
        let (way, lasts) =
            if is_emergency { (Way::Emergency, self.0.emergency) } else { (Way::Code, SESSION_MAX) };
        let reason = (!reason.is_empty()).then_some(reason);
        Ok(Reader { name, way, role: None, reason, until: now + lasts, csrf: String::new() })
    }

    /// The reader whose cookie came with the request, while their session lasts.
    pub(super) fn reader(&self, headers: &HeaderMap, now: Timestamp) -> Option<Reader> {
        let wanted = digest(self.cookie_in(headers)?);
        let mut inside = self.inside();
        let at = inside.iter().position(|inside| bool::from(inside.hash.ct_eq(&wanted)))?;
        if inside[at].is_over(now) || !self.still_may(&mut inside[at], now) {
            inside.remove(at);
            return None;
        }
        inside[at].seen_at = now;
        Some(inside[at].reader.clone())
    }

    /// Whether an account that came in was neither disabled since nor lost the right.
    fn still_may(&self, inside: &mut Inside, now: Timestamp) -> bool {
        if inside.reader.way != Way::Account || now.duration_since(inside.checked_at) < CHECKED {
            return true;
        }
        inside.checked_at = now;
        inside.reader.role = self.0.guests.as_ref().and_then(|guests| guests.reader(&inside.reader.name));
        inside.reader.role.is_some()
    }

    /// Ends the session of the request's cookie.
    pub(super) fn leave(&self, headers: &HeaderMap) {
        if let Some(wanted) = self.cookie_in(headers).map(digest) {
            self.inside().retain(|inside| !bool::from(inside.hash.ct_eq(&wanted)));
        }
    }

    fn cookie_in<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        cookie(headers, self.0.cookie)
    }

    /// The header that gives a browser its cookie; an empty one takes it away.
    pub(super) fn set_cookie(&self, value: &str) -> String {
        let secure = if self.0.cookie.starts_with("__Host-") { "; Secure" } else { "" };
        let ends = if value.is_empty() { "; Max-Age=0" } else { "" };
        format!("{}={value}; HttpOnly; SameSite=Strict; Path=/{ends}{secure}", self.0.cookie)
    }

    fn inside(&self) -> MutexGuard<'_, Vec<Inside>> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make a session last for ever.
        now >= self.reader.until || now.duration_since(self.seen_at).abs() >= IDLE_MAX
    }
}

const WRONG_CODE: (&str, &str) = ("the code is not right", "コードが正しくありません。");
const NO_NAME: (&str, &str) = ("type your name", "氏名を入力してください。");
const NO_REASON: (&str, &str) = (
    "an emergency access needs a reason; it is recorded",
    "緊急アクセスには理由の入力が必要です（記録されます）。",
);
const NO_ACCOUNTS: (&str, &str) = (
    "this viewer knows no accounts; use its code",
    "この参照画面ではアカウントを使用できません。参照用コードで入ってください。",
);
const RANDOM: (&str, &str) = ("the system gave no random numbers", "乱数を取得できませんでした。");

/// One line of somebody's own words.
fn plain(text: &str, letters_max: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(letters_max).collect()
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
impl Reader {
    pub(crate) fn test(name: &str, way: Way, reason: Option<&str>) -> Reader {
        let (name, reason) = (name.to_owned(), reason.map(str::to_owned));
        Reader { name, way, role: None, reason, until: Timestamp::MAX, csrf: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const LAN: &str = "192.0.2.9";

    fn at(minutes: i64) -> Timestamp {
        "2026-01-01T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
    }

    fn headers(cookie: &str) -> HeaderMap {
        let line = format!("lang=ja; chartward-charts={cookie}");
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&line).unwrap())])
    }

    fn typed(code: &str, who: &str) -> Typed {
        Typed { code: code.to_owned(), who: who.to_owned(), ..Typed::default() }
    }

    #[test]
    fn without_accounts_the_code_and_a_name_let_in() {
        let door = Door::new("ABCDE-FGHJK", None, SignedDuration::from_mins(60), false);
        let enter = |code: &str, who: &str| door.admit(&typed(code, who), LAN.parse().unwrap(), at(0));
        assert_eq!(enter("ABCDE", "Sato").unwrap_err().why, Why::Credentials);
        assert_eq!(enter("ABCDE-FGHJK", " ").unwrap_err().why, Why::Input);
        let (cookie, reader) = enter(" ABCDE-FGHJK ", "Sa\x1bto").unwrap();
        assert_eq!((reader.name.as_str(), reader.way, reader.is_admin()), ("Sato", Way::Code, false));
        assert_eq!(door.reader(&headers(&cookie), at(1)), Some(reader));
        assert_eq!(door.reader(&headers("x"), at(1)), None);
        assert_eq!(door.reader(&HeaderMap::new(), at(1)), None);
        door.leave(&headers(&cookie));
        assert_eq!(door.reader(&headers(&cookie), at(1)), None);
        let password = Typed { password: "a long password".to_owned(), ..typed("", "sato") };
        assert_eq!(door.admit(&password, LAN.parse().unwrap(), at(0)).unwrap_err().why, Why::Input);
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
        let door = Door::new("code", None, SignedDuration::from_mins(60), false);
        let enter = || door.admit(&typed("code", "Sato"), LAN.parse().unwrap(), at(0)).unwrap().0;
        let is_in = |cookie: &str, minutes: i64| door.reader(&headers(cookie), at(minutes)).is_some();
        let (idle, busy) = (enter(), enter());
        assert!(is_in(&idle, 29) && !is_in(&idle, 60) && !is_in(&idle, 60));
        assert!((1..36).all(|turn| is_in(&busy, turn * 20)) && !is_in(&busy, 720));
        let set_back = enter();
        assert!(!is_in(&set_back, -40), "a clock that was set back");
    }

    #[test]
    fn guessing_from_one_address_is_slowed_down_and_shuts_nobody_else_out() {
        let door = Door::new("code", None, SignedDuration::from_mins(60), false);
        let guess = |address: &str, code: &str| {
            door.admit(&typed(code, "x"), address.parse().unwrap(), at(0))
                .map(|_| ())
                .map_err(|denied| denied.why)
        };
        for _ in 0..20 {
            assert_eq!(guess(LAN, "guess"), Err(Why::Credentials));
        }
        assert_eq!(guess(LAN, "code"), Err(Why::Limited));
        assert_eq!(guess("192.0.2.10", "code"), Ok(()));
    }
}
