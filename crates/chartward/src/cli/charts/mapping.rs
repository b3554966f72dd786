//! `--mapping FILE`: the EMR's own database, beside what the files say.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use jiff::tz::TimeZone;
use recover::charts::Charts;
use recover::charts::mapping::{Database, Mapping, Origin, Rooms};

use crate::cli::sandbox::Sandbox;

/// Longest mapping that is read.
const BYTES_MAX: u64 = 1 << 20;

/// A database with the folders it lies in. Its server ends before they are removed: fields are dropped in their order.
pub(super) struct Opened {
    database: Option<Database>,
    _rooms: Vec<Sandbox>,
}

/// Opens what the mapping names; nothing where there is none.
pub(super) fn opened(mapping: Option<&Path>, origin: &Origin<'_>) -> anyhow::Result<Opened> {
    let Some(file) = mapping else { return Ok(Opened { database: None, _rooms: Vec::new() }) };
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|open| open.take(BYTES_MAX + 1).read_to_string(&mut text))
        .with_context(|| format!("cannot read the mapping {}", file.display()))?;
    let named = || format!("the mapping is {}", file.display());
    let mapping = Mapping::parse(&text).with_context(named)?;
    // How large a database becomes that is loaded from a dump, nobody can say beforehand: on disk.
    let rooms = vec![Sandbox::on_disk("drill", None)?, Sandbox::on_disk("drill", None)?];
    let places = Rooms { restored: rooms[0].path(), engines: rooms[1].path() };
    let database = Database::open(&mapping, origin, &places, TimeZone::system()).with_context(named)?;
    Ok(Opened { database: Some(database), _rooms: rooms })
}

impl Opened {
    /// The charts, with the database where there is one.
    pub(super) fn beside<'a>(&mut self, charts: Charts<'a>) -> Charts<'a> {
        match self.database.take() {
            Some(database) => charts.with_database(database),
            None => charts,
        }
    }
}
