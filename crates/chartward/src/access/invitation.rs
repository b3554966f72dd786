//! One-time codes with which an account's owner chooses its password: the first administrator's, printed by
//! `chartward up`, and those that administrators hand out for new and reset accounts. So nobody ever knows
//! somebody else's password.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use prove::state::accounts::Invitation;
use schema::Lang;

use super::password::{Lane, acceptable};
use super::session::{Fresh, LoggedIn, SESSION_MAX};
use super::text::{Shown, draw_code, equal, fingerprint, read_code};
use super::user::new_name;
use super::{Access, Audit, Denied, Why};

const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// Groups of 20 bits each.
const GROUPS: usize = 5;
/// Wrong tries that a code outlives. With 100 random bits this is for the record, not for the arithmetic.
const TRIES_MAX: u32 = 100;

/// A code to be shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// What its holder types.
    pub(crate) code: Shown,
    /// From when on it is worth nothing.
    pub(crate) expires_at: Timestamp,
}

impl Code {
    pub(super) fn draw(name: Option<&str>, now: Timestamp) -> Result<(Self, Invitation), Denied> {
        let code = draw_code(GROUPS)?;
        let expires_at = now + LASTS;
        let hash = read_code(code.text()).map(|read| fingerprint(&purpose(name), &read)).unwrap_or_default();
        Ok((Self { code, expires_at }, Invitation { hash, expires_at, tries: 0 }))
    }
}

fn purpose(name: Option<&str>) -> String {
    name.map_or_else(|| "first administrator".to_owned(), |name| format!("invitation of {name}"))
}

impl Access {
    /// The code with which the first administrator is made, while there is none: to be printed once by whoever
    /// starts the hub. Each call makes the one before worthless.
    pub(crate) fn set_up_code(&self, now: Timestamp) -> Result<Option<Code>, Denied> {
        if self.0.state.has_admin()? {
            return Ok(None);
        }
        let (code, invitation) = Code::draw(None, now)?;
        self.0.state.set_first_invitation(&invitation)?;
        Ok(Some(code))
    }

    /// Whether the first administrator is yet to be made.
    pub(crate) fn needs_set_up(&self) -> Result<bool, Denied> {
        Ok(!self.0.state.has_admin()?)
    }

    /// Makes the first administrator; the second factor is the next thing to set up.
    pub(crate) fn set_up(
        &self,
        code: &str,
        name: &str,
        password: &str,
        lang: Lang,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<LoggedIn, Denied> {
        let name = new_name(name)?;
        let hash = self.matching(None, code, "set_up", address, now)?;
        let password = acceptable(password, &name, &self.0.settings.hospital)?;
        let password = self.0.hasher.hash(&password, Lane::Known)?;
        let fresh = Fresh::draw(&name, &address.to_string(), now, now + SESSION_MAX)?;
        if !self.0.state.make_first_admin(&hash, &password, lang, &fresh.row)? {
            return Err(wrong_code());
        }
        self.welcomed(&name, "set_up", address, now);
        self.opened(fresh, now)
    }

    /// Chooses the password of an account with the code that an administrator gave out.
    pub(crate) fn accept(
        &self,
        code: &str,
        name: &str,
        password: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<LoggedIn, Denied> {
        let name = super::user::folded(name);
        let hash = self.matching(Some(&name), code, "accept", address, now)?;
        let password = acceptable(password, &name, &self.0.settings.hospital)?;
        let password = self.0.hasher.hash(&password, Lane::Known)?;
        let fresh = Fresh::draw(&name, &address.to_string(), now, now + SESSION_MAX)?;
        if !self.0.state.accept_invitation(&hash, &password, &fresh.row)? {
            return Err(wrong_code());
        }
        self.welcomed(&name, "accept", address, now);
        self.opened(fresh, now)
    }

    /// The hash of a code that is right, or the same refusal for a wrong one, an old one and none at all.
    fn matching(
        &self,
        name: Option<&str>,
        typed: &str,
        what: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<String, Denied> {
        if let Err(wait) = self.0.limits.take(address, now) {
            self.audit(Audit::stranger("-", what, false, address, now));
            return Err(Denied::limited(wait));
        }
        let hash = fingerprint(&purpose(name), &read_code(typed).unwrap_or_default());
        let invitation = self.0.state.invitation(name)?;
        let is_right = invitation.is_some_and(|invitation| {
            let is_equal = equal(&invitation.hash, &hash);
            is_equal && now < invitation.expires_at && invitation.tries < TRIES_MAX
        });
        if !is_right {
            self.0.state.count_wrong_code(name)?;
            self.audit(Audit::stranger("-", what, false, address, now));
            return Err(wrong_code());
        }
        Ok(hash)
    }

    fn welcomed(&self, name: &str, what: &str, address: IpAddr, now: Timestamp) {
        self.0.limits.give_back(address);
        self.0.limits.welcome(name, address);
        self.audit(Audit::stranger(name, what, true, address, now));
    }
}

fn wrong_code() -> Denied {
    Denied::new(
        Why::Credentials,
        "the code is wrong, was used already or is older than a day; restart the hub or ask an administrator for a new one",
        "コードが正しくないか、使用済み、または発行から24時間が過ぎています。ハブを再起動するか、管理者に新しいコードを依頼してください。",
    )
}
