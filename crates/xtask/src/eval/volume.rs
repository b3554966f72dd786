//! The file systems that trees lie on: loop images, made and mounted for one run.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::tidy;

/// Sparse: only what is written takes room.
const IMAGE_BYTES: u64 = 3 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileSystem {
    /// No image: a folder where temporary files lie
    Folder,
    /// Copies, no reflinks
    Ext4,
    /// With reflinks
    Xfs,
    /// With reflinks
    Btrfs,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Folder => "folder",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        })
    }
}

/// A mounted file system; dropped, it is unmounted and its image removed.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) fs: FileSystem,
    /// Where it is mounted.
    pub(crate) dir: PathBuf,
    image: Option<PathBuf>,
}

impl Volume {
    pub(crate) fn new(fs: FileSystem, room: &Path) -> anyhow::Result<Self> {
        let dir = room.join(fs.to_string());
        fs::create_dir_all(&dir).context("make the mount point")?;
        let make: &[&str] = match fs {
            FileSystem::Folder => return Ok(Self { fs, dir, image: None }),
            FileSystem::Ext4 => &["mkfs.ext4", "-q", "-F"],
            FileSystem::Xfs => &["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
            FileSystem::Btrfs => &["mkfs.btrfs", "-q", "-f"],
        };
        let image = room.join(format!("{fs}.img"));
        File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).context("make the image")?;
        let volume = Self { fs, dir, image: Some(image.clone()) };
        let (program, arguments) = make.split_first().context("a file system has a program that makes it")?;
        tidy::run(Command::new(program).args(arguments).arg(&image))?;
        tidy::run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&volume.dir))?;
        fs::set_permissions(&volume.dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .context("open the mount point")?;
        Ok(volume)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        tidy::unmount_below(&self.dir);
        if let Some(image) = &self.image {
            // The room goes with it anyway.
            let _ = fs::remove_file(image);
        }
    }
}
