//! Sessions: a cookie of 256 random bits that the browser holds and we know only the hash of.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use prove::state::accounts::SessionRow;
use schema::Lang;

use super::role::needs_totp;
use super::text::{Shown, draw_key, equal, fingerprint, is_key};
use super::{Access, Audit, Denied, Role, Settings, Who, Why};

/// Without a request for this long, a session is over.
pub(crate) const IDLE_MAX: SignedDuration = SignedDuration::from_mins(30);
/// However busy, a session is over after this.
pub(crate) const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);
/// How long a typed password counts for what needs a fresh one.
pub(crate) const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// Use is noted this often, so that a page is not a write to the disk.
const NOTED: SignedDuration = SignedDuration::from_mins(1);
/// A session from the future means that the clock was set back; by more than this, nobody knows how old it is.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The account's name.
    pub(crate) user: String,
    /// Its role as it is now.
    pub(crate) role: Role,
    /// The language of its pages.
    pub(crate) lang: Lang,
    /// What every form has to send back.
    pub(crate) csrf: Shown,
    /// Until when what needs a fresh log-in is allowed.
    pub(crate) fresh_until: Timestamp,
    /// When it ends whatever happens.
    pub(crate) expires_at: Timestamp,
    /// Whether a second factor is set up.
    pub(crate) has_totp: bool,
    /// Whether nothing is allowed until one is, since the role needs it.
    pub(crate) must_set_up_totp: bool,
    /// The hash of the cookie.
    pub(super) hash: String,
}

impl Session {
    /// For [`Access::require`] and [`Who::may`].
    pub(crate) fn who(&self) -> Who {
        Who {
            name: self.user.clone(),
            role: self.role,
            fresh_until: Some(self.fresh_until),
            must_set_up_totp: self.must_set_up_totp,
        }
    }

    /// Checks what a form or a header sent back.
    pub(crate) fn check_csrf(&self, sent: &str) -> Result<(), Denied> {
        if equal(self.csrf.text(), sent) {
            return Ok(());
        }
        Err(Denied::new(
            Why::Csrf,
            "the page is out of date; load it again and repeat what you did",
            "ページの有効期限が切れました。再読み込みしてからもう一度操作してください。",
        ))
    }
}

/// A session that was just opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedIn {
    /// The cookie's value.
    pub(crate) cookie: Shown,
    /// The `Set-Cookie` header that gives it to the browser.
    pub(crate) set_cookie: Shown,
    /// The session itself.
    pub(crate) session: Session,
}

/// A session before it is in the database.
pub(super) struct Fresh {
    pub(super) cookie: Shown,
    pub(super) row: SessionRow,
}

impl Fresh {
    pub(super) fn draw(user: &str, address: &str, now: Timestamp, ends: Timestamp) -> Result<Self, Denied> {
        let cookie = draw_key()?;
        let row = SessionRow {
            hash: fingerprint("session", cookie.text()),
            user: user.to_owned(),
            csrf: fingerprint("csrf hash", csrf_of(&cookie).text()),
            created_at: now,
            seen_at: now,
            expires_at: ends,
            address: address.to_owned(),
        };
        Ok(Self { cookie, row })
    }
}

/// Derived from the cookie, so that the database holds nothing that makes a form valid.
fn csrf_of(cookie: &Shown) -> Shown {
    Shown::new(fingerprint("csrf", cookie.text()))
}

impl Settings {
    /// The name of the session's cookie. `__Host-` keeps other hosts of the domain from setting it, and browsers
    /// take it only over TLS.
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.tls { "__Host-chartward" } else { "chartward" }
    }

    /// The session's cookie in a `Cookie` header; `None` where it is absent, doubled or not of our making.
    pub(crate) fn cookie_in<'a>(&self, header: &'a str) -> Option<&'a str> {
        let mut values = header.split(';').filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie_name()).then_some(value)
        });
        // Two of them mean that somebody else set one.
        let value = values.next().filter(|value| is_key(value))?;
        values.next().is_none().then_some(value)
    }

    /// The `Set-Cookie` header for a value. It ends with the browser or with the session.
    fn set_cookie(&self, value: &str, max_age: SignedDuration) -> String {
        let secure = if self.tls { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
            self.cookie_name(),
            max_age.as_secs().max(0)
        )
    }
}

impl Access {
    /// The session's cookie in a `Cookie` header.
    pub(crate) fn cookie_in<'a>(&self, header: &'a str) -> Option<&'a str> {
        self.0.settings.cookie_in(header)
    }

    /// The `Set-Cookie` header that takes the cookie away.
    pub(crate) fn clear_cookie(&self) -> String {
        self.0.settings.set_cookie("", SignedDuration::ZERO)
    }

    /// Who holds this cookie, while the session lasts and the account can be used.
    pub(crate) fn session(&self, cookie: &str, now: Timestamp) -> Result<Option<Session>, Denied> {
        if !is_key(cookie) {
            return Ok(None);
        }
        let hash = fingerprint("session", cookie);
        let Some((row, user)) = self.0.state.session(&hash)? else { return Ok(None) };
        let is_over = user.disabled_at.is_some()
            || now >= row.expires_at
            || now.duration_since(row.seen_at) >= IDLE_MAX
            || row.created_at.duration_since(now) > CLOCK_SLACK;
        if is_over {
            self.0.state.end_session(&hash)?;
            return Ok(None);
        }
        if now.duration_since(row.seen_at) >= NOTED {
            self.0.state.touch_session(&hash, now)?;
        }
        let csrf = csrf_of(&Shown::new(cookie.to_owned()));
        if !equal(&fingerprint("csrf hash", csrf.text()), &row.csrf) {
            return Ok(None);
        }
        let must_set_up_totp = needs_totp(user.role) && user.totp.is_none();
        Ok(Some(Session {
            user: user.name,
            role: user.role,
            lang: user.lang,
            csrf,
            fresh_until: row.created_at + FRESH,
            expires_at: row.expires_at,
            has_totp: user.totp.is_some(),
            must_set_up_totp,
            hash,
        }))
    }

    /// The session of a cookie, or a refusal.
    pub(super) fn session_of(&self, cookie: &str, now: Timestamp) -> Result<Session, Denied> {
        self.session(cookie, now)?.ok_or_else(Denied::no_session)
    }

    /// What the browser gets for a session that stands in the database now.
    pub(super) fn opened(&self, fresh: Fresh, now: Timestamp) -> Result<LoggedIn, Denied> {
        let session = self.session_of(fresh.cookie.text(), now)?;
        let left = session.expires_at.duration_since(now);
        let set_cookie = Shown::new(self.0.settings.set_cookie(fresh.cookie.text(), left));
        Ok(LoggedIn { cookie: fresh.cookie, set_cookie, session })
    }

    /// Ends this session.
    pub(crate) fn log_out(&self, session: &Session, address: IpAddr, now: Timestamp) -> Result<(), Denied> {
        self.0.state.end_session(&session.hash)?;
        self.audit(Audit { address: Some(address), ..Audit::of(&session.who(), "log_out", "", true, now) });
        Ok(())
    }

    /// Ends every session of the account, this one included.
    pub(crate) fn log_out_everywhere(
        &self,
        session: &Session,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Denied> {
        let ended = self.0.state.end_sessions_of(&session.user)?;
        let object = format!("{ended} sessions");
        self.audit(Audit {
            address: Some(address),
            ..Audit::of(&session.who(), "log_out", &object, true, now)
        });
        Ok(())
    }
}
