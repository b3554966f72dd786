//! Names of shares, pipes and files as far as they matter for judging.

use schema::{SmbSight, SmbVerb};

/// Pipes of services that run programs, schedule them or change the registry; the last ones belong to tools that run commands
/// from afar, and go on with a number or the host's name.
const CONTROL: &[&str] = &["svcctl", "atsvc", "winreg", "itaskschedulerservice"];
const CONTROL_BEGIN: &[&str] = &["psexesvc", "psexec", "remcom_", "paexec", "csexec", "winexesvc", "ahexec"];

/// Other pipes that every Windows has: without having seen the tree these names still tell a pipe from a file.
const PIPES: &[&str] = &[
    "srvsvc",
    "wkssvc",
    "lsarpc",
    "lsass",
    "samr",
    "netlogon",
    "spoolss",
    "epmapper",
    "browser",
    "eventlog",
    "efsrpc",
    "ntsvcs",
    "protected_storage",
    "initshutdown",
    "netdfs",
    "fssagentrpc",
    "mssearch",
    "router",
    "trkwks",
    "keysvc",
    "msftewds",
    "w32time",
    "scerpc",
    "dnsserver",
    "tapsrv",
    "ctx_winstation_api_service",
];

/// Endings of what runs when it is opened.
const PROGRAMS: &[&str] = &[
    "exe", "dll", "sys", "bat", "cmd", "ps1", "psm1", "vbs", "vbe", "js", "jse", "wsf", "hta", "scr", "com",
    "msi", "msp", "cpl", "pif", "lnk", "jar", "ocx", "drv", "job",
];

/// What a tree connect reaches for, by the last part of `\\server\share`.
pub(super) fn tree(path: &str) -> SmbSight {
    let share = path.rsplit('\\').next().unwrap_or(path);
    let mut letters = share.chars();
    let is_drive = matches!((letters.next(), letters.next(), letters.next()), (Some(drive), Some('$'), None) if drive.is_ascii_alphabetic());
    let admin = is_drive || share.eq_ignore_ascii_case("admin$");
    SmbSight::Tree { admin, ipc: share.eq_ignore_ascii_case("ipc$") }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) name: &'a str,
    /// `CreateDisposition`.
    pub(super) disposition: u32,
    /// `DesiredAccess`.
    pub(super) access: u32,
    /// `CreateOptions`.
    pub(super) options: u32,
    /// Whether its tree is one of pipes, as far as known.
    pub(super) is_pipe: Option<bool>,
}

const SUPERSEDE: u32 = 0;
const OPEN: u32 = 1;
const CREATE: u32 = 2;
const OVERWRITE: u32 = 4;
const OVERWRITE_IF: u32 = 5;
/// Writing and appending data, and the two generic rights that hold them.
const WRITES: u32 = 0x5000_0006;
const DIRECTORY: u32 = 0x1;
const DELETE_ON_CLOSE: u32 = 0x1000;

/// What an open asks for.
pub(super) fn open(opening: &Opening<'_>) -> SmbVerb {
    if let Some(pipe) = pipe(opening.name, opening.is_pipe) {
        return pipe;
    }
    let makes = matches!(opening.disposition, SUPERSEDE | CREATE | OVERWRITE | OVERWRITE_IF);
    let writes = opening.access & WRITES != 0;
    let is_folder = opening.options & DIRECTORY != 0;
    let changes = makes || writes || opening.disposition != OPEN;
    if opening.options & DELETE_ON_CLOSE != 0 {
        SmbVerb::Delete
    } else if !is_folder && changes && is_program(opening.name) {
        SmbVerb::CreateProgram
    } else if makes {
        SmbVerb::Create
    } else if writes && !is_folder {
        SmbVerb::OpenWrite
    } else {
        SmbVerb::Open
    }
}

fn pipe(name: &str, is_pipe: Option<bool>) -> Option<SmbVerb> {
    if is_pipe == Some(false) {
        return None;
    }
    let bare = name.trim_start_matches('\\');
    let lower = bare.to_ascii_lowercase();
    let lower = lower.strip_prefix("pipe\\").unwrap_or(&lower);
    if CONTROL.contains(&lower)
        || (is_pipe.is_some() && CONTROL_BEGIN.iter().any(|begin| lower.starts_with(begin)))
    {
        return Some(SmbVerb::PipeControl);
    }
    (is_pipe.is_some() || PIPES.contains(&lower)).then_some(SmbVerb::Pipe)
}

fn is_program(name: &str) -> bool {
    let last = name.rsplit('\\').next().unwrap_or(name);
    // A stream's name follows the file's.
    let last = last.split(':').next().unwrap_or(last);
    let ending = last.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| PROGRAMS.iter().any(|program| ending.eq_ignore_ascii_case(program)))
}
