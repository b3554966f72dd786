//! FHIR R4 beside SS-MIX2: Bulk-export NDJSON and Bundles, found by their content.
//!
//! An export is sorted by type and not by patient. So the files are read once, from beginning to end, for an index of who has what
//! where ([`index`]); a chart then reads one patient's resources by their offsets ([`store`]).

mod care;
mod conditions;
mod index;
mod labs;
mod medication;
mod notes;
mod person;
mod read;
mod resource;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_export;
#[cfg(test)]
mod tests_input;

pub(super) use store::Store;
