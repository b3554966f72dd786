//! Passwords of the sealed store, handed to the one backup that names them: in memory that has no name, that only this user can open and
//! that is gone when the backup has ended. Its arguments say where it is.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use zeroize::Zeroizing;

use super::outbox::FindSecret;

/// What one backup may read for as long as this lives.
#[derive(Default)]
pub(super) struct HandedOver(Vec<(String, OwnedFd)>);

impl HandedOver {
    /// What the store holds of these names. What it lacks is missed by the backup itself, which says what to do.
    pub(super) fn of(names: &[String], sealed: &FindSecret) -> io::Result<HandedOver> {
        let held = names.iter().filter_map(|name| Some((name, Zeroizing::new(sealed(name)?))));
        let in_memory = held.map(|(name, secret)| -> io::Result<(String, OwnedFd)> {
            let memory = memfd_create("chartward-secret", MemfdFlags::CLOEXEC)?;
            fchmod(&memory, Mode::RUSR | Mode::WUSR)?;
            let mut memory = File::from(memory);
            memory.write_all(secret.as_bytes())?;
            Ok((name.clone(), memory.into()))
        });
        in_memory.collect::<io::Result<_>>().map(HandedOver)
    }

    /// For the backup's command line: places, no secret.
    pub(super) fn args(&self) -> Vec<OsString> {
        let place = |(name, file): &(String, OwnedFd)| {
            format!("--secret={name}=/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
        };
        self.0.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_handed_over_can_be_read_by_its_place_and_is_gone_afterwards() {
        let names = ["emr-db".to_owned(), "nobody-stored".to_owned()];
        let handed =
            HandedOver::of(&names, &|name| (name == "emr-db").then(|| "hunter2".to_owned())).unwrap();
        let args = handed.args();
        assert_eq!(args.len(), 1);
        let (name, place) =
            args[0].to_str().unwrap().trim_start_matches("--secret=").split_once('=').unwrap();
        assert_eq!((name, std::fs::read_to_string(place).unwrap().as_str()), ("emr-db", "hunter2"));
        assert_eq!(std::fs::metadata(place).unwrap().permissions().mode() & 0o777, 0o600);
        let place = place.to_owned();
        drop(handed);
        assert_ne!(std::fs::read_to_string(place).ok().as_deref(), Some("hunter2"));
    }
}
