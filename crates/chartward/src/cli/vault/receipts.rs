//! When the snapshots of a vault came in, where a vault host noted it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use recover::host::{ClientName, Event, Host, Kind, Settings};
use recover::vault::Verdict;
use schema::SnapshotId;

/// A vault in a vault host's folder.
pub(super) struct Received {
    host: Host,
    client: ClientName,
}

impl Received {
    /// The host whose folder `vault` lies in; `None` if it lies in none. Where one is named, the vault must lie there: rules that
    /// silently went by what snapshots say of themselves would be an attacker's.
    pub(super) fn of(vault: &Path, named: Option<&Path>) -> anyhow::Result<Option<Received>> {
        let found = place(vault);
        let (root, client) = match (found, named) {
            (None, None) => return Ok(None),
            (Some(found), None) => found,
            (Some((root, client)), Some(named)) if named.canonicalize().is_ok_and(|it| it == root) => {
                (root, client)
            }
            (_, Some(named)) => {
                bail!("{} is not below repositories/ of the vault host {}", vault.display(), named.display())
            }
        };
        let settings =
            Settings { retain: SignedDuration::ZERO, delay: SignedDuration::ZERO, immutable: false };
        let host = Host::visit(&root, settings).with_context(|| {
            format!("cannot learn from the vault host {} when snapshots came in", root.display())
        })?;
        Ok(Some(Received { host, client }))
    }

    /// When each snapshot was received.
    pub(super) fn snapshots(&self) -> anyhow::Result<BTreeMap<SnapshotId, Timestamp>> {
        let (receipts, broken_at) = self.host.receipts(&self.client)?;
        if let Some(line) = broken_at {
            let client = &self.client;
            bail!(
                "the receipts of {client} do not follow from each other at line {line}: somebody changed them, and nothing is forgotten by them"
            );
        }
        ensure!(!receipts.is_empty(), "the vault host has no receipts of {}", self.client);
        let came_in = receipts.iter().filter(|receipt| {
            receipt.name().kind == Kind::Snapshots && matches!(receipt.event, Event::Received | Event::Found)
        });
        Ok(came_in.map(|receipt| (SnapshotId(receipt.name().id.to_string()), receipt.at)).collect())
    }

    /// An audit line of the host: what it received is not where it was, and this is why.
    pub(super) fn note(&self, forgotten: &[&Verdict]) -> anyhow::Result<()> {
        if !forgotten.is_empty() {
            let ids: Vec<&str> = forgotten.iter().map(|verdict| verdict.snapshot.id.short()).collect();
            let by = super::super::vault_host::operator();
            self.host.note("forgotten", self.client.as_str(), &by, &ids.join(" "))?;
        }
        Ok(())
    }
}

/// The folder of a vault host and the client whose repository lies there.
fn place(vault: &Path) -> Option<(std::path::PathBuf, ClientName)> {
    let vault = vault.canonicalize().ok()?;
    let client = ClientName::parse(vault.file_name()?.to_str()?)?;
    let repositories = vault.parent().filter(|parent| parent.ends_with("repositories"))?;
    let root = repositories.parent()?;
    let is_host = root.join("receipts").is_dir() && root.join("clients.json").exists();
    is_host.then(|| (root.to_owned(), client))
}
