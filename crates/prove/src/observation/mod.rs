//! What the observation network leaves behind: files that are kept for years, reports, and letters to the owners of sources.

mod article;
mod csv;
mod file;
mod letters;
mod page;
mod plot;
mod services;
mod store;
mod words;

pub use article::article;
pub use csv::csv;
pub use file::{Fault, Head, read, write};
pub use letters::{Letter, LetterState, Letters, Step};
pub use page::page;
pub use services::Services;
pub use store::{Kind, Store, Stored};
pub use words::{family, version};

#[cfg(test)]
mod tests;
