//! Tokens of programs.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::super::State;
use super::{TokenRow, at, at_or_none};
use crate::Error;

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
