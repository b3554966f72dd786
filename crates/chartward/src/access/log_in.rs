//! Proving who one is: the password, then the second factor, then one transaction.

use std::net::IpAddr;

use jiff::Timestamp;
use prove::state::accounts::{Factor, User};

use super::limits::{DELAY_MAX, Delay, FREE_FAILURES};
use super::password::Lane;
use super::session::{Fresh, LoggedIn, SESSION_MAX, Session};
use super::text::{fingerprint, read_code};
use super::{Access, Audit, Denied, totp};

/// Somebody whose password and second factor were right; the factor is not used up yet.
struct Proven {
    user: User,
    factor: Factor,
}

impl Access {
    /// Opens a session. `code` is a one-time code or a recovery code; whether the account has a second factor, or
    /// exists at all, cannot be told from a refusal.
    pub(crate) fn log_in(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<LoggedIn, Denied> {
        let proven = self.prove(name, password, code, address, now, "log_in")?;
        let fresh = Fresh::draw(&proven.user.name, &address.to_string(), now, now + SESSION_MAX)?;
        if !self.0.state.admit(&fresh.row, &proven.factor, &proven.user.password, None)? {
            return Err(self.refused(Some(&proven.user.name), &proven.user.name, "log_in", address, now)?);
        }
        self.let_in(&proven, password, "log_in", address, now)?;
        self.opened(fresh, now)
    }

    /// Proves again who one is, for what needs a fresh log-in. The cookie changes; the session's end does not.
    pub(crate) fn log_in_again(
        &self,
        session: &Session,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<LoggedIn, Denied> {
        let proven = self.prove(&session.user, password, code, address, now, "log_in_again")?;
        let fresh = Fresh::draw(&proven.user.name, &address.to_string(), now, session.expires_at)?;
        let replaces = Some(session.hash.as_str());
        if !self.0.state.admit(&fresh.row, &proven.factor, &proven.user.password, replaces)? {
            let name = &session.user;
            return Err(self.refused(Some(name), name, "log_in_again", address, now)?);
        }
        self.let_in(&proven, password, "log_in_again", address, now)?;
        self.opened(fresh, now)
    }

    /// Chooses another password. Every other session of the account ends, and this one gets another cookie.
    pub(crate) fn change_password(
        &self,
        session: &Session,
        old: &str,
        new: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<LoggedIn, Denied> {
        let new = super::password::acceptable(new, &session.user, &self.0.settings.hospital)?;
        let user = self.prove_password(&session.user, old, address, now, "change_password")?;
        let hash = self.0.hasher.hash(&new, Lane::Known)?;
        // As fresh as it was: the second factor was not asked for.
        let mut fresh = Fresh::draw(&user.name, &address.to_string(), now, session.expires_at)?;
        fresh.row.created_at = session.fresh_until - super::session::FRESH;
        if !self.0.state.change_password(&user.password, &hash, &fresh.row)? {
            return Err(Denied::credentials());
        }
        self.0.limits.give_back(address);
        self.audit(Audit {
            address: Some(address),
            ..Audit::of(&session.who(), "change_password", &user.name, true, now)
        });
        self.opened(fresh, now)
    }

    fn prove(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        address: IpAddr,
        now: Timestamp,
        what: &str,
    ) -> Result<Proven, Denied> {
        let user = self.prove_password(name, password, address, now, what)?;
        match self.factor(&user, code.unwrap_or_default(), now) {
            Some(factor) => Ok(Proven { user, factor }),
            None => Err(self.refused(Some(&user.name), &user.name, what, address, now)?),
        }
    }

    /// The account, if that is its password. Whatever else is wrong costs one computation and one write, too.
    fn prove_password(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
        now: Timestamp,
        what: &str,
    ) -> Result<User, Denied> {
        let name = &super::user::folded(name);
        let is_known = self.0.limits.is_place_known(address);
        if let Err(wait) = self.0.limits.take(address, now) {
            self.audit(Audit::stranger("-", what, false, address, now));
            return Err(Denied::limited(wait));
        }
        let lane = if is_known { Lane::Known } else { Lane::Stranger };
        let look = || {
            let user = self.0.state.user(name)?;
            let strangers =
                user.as_ref().map(|user| Delay { failures: user.failures, until: user.locked_until });
            match self.0.limits.delay(name, address, strangers).left(now) {
                Some(wait) => Err(Denied::limited(wait)),
                None => Ok(user),
            }
        };
        fn stored(user: &Option<User>) -> Option<&str> {
            let user = user.as_ref().filter(|user| user.disabled_at.is_none())?;
            Some(user.password.as_str()).filter(|password| !password.is_empty())
        }
        let (user, is_right) = self.0.hasher.verify(password, lane, look, stored).inspect_err(|_| {
            self.audit(Audit::stranger("-", what, false, address, now));
        })?;
        match (user, is_right) {
            (Some(user), true) => Ok(user),
            (user, _) => {
                Err(self.refused(user.as_ref().map(|user| user.name.as_str()), name, what, address, now)?)
            }
        }
    }

    /// The factor that these digits are, if the account takes it. One that has no second factor needs none.
    fn factor(&self, user: &User, typed: &str, now: Timestamp) -> Option<Factor> {
        let Some(sealed) = &user.totp else { return Some(Factor::None) };
        let typed = read_code(typed)?;
        if typed.len() == 6 {
            let secret = self.0.sealed.unseal(&super::second::purpose(&user.name), sealed)?;
            return totp::matching_step(&secret, &typed, user.totp_last_step, now).map(Factor::Step);
        }
        // Whether it is one of the account's, and unused, the transaction finds out.
        Some(Factor::Recovery(fingerprint(&super::second::recovery_purpose(&user.name), &typed)))
    }

    /// Counts a failure and says the same as for every other.
    fn refused(
        &self,
        user: Option<&str>,
        typed: &str,
        what: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Denied, Denied> {
        let is_strangers = self.0.limits.fail(typed, address, user.is_some(), now);
        let counted = user.filter(|_| is_strangers);
        self.0.state.count_refusal(counted, FREE_FAILURES, DELAY_MAX, now)?;
        self.audit(Audit::stranger(user.unwrap_or("-"), what, false, address, now));
        Ok(Denied::credentials())
    }

    fn let_in(
        &self,
        proven: &Proven,
        password: &str,
        what: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Denied> {
        self.0.limits.give_back(address);
        self.0.limits.welcome(&proven.user.name, address);
        self.0.strengthen(&proven.user, password)?;
        let object = match proven.factor {
            Factor::None => "password",
            Factor::Step(_) => "password and one-time code",
            Factor::Recovery(_) => "password and recovery code",
        };
        self.audit(Audit {
            role: Some(proven.user.role),
            object: object.to_owned(),
            ..Audit::stranger(&proven.user.name, what, true, address, now)
        });
        Ok(())
    }
}

impl super::Inner {
    /// Replaces a hash that was cheaper than today's; the password is known only now.
    fn strengthen(&self, user: &User, password: &str) -> Result<(), Denied> {
        if let Some(hash) = self.hasher.stronger(password, &user.password)? {
            self.state.rehash_password(&user.name, &user.password, &hash)?;
        }
        Ok(())
    }
}
