//! What the operator of the evaluation chose.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::volume::FileSystem;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    /// File systems to run on, each in a loop image of its own (`folder`: where the temporary folder lies)
    #[arg(long, value_delimiter = ',', default_value = "ext4,xfs,btrfs")]
    pub(crate) fs: Vec<FileSystem>,
    /// Classes of attack (default: all)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) class: Vec<String>,
    /// Ordinary jobs (default: all)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) job: Vec<String>,
    /// How often each case runs; the order of the files changes with the round
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Seed of the files, their order and the keystreams
    #[arg(long, default_value_t = 2018)]
    pub(crate) seed: u64,
    /// Files in the tree, at most
    #[arg(long, default_value_t = 240)]
    pub(crate) files: usize,
    /// Where to write every single case, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// The chartward to run (default: built now, in the profile of this program)
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
    /// How the guard is to see what happens
    #[arg(long, value_enum, default_value_t = Mode::Permission)]
    pub(crate) mode: Mode,
    /// Repeat attacks and jobs on the first file system with each of the guard's indicators switched off
    #[arg(long)]
    pub(crate) ablation: bool,
    /// Leave the attacks out
    #[arg(long, conflicts_with = "attacks_only")]
    pub(crate) benign_only: bool,
    /// Leave the ordinary jobs out
    #[arg(long)]
    pub(crate) attacks_only: bool,
    /// Run the classes that come over SMB, from a real Samba
    #[arg(long)]
    pub(crate) samba: bool,
    /// A further argument for each guard; can be given several times
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) guard_argument: Vec<String>,
    /// After so many seconds a case is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 40)]
    pub(crate) patience: u64,
    /// Where what was downloaded and built is kept from one run to the next
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Name the classes and the jobs, and end
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Opens wait for the verdict; needs root
    Permission,
    /// As an ordinary user
    Unprivileged,
}

impl Settings {
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    pub(crate) fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Permission => "permission",
            Mode::Unprivileged => "unprivileged",
        }
    }

    /// Folder for what is kept between runs.
    pub(crate) fn cache(&self) -> PathBuf {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        self.cache
            .clone()
            .unwrap_or_else(|| home().unwrap_or_else(std::env::temp_dir).join("chartward-guard-eval"))
    }
}
