//! Pure parsers and content statistics that several rooms need: bytes in, values out.
//!
//! Nothing here reads a file or a clock, and no input, however hostile, makes it panic or take more memory
//! than a small multiple of the input.
#![forbid(unsafe_code)]

pub mod attachment;
pub mod auth;
pub mod content;
#[cfg(test)]
mod corpus;
mod error;
pub mod evtx;
pub mod fhir;
pub mod hl7;
pub mod mail;
pub mod ocsf;
pub mod packet;
pub mod speech;
pub mod ssmix2;

pub use error::DecodeError;
