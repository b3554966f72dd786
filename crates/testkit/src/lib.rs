//! What tests share. A test that needs a tool or a data set which is missing says so on one line and passes as
//! skipped; where everything should be there (CI as root with the shared data beside the checkout) a skip is
//! a failure unless `tests/allowed-skips.txt` names it with its reason.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod clamd;
pub mod dns;
pub mod evtx;
pub mod frames;
pub mod servers;
pub mod telescope;

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const ALLOWED_SKIPS: &str = include_str!("../../../tests/allowed-skips.txt");

/// The path of an external tool, or `None` after saying that `test` is skipped for want of it.
pub fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .map(|dir| dir.join(name))
            .find(|candidate| candidate.is_file())
    });
    if found.is_none() {
        skip(test, &format!("`{name}` is not installed (./test installs it)"));
    }
    found
}

/// A path below the shared corpora, or `None` after saying that `test` is skipped for want of them.
pub fn shared(test: &str, relative: &str) -> Option<PathBuf> {
    let path = shared_dir().join("data").join(relative);
    if path.exists() {
        return Some(path);
    }
    skip(test, &format!("the corpus {relative} is not beside this checkout"));
    None
}

/// Bytes that look random and compress to nothing, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Whether the test may do what only root may, or `false` after saying that `test` is skipped.
pub fn root(test: &str) -> bool {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if !is_root {
        skip(test, "it needs root");
    }
    is_root
}

/// Says on one line that `test` is skipped and why.
///
/// # Panics
/// With `CI=true`, root and the shared data present, unless the list of allowed skips names the test.
pub fn skip(test: &str, reason: &str) {
    // Written past the test harness's capture, which only takes the print macros.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {reason}");
    let everything_is_here = env::var("CI").is_ok_and(|ci| ci == "true") && shared_dir().is_dir();
    let allowed = ALLOWED_SKIPS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .any(|line| line.split_whitespace().next() == Some(test));
    assert!(!everything_is_here || allowed, "{test} was skipped where nothing may be skipped: {reason}");
}

fn shared_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}
