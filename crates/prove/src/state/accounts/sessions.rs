//! Log-ins that last.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::super::{State, Writer};
use super::{Factor, SessionRow, User, at};
use crate::Error;

/// Whether what was checked outside the transaction still holds: account and password (1, 2), the step or the
/// recovery code, or neither for an account without a second factor (3, 4), the session to replace (5).
const STANDS: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND password = ?2 AND disabled_at IS NULL \
                      AND CASE WHEN ?3 IS NOT NULL THEN totp_last_step < ?3 \
                      WHEN ?4 IS NOT NULL THEN EXISTS (SELECT 1 FROM recovery_codes WHERE user = ?1 AND hash = ?4 \
                      AND used_at IS NULL) ELSE totp IS NULL END) \
                      AND (?5 IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE hash = ?5 AND user = ?1))";

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
            insert_session(tx, session)?;
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

/// Keeps a log-in.
pub(super) fn insert_session(tx: &Writer<'_>, row: &SessionRow) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO sessions (hash, user, csrf, created_at, seen_at, expires_at, address) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        row.hash,
        row.user,
        row.csrf,
        row.created_at.as_millisecond(),
        row.seen_at.as_millisecond(),
        row.expires_at.as_millisecond(),
        row.address,
    ];
    tx.execute(sql, values)
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
