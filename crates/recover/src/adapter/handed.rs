//! Passwords that whoever starts a capture hands over by name, such as the hub from its sealed store.
//!
//! A program that talks to a database takes a password from a file. That file is memory with a descriptor (memfd): it has no name, is
//! on no disk, only this user can open it, and it is gone with this process. Arguments and environment hold its place alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use super::Settings;
use crate::error::Error;

/// Where what is handed over can be read, by its name.
pub type Handed = BTreeMap<String, PathBuf>;

/// The setting that names one.
pub(super) const KEY: &str = "password-secret";
/// No password is longer.
const BYTES_MAX: u64 = 4096;

/// A password for a program.
pub(super) struct Password {
    name: String,
    /// `None`: nobody handed it over, which only matters once it is needed.
    file: Option<OwnedFd>,
}

impl Password {
    /// What `password-secret` names, written as a program reads it. `instead` and `run-as` say where else one would come from.
    pub(super) fn of(
        settings: &Settings,
        instead: &str,
        written: fn(&str) -> String,
    ) -> Result<Option<Password>, Error> {
        let Some(name) = settings.text(KEY) else { return Ok(None) };
        for other in [instead, "run-as"] {
            if settings.text(other).is_some() {
                return Err(settings.refuse(format!("{KEY} and {other} exclude each other")));
            }
        }
        let Some(path) = settings.handed(name) else {
            return Ok(Some(Password { name: name.to_owned(), file: None }));
        };
        let io = |op| move |source| Error::Io { op, path: path.clone(), source };
        let mut password = String::new();
        let file = File::open(path).map_err(io("open the password in"))?;
        file.take(BYTES_MAX).read_to_string(&mut password).map_err(io("read the password in"))?;
        let password = password.trim_end_matches(['\r', '\n']);
        if password.is_empty() || password.contains(['\0', '\n', '\r']) {
            return Err(settings.refuse(format!("the secret {name} is no password")));
        }
        let made = || -> std::io::Result<OwnedFd> {
            let memory = memfd_create("chartward-password", MemfdFlags::CLOEXEC)?;
            fchmod(&memory, Mode::RUSR | Mode::WUSR)?;
            let mut memory = File::from(memory);
            memory.write_all(written(password).as_bytes())?;
            Ok(memory.into())
        };
        let file = made().map_err(io("hand on the password in"))?;
        Ok(Some(Password { name: name.to_owned(), file: Some(file) }))
    }

    /// The path at which programs of this same user read it for as long as this lives.
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        match &self.file {
            Some(file) => Ok(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()),
            None => Err(Error::NotHanded { name: self.name.clone() }),
        }
    }
}

/// For every server, database and role, as libpq's password file has it.
pub(super) fn pgpass(password: &str) -> String {
    format!("*:*:*:*:{}\n", password.replace('\\', "\\\\").replace(':', "\\:"))
}

/// As an option file of MariaDB and MySQL has it.
pub(super) fn option_file(password: &str) -> String {
    let mut text = "[client]\npassword=\"".to_owned();
    for c in password.chars() {
        match c {
            '\\' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{c}");
            }
            c => text.push(c),
        }
    }
    text + "\"\n"
}

/// The names of what a source wants to be handed.
pub fn wanted(source: &str) -> Option<String> {
    let (_, settings) = source.split_once(':')?;
    let pairs = settings.split(',').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(key, _)| *key == KEY);
    named.next().map(|(_, name)| name.replace("%2C", ",").replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Source;

    #[test]
    fn passwords_are_written_as_each_program_reads_them() {
        assert_eq!(pgpass(r"a:b\c"), "*:*:*:*:a\\:b\\\\c\n");
        assert_eq!(option_file(r#"a"b\c#d"#), "[client]\npassword=\"a\\\"b\\\\c#d\"\n");
    }

    #[test]
    fn a_source_names_what_it_wants() {
        for (text, expected) in [
            ("mariadb:user=me,password-secret=emr-db", Some("emr-db")),
            ("mariadb:user=me", None),
            ("mariadb", None),
        ] {
            assert_eq!(wanted(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_password_comes_from_one_place_and_is_missed_only_when_it_is_needed() {
        assert!(Source::parse("mariadb:user=me,password-secret=emr-db").is_ok());
        for other in ["run-as=mysql", "defaults-file=/etc/my.cnf"] {
            let text = format!("mariadb:password-secret=emr-db,{other}");
            let error = Source::parse(&text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("exclude each other"), "{error}");
        }
    }
}
