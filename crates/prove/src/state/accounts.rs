//! Accounts, recovery codes, sessions and API tokens as they lie in the database.
//!
//! Whether somebody may do something is decided elsewhere; here stands only what must hold in one transaction:
//! that a one-time value is used once, and that the last administrator stays one. Nothing in these tables lets
//! its reader in: passwords are argon2id, the rest are SHA-256 of at least 80 random bits, TOTP secrets are
//! sealed with a key that lies elsewhere.

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use schema::Lang;
use serde::{Deserialize, Serialize};

use super::State;
use crate::Error;

/// What a person or a program is there for. Whether one role includes another is for the reader to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks on.
    Viewer,
    /// Answers incidents.
    Operator,
    /// Reads charts.
    Clinician,
    /// Answers for all of it.
    Admin,
}

impl Role {
    /// All, in the order in which they are shown.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Clinician, Role::Admin];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Clinician => "clinician",
            Role::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Role::named(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The key; lower case.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// A PHC string, or empty until its owner chose a password.
    pub password: String,
    /// The sealed TOTP secret; `None` until it was set up.
    pub totp: Option<String>,
    /// The newest 30-second step whose code was accepted; 0 for none.
    pub totp_last_step: u64,
    /// The language of its pages.
    pub lang: Lang,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it cannot be used.
    pub disabled_at: Option<Timestamp>,
    /// Refused log-ins since the last that succeeded.
    pub failures: u32,
    /// Until when strangers' log-ins are refused unread.
    pub locked_until: Option<Timestamp>,
}

// The password's hash and the sealed secret stay out of logs.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A one-time code that lets its holder choose the password of an account, or make the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// SHA-256 of the code, hexadecimal.
    pub hash: String,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// Wrong codes that were tried against it.
    pub tries: u32,
}

/// A log-in that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the cookie, hexadecimal.
    pub hash: String,
    /// Whose it is.
    pub user: String,
    /// SHA-256 of the CSRF token, hexadecimal.
    pub csrf: String,
    /// When its owner last proved who they are.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// From where it was opened.
    pub address: String,
}

/// An API token without its text, which is known to its holder alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its number.
    pub id: i64,
    /// What its maker calls it.
    pub name: String,
    /// What it may do at most.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// What came of a change to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is as asked.
    Done,
    /// There is no such account.
    NoSuchUser,
    /// It would have left nobody who can administer the hub; nothing was changed.
    LastAdmin,
}

/// The second factor with which somebody logs in, checked and waiting to be used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Factor {
    /// The account has none.
    None,
    /// The code of this 30-second step.
    Step(u64),
    /// The recovery code with this hash.
    Recovery(String),
}

/// The values of [`INSERT_SESSION`].
macro_rules! session_values {
    ($row:expr) => {
        params![
            $row.hash,
            $row.user,
            $row.csrf,
            $row.created_at.as_millisecond(),
            $row.seen_at.as_millisecond(),
            $row.expires_at.as_millisecond(),
            $row.address,
        ]
    };
}

/// Whether what was checked outside the transaction still holds: account and password (1, 2), the step or the
/// recovery code, or neither for an account without a second factor (3, 4), the session to replace (5).
const STANDS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND password = ?2 AND disabled_at IS NULL \
                      AND CASE WHEN ?3 IS NOT NULL THEN totp_last_step < ?3 \
                      WHEN ?4 IS NOT NULL THEN EXISTS (SELECT 1 FROM recovery_codes WHERE user = ?1 AND hash = ?4 \
                      AND used_at IS NULL) ELSE totp IS NULL END) \
                      AND (?5 IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE hash = ?5 AND user = ?1))";

/// Leaves an account that is there as it is.
const INSERT_USER: &str = "INSERT INTO users (name, role, password, lang, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                           ON CONFLICT (name) DO NOTHING";

/// An account that can administer: not disabled, and its owner chose a password.
const ANOTHER_ADMIN: &str = "EXISTS (SELECT 1 FROM users AS other WHERE other.name <> ?1 AND other.role = 'admin' \
                             AND other.disabled_at IS NULL AND other.password <> '')";

/// Accounts.
impl State {
    /// The account of that name.
    pub fn user(&self, name: &str) -> Result<Option<User>, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM users WHERE name = ?1")?.query_row([name], user).optional()
        })
    }

    /// All accounts by name.
    pub fn users(&self) -> Result<Vec<User>, Error> {
        self.read(|db| db.prepare("SELECT * FROM users ORDER BY name")?.query_map([], user)?.collect())
    }

    /// Whether anybody administers the hub, or was invited to.
    pub fn has_admin(&self) -> Result<bool, Error> {
        self.read(|db| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin')", [], |row| row.get(0))
        })
    }

    /// Whether `name` is the only account that can administer the hub.
    pub fn is_last_admin(&self, name: &str) -> Result<bool, Error> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND role = 'admin' AND disabled_at IS NULL \
             AND password <> '') AND NOT {ANOTHER_ADMIN}"
        );
        self.read(|db| db.query_row(&sql, [name], |row| row.get(0)))
    }

    /// Makes an account whose password its owner chooses with the invitation. `false`: the name is taken.
    pub fn invite_user(
        &self,
        name: &str,
        role: Role,
        lang: Lang,
        code: &Invitation,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let code = json(code)?;
        self.write(|tx| {
            let values = params![name, role.name(), "", lang.tag(), now.as_millisecond()];
            if tx.execute(INSERT_USER, values)? == 0 {
                return Ok(false);
            }
            tx.execute(SET_NOTE, params![invitation_key(name), code])?;
            Ok(true)
        })
    }

    /// Takes password, second factor, recovery codes and sessions away; the owner begins anew with the invitation.
    /// `even_last_admin` is for whoever holds the machine itself.
    pub fn reset_user(&self, name: &str, code: &Invitation, even_last_admin: bool) -> Result<Changed, Error> {
        let code = json(code)?;
        let sql = format!(
            "UPDATE users SET password = '', totp = NULL, totp_last_step = 0, failures = 0, locked_until = NULL \
             WHERE name = ?1 AND (?2 OR role <> 'admin' OR {ANOTHER_ADMIN})"
        );
        self.write(|tx| {
            if tx.execute(&sql, params![name, even_last_admin])? == 0 {
                return refused(tx.query_row(USER_EXISTS, params![name], |row| row.get(0))?);
            }
            tx.execute("DELETE FROM recovery_codes WHERE user = ?1", params![name])?;
            tx.execute("DELETE FROM sessions WHERE user = ?1", params![name])?;
            tx.execute(SET_NOTE, params![invitation_key(name), code])?;
            Ok(Changed::Done)
        })
    }

    /// Disables an account and ends its sessions and its invitation, or enables it again.
    pub fn disable_user(&self, name: &str, since: Option<Timestamp>) -> Result<Changed, Error> {
        let sql = format!(
            "UPDATE users SET disabled_at = ?2, failures = 0, locked_until = NULL \
             WHERE name = ?1 AND (?2 IS NULL OR role <> 'admin' OR {ANOTHER_ADMIN})"
        );
        self.write(|tx| {
            if tx.execute(&sql, params![name, since.map(Timestamp::as_millisecond)])? == 0 {
                return refused(tx.query_row(USER_EXISTS, params![name], |row| row.get(0))?);
            }
            tx.execute("DELETE FROM sessions WHERE user = ?1", params![name])?;
            tx.execute("DELETE FROM settings WHERE key = ?1", params![invitation_key(name)])?;
            Ok(Changed::Done)
        })
    }

    /// Gives an account another role and ends its sessions.
    pub fn set_user_role(&self, name: &str, role: Role) -> Result<Changed, Error> {
        let sql = format!(
            "UPDATE users SET role = ?2 WHERE name = ?1 AND (?2 = 'admin' OR role <> 'admin' OR {ANOTHER_ADMIN})"
        );
        self.write(|tx| {
            if tx.execute(&sql, params![name, role.name()])? == 0 {
                return refused(tx.query_row(USER_EXISTS, params![name], |row| row.get(0))?);
            }
            tx.execute("DELETE FROM sessions WHERE user = ?1", params![name])?;
            Ok(Changed::Done)
        })
    }

    /// Sets the language of an account's pages.
    pub fn set_user_lang(&self, name: &str, lang: Lang) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute("UPDATE users SET lang = ?2 WHERE name = ?1", params![name, lang.tag()]).map(drop)
        })
    }

    /// Replaces `old` by `new`, ends every session and opens one. `false`: the password was changed meanwhile.
    pub fn change_password(&self, old: &str, new: &str, session: &SessionRow) -> Result<bool, Error> {
        self.write(|tx| {
            let sql = "UPDATE users SET password = ?2 WHERE name = ?1 AND password = ?3";
            if tx.execute(sql, params![session.user, new, old])? == 0 {
                return Ok(false);
            }
            tx.execute("DELETE FROM sessions WHERE user = ?1", params![session.user])?;
            tx.execute(INSERT_SESSION, session_values!(session))?;
            Ok(true)
        })
    }

    /// Replaces the same password's hash by one with stronger parameters.
    pub fn rehash_password(&self, name: &str, old: &str, new: &str) -> Result<(), Error> {
        self.write(|tx| {
            let sql = "UPDATE users SET password = ?3 WHERE name = ?1 AND password = ?2";
            tx.execute(sql, params![name, old, new]).map(drop)
        })
    }

    /// Sets the second factor with the step that confirmed it and new recovery codes, ends the other sessions and
    /// replaces the one in hand. `false`: a later step was used meanwhile.
    pub fn set_totp(
        &self,
        sealed: &str,
        step: u64,
        recovery: &[String],
        old_session: &str,
        session: &SessionRow,
    ) -> Result<bool, Error> {
        self.write(|tx| {
            let sql = "UPDATE users SET totp = ?2, totp_last_step = ?3 WHERE name = ?1 AND totp_last_step < ?3 \
                       AND EXISTS (SELECT 1 FROM sessions WHERE hash = ?4 AND user = ?1)";
            if tx.execute(sql, params![session.user, sealed, step as i64, old_session])? == 0 {
                return Ok(false);
            }
            tx.execute("DELETE FROM recovery_codes WHERE user = ?1", params![session.user])?;
            for hash in recovery {
                let sql = "INSERT INTO recovery_codes (user, hash) VALUES (?1, ?2)";
                tx.execute(sql, params![session.user, hash])?;
            }
            tx.execute("DELETE FROM sessions WHERE user = ?1", params![session.user])?;
            tx.execute(INSERT_SESSION, session_values!(session))?;
            Ok(true)
        })
    }

    /// How many recovery codes are unused.
    pub fn recovery_codes_left(&self, name: &str) -> Result<u32, Error> {
        let sql = "SELECT count(*) FROM recovery_codes WHERE user = ?1 AND used_at IS NULL";
        self.read(|db| db.query_row(sql, [name], |row| row.get(0)))
    }

    /// Counts a refused log-in; from the `free`th on strangers have to wait, twice as long each time. One row is
    /// changed whether or not the account exists, so that the time taken says nothing about it.
    pub fn count_refusal(
        &self,
        name: Option<&str>,
        free: u32,
        delay_max: SignedDuration,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (now, delay_max) = (now.as_millisecond(), delay_max.as_millis() as i64);
        self.write(|tx| {
            let sql = "UPDATE users SET failures = failures + 1, locked_until = CASE WHEN failures + 1 >= ?2 \
                       THEN ?3 + min(?4, 1000 << min(failures + 1 - ?2, 20)) END WHERE name = ?1";
            tx.execute(sql, params![name, free, now, delay_max])?;
            let sql = "INSERT INTO settings (key, value) VALUES ('access.refused', '1') \
                       ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";
            tx.execute(sql, params![]).map(drop)
        })
    }
}

/// Invitations: kept beside the settings, one for each account and one for the first administrator.
impl State {
    /// The invitation of an account, or with `None` that of the first administrator.
    pub fn invitation(&self, name: Option<&str>) -> Result<Option<Invitation>, Error> {
        let text: Option<String> = self.read(|db| {
            let sql = "SELECT value FROM settings WHERE key = ?1";
            db.query_row(sql, [key_for(name)], |row| row.get(0)).optional()
        })?;
        // One that cannot be read lets nobody in, which is what an absent one does.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Sets the first administrator's invitation; whichever was there is worth nothing from now on.
    pub fn set_first_invitation(&self, code: &Invitation) -> Result<(), Error> {
        let code = json(code)?;
        self.write(|tx| tx.execute(SET_NOTE, params![FIRST, code]).map(drop))
    }

    /// Counts a wrong code.
    pub fn count_wrong_code(&self, name: Option<&str>) -> Result<(), Error> {
        self.write(|tx| {
            let sql = "UPDATE settings SET value = json_set(value, '$.tries', json_extract(value, '$.tries') + 1) \
                       WHERE key = ?1";
            tx.execute(sql, params![key_for(name)]).map(drop)
        })
    }

    /// Uses the first administrator's invitation up: makes the account and opens its session. `false`: it was used
    /// or replaced meanwhile, or somebody administers the hub already.
    pub fn make_first_admin(
        &self,
        hash: &str,
        password: &str,
        lang: Lang,
        session: &SessionRow,
    ) -> Result<bool, Error> {
        self.write(|tx| {
            let sql = "DELETE FROM settings WHERE key = ?1 AND json_extract(value, '$.hash') = ?2 \
                       AND NOT EXISTS (SELECT 1 FROM users WHERE role = 'admin' OR name = ?3)";
            if tx.execute(sql, params![FIRST, hash, session.user])? == 0 {
                return Ok(false);
            }
            let now = session.created_at.as_millisecond();
            tx.execute(INSERT_USER, params![session.user, Role::Admin.name(), password, lang.tag(), now])?;
            tx.execute(INSERT_SESSION, session_values!(session))?;
            Ok(true)
        })
    }

    /// Uses an account's invitation up: sets its password and opens its session. `false`: it was used or replaced
    /// meanwhile, or the account is disabled.
    pub fn accept_invitation(&self, hash: &str, password: &str, session: &SessionRow) -> Result<bool, Error> {
        self.write(|tx| {
            let sql = "DELETE FROM settings WHERE key = ?1 AND json_extract(value, '$.hash') = ?2 \
                       AND EXISTS (SELECT 1 FROM users WHERE name = ?3 AND disabled_at IS NULL)";
            let key = invitation_key(&session.user);
            if tx.execute(sql, params![key, hash, session.user])? == 0 {
                return Ok(false);
            }
            let sql = "UPDATE users SET password = ?2, failures = 0, locked_until = NULL WHERE name = ?1";
            tx.execute(sql, params![session.user, password])?;
            tx.execute(INSERT_SESSION, session_values!(session))?;
            Ok(true)
        })
    }
}

/// Sessions.
impl State {
    /// Uses the factor up and opens a session in place of `replaces`, all or nothing. `false`: the factor was used
    /// meanwhile, or the account or the session to replace is no longer what it was when they were checked.
    pub fn admit(
        &self,
        session: &SessionRow,
        factor: &Factor,
        password: &str,
        replaces: Option<&str>,
    ) -> Result<bool, Error> {
        let (step, recovery) = match factor {
            Factor::None => (None, None),
            Factor::Step(step) => (Some(*step as i64), None),
            Factor::Recovery(hash) => (None, Some(hash)),
        };
        self.write(|tx| {
            let stands: bool =
                tx.query_row(STANDS, params![session.user, password, step, recovery, replaces], |row| {
                    row.get(0)
                })?;
            if !stands {
                return Ok(false);
            }
            let now = session.created_at.as_millisecond();
            let sql = "UPDATE users SET failures = 0, locked_until = NULL, \
                       totp_last_step = coalesce(?2, totp_last_step) WHERE name = ?1";
            tx.execute(sql, params![session.user, step])?;
            let sql = "UPDATE recovery_codes SET used_at = ?3 WHERE user = ?1 AND hash = ?2";
            tx.execute(sql, params![session.user, recovery, now])?;
            let sql = "DELETE FROM sessions WHERE hash = ?1 OR expires_at <= ?2";
            tx.execute(sql, params![replaces, now])?;
            tx.execute(INSERT_SESSION, session_values!(session))?;
            Ok(true)
        })
    }

    /// The session of that cookie, with its account as it is now.
    pub fn session(&self, hash: &str) -> Result<Option<(SessionRow, User)>, Error> {
        let found = self.read(|db| {
            db.prepare_cached("SELECT * FROM sessions WHERE hash = ?1")?.query_row([hash], session).optional()
        })?;
        let Some(found) = found else { return Ok(None) };
        Ok(self.user(&found.user)?.map(|user| (found, user)))
    }

    /// The sessions of an account, the newest first.
    pub fn sessions_of(&self, name: &str) -> Result<Vec<SessionRow>, Error> {
        self.read(|db| {
            db.prepare("SELECT * FROM sessions WHERE user = ?1 ORDER BY created_at DESC")?
                .query_map([name], session)?
                .collect()
        })
    }

    /// Who logged in from where and may still be there.
    pub fn session_places(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|db| {
            db.prepare("SELECT DISTINCT user, address FROM sessions LIMIT 10000")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Notes that a session was used.
    pub fn touch_session(&self, hash: &str, now: Timestamp) -> Result<(), Error> {
        self.write(|tx| {
            let sql = "UPDATE sessions SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2";
            tx.execute(sql, params![hash, now.as_millisecond()]).map(drop)
        })
    }

    /// Ends one session.
    pub fn end_session(&self, hash: &str) -> Result<(), Error> {
        self.write(|tx| tx.execute("DELETE FROM sessions WHERE hash = ?1", params![hash]).map(drop))
    }

    /// Ends every session of an account.
    pub fn end_sessions_of(&self, name: &str) -> Result<usize, Error> {
        self.write(|tx| tx.execute("DELETE FROM sessions WHERE user = ?1", params![name]))
    }
}

/// API tokens.
impl State {
    /// Keeps a token's hash.
    pub fn add_token(&self, token: &TokenRow, hash: &str) -> Result<(), Error> {
        self.write(|tx| {
            let sql = "INSERT INTO tokens (name, hash, role, created_by, created_at, expires_at) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let expires_at = token.expires_at.map(Timestamp::as_millisecond);
            let created_at = token.created_at.as_millisecond();
            tx.execute(
                sql,
                params![token.name, hash, token.role.name(), token.created_by, created_at, expires_at],
            )
            .map(drop)
        })
    }

    /// The token with that hash.
    pub fn token(&self, hash: &str) -> Result<Option<TokenRow>, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM tokens WHERE hash = ?1")?.query_row([hash], token).optional()
        })
    }

    /// All tokens, the newest first.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, Error> {
        self.read(|db| db.prepare("SELECT * FROM tokens ORDER BY id DESC")?.query_map([], token)?.collect())
    }

    /// Notes that a token was used.
    pub fn touch_token(&self, id: i64, now: Timestamp) -> Result<(), Error> {
        self.write(|tx| {
            let sql = "UPDATE tokens SET used_at = ?2 WHERE id = ?1";
            tx.execute(sql, params![id, now.as_millisecond()]).map(drop)
        })
    }

    /// Takes a token back. `false`: there is none with that number, or it was taken back before.
    pub fn revoke_token(&self, id: i64, now: Timestamp) -> Result<bool, Error> {
        self.write(|tx| {
            let sql = "UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            Ok(tx.execute(sql, params![id, now.as_millisecond()])? == 1)
        })
    }
}

const FIRST: &str = "access.first_admin";
const USER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1)";
const SET_NOTE: &str = "INSERT INTO settings (key, value) VALUES (?1, ?2) \
                        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const INSERT_SESSION: &str = "INSERT INTO sessions (hash, user, csrf, created_at, seen_at, expires_at, address) \
                              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

fn refused(exists: bool) -> rusqlite::Result<Changed> {
    Ok(if exists { Changed::LastAdmin } else { Changed::NoSuchUser })
}

fn invitation_key(name: &str) -> String {
    format!("access.invitation.{name}")
}

fn key_for(name: Option<&str>) -> String {
    name.map_or_else(|| FIRST.to_owned(), invitation_key)
}

fn json(code: &Invitation) -> Result<String, Error> {
    serde_json::to_string(code).map_err(|source| Error::Json { what: "an invitation", source })
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row.get("name")?,
        role: row.get("role")?,
        password: row.get("password")?,
        totp: row.get("totp")?,
        totp_last_step: u64::try_from(row.get::<_, i64>("totp_last_step")?).unwrap_or(0),
        lang: Lang::from_locale(&row.get::<_, String>("lang")?),
        created_at: at(row, "created_at")?,
        disabled_at: at_or_none(row, "disabled_at")?,
        failures: row.get("failures")?,
        locked_until: at_or_none(row, "locked_until")?,
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        hash: row.get("hash")?,
        user: row.get("user")?,
        csrf: row.get("csrf")?,
        created_at: at(row, "created_at")?,
        seen_at: at(row, "seen_at")?,
        expires_at: at(row, "expires_at")?,
        address: row.get("address")?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.get("role")?,
        created_by: row.get("created_by")?,
        created_at: at(row, "created_at")?,
        expires_at: at_or_none(row, "expires_at")?,
        used_at: at_or_none(row, "used_at")?,
        revoked_at: at_or_none(row, "revoked_at")?,
    })
}

fn at(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    instant(row.get(column)?)
}

fn at_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(instant).transpose()
}

fn instant(milliseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds)
        .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, cause.into()))
}
