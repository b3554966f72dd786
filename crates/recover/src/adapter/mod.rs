//! What is protected, and how it is captured and counted: one file for each kind of store.

pub mod sqlite;
pub mod ssmix2;
