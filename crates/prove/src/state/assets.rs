use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::columns::{from_word, instant, list, millis, word};
use super::{State, Writer};
use crate::Error;

/// Something that the configuration names: a host, a store, a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub kind: AssetKind,
    /// Its address, where it has one.
    pub address: Option<IpAddr>,
    /// Where it stands.
    pub state: AssetState,
    /// Since when.
    pub since: Timestamp,
    /// JSON of whoever keeps more about it; empty when nobody does.
    pub detail: String,
}

/// What an asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A machine.
    Host,
    /// A folder of records.
    Store,
    /// A share of a machine on which nothing of ours runs.
    Share,
}

/// Where an asset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetState {
    /// As always.
    Normal,
    /// Cut off from the others.
    Isolated,
    /// Let back, and looked at more closely for a week.
    Watched,
}

const COLUMNS: &str = "SELECT name, kind, address, state, since, detail FROM assets";

impl Writer<'_> {
    /// Writes an asset as it stands now, new or known.
    pub fn put_asset(&self, asset: &Asset) -> rusqlite::Result<()> {
        let sql =
            "INSERT INTO assets (name, kind, address, state, since, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, address = excluded.address,
            state = excluded.state, since = excluded.since, detail = excluded.detail";
        let address = asset.address.map(|address| address.to_string());
        let (kind, state) = (word(&asset.kind)?, word(&asset.state)?);
        self.execute(sql, params![asset.name, kind, address, state, millis(asset.since), asset.detail])
            .map(|_| ())
    }

    /// Forgets an asset that the configuration no longer names.
    pub fn remove_asset(&self, name: &str) -> rusqlite::Result<()> {
        self.execute("DELETE FROM assets WHERE name = ?1", params![name]).map(|_| ())
    }
}

impl State {
    /// The asset with that name.
    pub fn asset(&self, name: &str) -> Result<Option<Asset>, Error> {
        self.read(|db| db.query_row(&format!("{COLUMNS} WHERE name = ?1"), [name], asset).optional())
    }

    /// Assets by name, at most `limit`.
    pub fn assets(&self, limit: u32) -> Result<Vec<Asset>, Error> {
        self.read(|db| list(db, &format!("{COLUMNS} ORDER BY name LIMIT ?1"), params![limit], asset))
    }
}

fn asset(row: &Row<'_>) -> rusqlite::Result<Asset> {
    let address: Option<String> = row.get(2)?;
    Ok(Asset {
        name: row.get(0)?,
        kind: from_word(row, 1)?,
        address: address.and_then(|address| address.parse().ok()),
        state: from_word(row, 3)?,
        since: instant(row, 4)?,
        detail: row.get(5)?,
    })
}
