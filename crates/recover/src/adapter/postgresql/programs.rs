//! Which of the PostgreSQL versions on this machine does the work.

use std::fs;
use std::path::{Path, PathBuf};

use crate::adapter::program;
use crate::error::Error;

/// Where distributions keep one folder for each version.
const HOMES: [(&str, &str); 3] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-"), ("/opt/postgresql", "")];
const PACKAGE: &str = "postgresql";

/// The programs of one version.
pub(super) struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// The newest: it dumps every older server.
    pub(super) fn newest() -> Result<Programs, Error> {
        match installed("pg_dump").pop() {
            Some((_, dir)) => Ok(Programs { dir }),
            None => in_path("pg_dump"),
        }
    }

    /// The oldest that is not older than the server that was captured: its own version, if it is here.
    pub(super) fn for_server(version: &str) -> Result<Programs, Error> {
        let wanted = major(version).unwrap_or(0);
        let all = installed("initdb");
        match all.into_iter().find(|(version, _)| *version >= wanted) {
            Some((_, dir)) => Ok(Programs { dir }),
            None => in_path("initdb"),
        }
    }

    /// That version and no other: data files are not understood by the next one.
    pub(super) fn exactly(version: &str) -> Result<Programs, Error> {
        let wanted = major(version);
        let missing = || Error::ProgramMissing {
            program: format!("PostgreSQL {version}, the version of these data files,"),
            package: PACKAGE,
        };
        let found = installed("initdb").into_iter().find(|(version, _)| Some(*version) == wanted);
        found.map(|(_, dir)| Programs { dir }).ok_or_else(missing)
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.dir.join(program)
    }
}

fn in_path(name: &str) -> Result<Programs, Error> {
    let program = program::find(name, PACKAGE)?;
    Ok(Programs { dir: program.parent().unwrap_or(Path::new("/usr/bin")).to_path_buf() })
}

/// Versions that have the program, oldest first.
fn installed(program: &str) -> Vec<(u32, PathBuf)> {
    let mut found = Vec::new();
    for (home, prefix) in HOMES {
        for entry in fs::read_dir(home).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(major);
            let dir = entry.path().join("bin");
            if let (Some(version), true) = (version, dir.join(program).is_file()) {
                found.push((version, dir));
            }
        }
    }
    found.sort();
    found
}

/// The version before the first dot.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}
