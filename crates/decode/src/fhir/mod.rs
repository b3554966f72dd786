//! FHIR R4 as files hold it: Bulk-export NDJSON (one resource a line) and Bundles, and the data types that a chart needs.
//!
//! A resource is read leniently: a field of the wrong type is as if it were absent, and is named ([`Wrong`]), so that one slip of an
//! exporter costs one field and not the resource. Nothing here keeps more than [`RESOURCE_BYTES_MAX`] bytes at a time.

mod head;
mod node;
mod split;
mod types;
mod when;

pub use head::{Head, Reference, parse, reference_of};
pub use node::{Node, Wrong};
pub use split::{Ending, Piece, Splitter};
pub use types::{Coding, Name};
pub use when::When;

/// Largest resource that is read: a note of 50 MB in base64, with room.
pub const RESOURCE_BYTES_MAX: usize = 80 << 20;
