//! One-time codes, kept beside the settings: one for each account, and one for the first administrator.

use rusqlite::{OptionalExtension, params};
use schema::Lang;

use super::super::State;
use super::sessions::insert_session;
use super::{INSERT_USER, Invitation, Role, SessionRow};
use crate::Error;

const FIRST: &str = "access.first_admin";
pub(super) const SET_NOTE: &str = "INSERT INTO settings (key, value) VALUES (?1, ?2) \
                        ON CONFLICT (key) DO UPDATE SET value = excluded.value";

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
            insert_session(tx, session)?;
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
            insert_session(tx, session)?;
            Ok(true)
        })
    }
}

pub(super) fn invitation_key(name: &str) -> String {
    format!("access.invitation.{name}")
}

fn key_for(name: Option<&str>) -> String {
    name.map_or_else(|| FIRST.to_owned(), invitation_key)
}

pub(super) fn json(code: &Invitation) -> Result<String, Error> {
    serde_json::to_string(code).map_err(|source| Error::Json { what: "an invitation", source })
}
