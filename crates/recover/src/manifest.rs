//! What a snapshot should hold, stored in the snapshot itself.

use schema::Manifest;

use crate::error::Error;
use crate::vault::{Snapshot, Vault};

/// Folder inside a snapshot that is Chartward's own.
pub const FOLDER: &str = "/.chartward";
/// The manifest inside a snapshot.
pub const PATH: &str = "/.chartward/manifest.json";
/// Version of the manifest that this program writes.
pub const VERSION: u32 = 1;

/// No manifest is larger: it names exceptions one by one.
const BYTES_MAX: u64 = 64 << 20;

/// The manifest of a snapshot; `None` when another program made the snapshot.
pub fn read(vault: &Vault, snapshot: &Snapshot) -> Result<Option<Manifest>, Error> {
    let bytes = match vault.files(snapshot).read_path(PATH, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(Error::PathNotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|cause| Error::Damaged {
        what: "manifest",
        id: snapshot.id.0.clone(),
        cause: cause.to_string(),
    })
}

/// The manifest as it is stored.
pub(crate) fn write(manifest: &Manifest) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(manifest)
        .map_err(|cause| Error::Engine { op: "write the manifest", source: cause.into() })
}
