//! Names and places of SS-MIX2 storage (SS-MIX2 1.2i §3): `root/ID[0:3]/ID[3:6]/ID/{YYYYMMDD|-}/TYPE/FILE`.
//!
//! Everything that backup, census and charts need before opening a file stands in its name.

mod extended;
mod locate;
mod name;
#[cfg(test)]
mod tests;

pub use extended::{DocumentKind, LocatedDocument, locate_document};
pub use locate::{Located, locate, patient_folder};
pub use name::{Flag, RecordKey, RecordName, resembles_record_name};
