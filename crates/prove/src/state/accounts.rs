//! Accounts, recovery codes, sessions and API tokens as they lie in the database.
//!
//! Whether somebody may do something is decided elsewhere; here stands only what must hold in one transaction:
//! that a one-time value is used once, and that the last administrator stays one. Nothing in these tables lets
//! its reader in: passwords are argon2id, the rest are SHA-256 of at least 80 random bits, TOTP secrets are
//! sealed with a key that lies elsewhere.

mod invitations;
mod sessions;
mod tokens;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use schema::Lang;
use serde::{Deserialize, Serialize};

use super::State;
use super::columns::{instant, instant_or_none};
use crate::Error;
use invitations::{SET_NOTE, invitation_key, json};
use sessions::insert_session;

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
            insert_session(tx, session)?;
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
            insert_session(tx, session)?;
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

const USER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1)";
fn refused(exists: bool) -> rusqlite::Result<Changed> {
    Ok(if exists { Changed::LastAdmin } else { Changed::NoSuchUser })
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

fn at(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    instant(row, row.as_ref().column_index(column)?)
}

fn at_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    instant_or_none(row, row.as_ref().column_index(column)?)
}
