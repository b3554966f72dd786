//! What a file's name says and hides.

use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;

/// Windows starts these as programs.
const PROGRAMS: [&str; 34] = [
    "exe",
    "com",
    "scr",
    "pif",
    "cpl",
    "dll",
    "ocx",
    "sys",
    "drv",
    "msi",
    "msp",
    "mst",
    "msix",
    "msixbundle",
    "appx",
    "appxbundle",
    "appinstaller",
    "jar",
    "class",
    "apk",
    "deb",
    "rpm",
    "pkg",
    "xll",
    "wll",
    "ppam",
    "gadget",
    "application",
    "appref-ms",
    "run",
    "command",
    "elf",
    "jnlp",
    "air",
];
/// These run, or lead to something that runs, at a double click.
const SCRIPTS: [&str; 58] = [
    "js",
    "jse",
    "mjs",
    "vbs",
    "vbe",
    "vb",
    "wsf",
    "wsh",
    "wsc",
    "hta",
    "bat",
    "cmd",
    "btm",
    "ps1",
    "ps1xml",
    "ps2",
    "psc1",
    "psc2",
    "psm1",
    "psd1",
    "lnk",
    "url",
    "website",
    "chm",
    "hlp",
    "reg",
    "inf",
    "sct",
    "shb",
    "shs",
    "iqy",
    "oqy",
    "rqy",
    "dqy",
    "slk",
    "library-ms",
    "search-ms",
    "searchconnector-ms",
    "msc",
    "msh",
    "msh1",
    "msh2",
    "settingcontent-ms",
    "theme",
    "themepack",
    "diagcab",
    "scf",
    "job",
    "rdp",
    "py",
    "pyw",
    "pyc",
    "sh",
    "ahk",
    "desktop",
    "applescript",
    "scpt",
    "ade",
];
/// Pages that open in the browser from the disk.
const PAGES: [&str; 8] = ["htm", "html", "shtml", "xht", "xhtml", "svg", "mht", "mhtml"];
/// What people open without a thought.
const READ: [&str; 40] = [
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "rtf", "txt", "csv", "log", "jpg", "jpeg", "png",
    "gif", "bmp", "tif", "tiff", "webp", "heic", "mp3", "mp4", "wav", "mov", "avi", "m4a", "odt", "ods",
    "odp", "eml", "msg", "xml", "json", "ics", "vcf", "dcm", "jtd", "xdw", "md", "wmv",
];
/// Archives: what is in them is looked at for itself.
const ARCHIVES: [&str; 13] =
    ["zip", "7z", "rar", "lzh", "gz", "tgz", "bz2", "xz", "tar", "cab", "arj", "ace", "z"];
const DISKS: [&str; 7] = ["iso", "img", "vhd", "vhdx", "vmdk", "dmg", "udf"];

/// The extension in lower case, empty where there is none. Dots and blanks at the end, which Windows takes away, are no part of it.
pub(super) fn extension(name: &str) -> String {
    let (_, extension) = split(&plain(name));
    extension
}

/// What is before the last dot, and the extension behind it.
fn split(name: &str) -> (String, String) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 24 && !extension.contains(' ') => {
            (stem.to_owned(), extension.to_owned())
        }
        _ => (name.to_owned(), String::new()),
    }
}

/// The last part of a path in lower case, without what Windows drops at the end and what cannot be seen; full-width letters folded.
fn plain(name: &str) -> String {
    let seen = super::bytes::last(name).chars().filter(|&c| !invisible(c)).map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' if c.is_alphanumeric() => folded(c),
        c => c,
    });
    seen.collect::<String>().trim_end_matches(['.', ' ', '\u{3000}', '\u{a0}']).to_lowercase()
}

fn folded(c: char) -> char {
    char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)
}

fn invisible(c: char) -> bool {
    c.is_control()
        || turns(c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}')
}

/// Characters that turn or wall off the direction of writing.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Looks like a dot and is none.
fn like_a_dot(c: char) -> bool {
    matches!(
        c,
        '\u{2024}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' | '\u{3002}' | '\u{a4f8}' | '\u{0701}' | '\u{0702}'
    )
}

pub(super) fn is_program(extension: &str) -> bool {
    PROGRAMS.contains(&extension)
}

pub(super) fn is_script(extension: &str) -> bool {
    SCRIPTS.contains(&extension)
}

/// Notes what a name says by itself and against the content.
pub(super) fn judge(walk: &mut Walk<'_>, name: &str, sort: Sort) {
    let extension = extension(name);
    if is_program(&extension) {
        walk.mark(MarkKind::Executable, format!(".{extension}"));
    } else if is_script(&extension) {
        walk.mark(MarkKind::Script, format!(".{extension}"));
    } else if DISKS.contains(&extension.as_str()) {
        walk.mark(MarkKind::DiskImage, format!(".{extension}"));
    }
    if let Some(how) = doubled(name) {
        walk.mark(MarkKind::DoubleExtension, how);
    }
    if hides(&extension, sort) {
        walk.mark(MarkKind::Disguised, format!(".{extension} is {}", sort.mime()));
    }
}

/// How a name hides what it is.
fn doubled(name: &str) -> Option<String> {
    let last = super::bytes::last(name);
    if let Some(turn) = last.chars().find(|&c| turns(c)) {
        return Some(format!("turned by U+{:04X}", u32::from(turn)));
    }
    let dotted: String = last.chars().map(|c| if like_a_dot(c) { '.' } else { c }).collect();
    let (stem, extension) = split(&plain(&dotted));
    let runs = is_program(&extension) || is_script(&extension);
    let opens = runs || PAGES.contains(&extension.as_str()) || DISKS.contains(&extension.as_str());
    let blanks = stem.chars().rev().take_while(|&c| c.is_whitespace()).count();
    if runs && blanks >= 3 || longest_blank(&stem) >= 20 {
        return Some(format!("blanks before .{extension}"));
    }
    let trimmed = plain(last);
    if runs
        && last.to_lowercase().chars().filter(|&c| !invisible(c)).collect::<String>() != trimmed
        && last.ends_with(['.', ' ', '\u{3000}', '\u{a0}'])
    {
        return Some(format!(".{extension} with a dot or blank behind it"));
    }
    let (_, inner) = split(stem.trim_end());
    let read = READ.contains(&inner.as_str()) || ARCHIVES.contains(&inner.as_str());
    (opens && read).then(|| format!(".{inner}.{extension}"))
}

fn longest_blank(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c.is_whitespace() || c == '\u{2800}' || c == '\u{3164}' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Whether something that runs, or that carries others, goes by the name of something that is read.
fn hides(extension: &str, sort: Sort) -> bool {
    let read = READ.contains(&extension);
    let picture = matches!(
        extension,
        "jpg"
            | "jpeg"
            | "png"
            | "gif"
            | "bmp"
            | "tif"
            | "tiff"
            | "webp"
            | "heic"
            | "mp3"
            | "mp4"
            | "wav"
            | "mov"
            | "avi"
            | "m4a"
            | "wmv"
    );
    let zipped = matches!(extension, "docx" | "xlsx" | "pptx" | "odt" | "ods" | "odp" | "xdw");
    // Word and Excel open each other's formats under any of their names.
    let office = zipped || matches!(extension, "doc" | "xls" | "ppt" | "rtf" | "jtd" | "msg");
    let archive = ARCHIVES.contains(&extension);
    match sort {
        _ if sort.runs() => read || archive || DISKS.contains(&extension),
        Sort::Dos => read,
        Sort::Html => picture || zipped || extension == "pdf",
        Sort::Svg => picture || extension == "pdf",
        Sort::Zip => read && !office && extension != "json",
        Sort::Compound => read && !office,
        Sort::Rtf => (read && !office && extension != "txt") || archive,
        Sort::Iso | Sort::Udf | Sort::Vhd | Sort::Vhdx | Sort::Dmg | Sort::OneNote => read || archive,
        Sort::UrlFile => read,
        _ if sort.is_archive() => read,
        _ => false,
    }
}
