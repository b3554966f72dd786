//! What bytes are, by their first and last ones; the name only decides where texts are alike.

use super::bytes::{has, part, u32_be, u32_le};
use super::name::extension;

/// What a file is by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Empty,
    Pe,
    Dos,
    Elf,
    MachO,
    JavaClass,
    /// A package that installs programs (deb, rpm).
    Installer,
    Zip,
    SevenZip,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Tar,
    Rar,
    Cab,
    Ace,
    Arj,
    Lzh,
    /// Another packed stream that is not opened (zstd, lz4, compress, lzip).
    OtherPacked,
    Iso,
    Udf,
    Vhd,
    Vhdx,
    Dmg,
    /// A disk with a boot sector.
    Disk,
    OneNote,
    Compound,
    Tnef,
    Rtf,
    Pdf,
    Lnk,
    UrlFile,
    Chm,
    Html,
    Svg,
    /// A script, by what it says; the word is its sort.
    Script(&'static str),
    Image,
    Media,
    Text,
    Unknown,
}

/// What files begin with.
const MAGIC: [(&[u8], Sort); 54] = [
    (b"\x7fELF", Sort::Elf),
    (b"\xfe\xed\xfa\xce", Sort::MachO),
    (b"\xfe\xed\xfa\xcf", Sort::MachO),
    (b"\xce\xfa\xed\xfe", Sort::MachO),
    (b"\xcf\xfa\xed\xfe", Sort::MachO),
    (b"!<arch>\ndebian", Sort::Installer),
    (b"\xed\xab\xee\xdb", Sort::Installer),
    (b"PK\x03\x04", Sort::Zip),
    (b"PK\x05\x06", Sort::Zip),
    // Written in several volumes, or meant to be.
    (b"PK\x07\x08PK\x03\x04", Sort::Zip),
    (b"PK00PK\x03\x04", Sort::Zip),
    (b"7z\xbc\xaf\x27\x1c", Sort::SevenZip),
    (b"\x1f\x8b", Sort::Gzip),
    (b"BZh", Sort::Bzip2),
    (b"\xfd7zXZ\0", Sort::Xz),
    (b"\x5d\0\0\x80\0", Sort::Lzma),
    (b"\x5d\0\0\0\x01", Sort::Lzma),
    (b"\x5d\0\0\x10\0", Sort::Lzma),
    (b"Rar!\x1a\x07", Sort::Rar),
    (b"MSCF\0\0\0\0", Sort::Cab),
    (b"\x60\xea", Sort::Arj),
    (b"\x28\xb5\x2f\xfd", Sort::OtherPacked),
    (b"\x04\x22\x4d\x18", Sort::OtherPacked),
    (b"\x1f\x9d", Sort::OtherPacked),
    (b"\x1f\xa0", Sort::OtherPacked),
    (b"LZIP\x01", Sort::OtherPacked),
    (b"SZDD\x88\xf0", Sort::OtherPacked),
    (b"070701", Sort::OtherPacked),
    (b"070702", Sort::OtherPacked),
    (b"070707", Sort::OtherPacked),
    (b"\xc7\x71", Sort::OtherPacked),
    (b"\x71\xc7", Sort::OtherPacked),
    (b"vhdxfile", Sort::Vhdx),
    (b"conectix", Sort::Vhd),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", Sort::OneNote),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Sort::Compound),
    (b"\x78\x9f\x3e\x22", Sort::Tnef),
    // Word opens it with anything after the `t`.
    (b"{\\rt", Sort::Rtf),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", Sort::Lnk),
    (b"ITSF", Sort::Chm),
    (b"\x89PNG\r\n\x1a\n", Sort::Image),
    (b"\xff\xd8\xff", Sort::Image),
    (b"GIF8", Sort::Image),
    (b"II*\0", Sort::Image),
    (b"MM\0*", Sort::Image),
    (b"\xd7\xcd\xc6\x9a", Sort::Image),
    (b"ID3", Sort::Media),
    (b"OggS", Sort::Media),
    (b"fLaC", Sort::Media),
    (b"RIFF", Sort::Media),
    (b"\0\0\x01\xba", Sort::Media),
    (b"\0\0\x01\xb3", Sort::Media),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Sort::Media),
    (b"\x1a\x45\xdf\xa3", Sort::Media),
];

impl Sort {
    /// Of bytes under a name.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Sort::Empty;
        }
        let magic = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
        match magic {
            // The first two bytes are a text as well.
            Some((_, Sort::Arj)) if !is_arj(bytes) => {}
            Some((_, Sort::Media)) if part(bytes, 8, 4) == b"WEBP" => return Sort::Image,
            Some(&(_, sort)) => return sort,
            None => {}
        }
        binary(bytes).or_else(|| text(name, bytes)).unwrap_or(Sort::Unknown)
    }

    /// A MIME type or a short word.
    pub(super) fn mime(self) -> &'static str {
        match self {
            Sort::Empty => "empty",
            Sort::Pe => "pe",
            Sort::Dos => "dos",
            Sort::Elf => "elf",
            Sort::MachO => "macho",
            Sort::JavaClass => "class",
            Sort::Installer => "installer",
            Sort::Zip => "application/zip",
            Sort::SevenZip => "application/x-7z-compressed",
            Sort::Gzip => "application/gzip",
            Sort::Bzip2 => "application/x-bzip2",
            Sort::Xz => "application/x-xz",
            Sort::Lzma => "application/x-lzma",
            Sort::Tar => "application/x-tar",
            Sort::Rar => "application/vnd.rar",
            Sort::Cab => "application/vnd.ms-cab-compressed",
            Sort::Ace => "application/x-ace-compressed",
            Sort::Arj => "application/x-arj",
            Sort::Lzh => "application/x-lzh-compressed",
            Sort::OtherPacked => "packed",
            Sort::Iso => "application/x-iso9660-image",
            Sort::Udf => "udf",
            Sort::Vhd => "vhd",
            Sort::Vhdx => "vhdx",
            Sort::Dmg => "application/x-apple-diskimage",
            Sort::Disk => "disk",
            Sort::OneNote => "application/onenote",
            Sort::Compound => "application/x-ole-storage",
            Sort::Tnef => "application/ms-tnef",
            Sort::Rtf => "application/rtf",
            Sort::Pdf => "application/pdf",
            Sort::Lnk => "lnk",
            Sort::UrlFile => "url",
            Sort::Chm => "chm",
            Sort::Html => "text/html",
            Sort::Svg => "image/svg+xml",
            Sort::Script(_) => "script",
            Sort::Image => "image",
            Sort::Media => "media",
            Sort::Text => "text/plain",
            Sort::Unknown => "application/octet-stream",
        }
    }

    /// Whether other files lie in it, so that the bound on depth is for it.
    pub(super) fn holds_others(self) -> bool {
        self.is_archive()
            || matches!(self, Sort::Iso | Sort::OneNote | Sort::Compound | Sort::Tnef | Sort::Rtf | Sort::Pdf)
            || matches!(self, Sort::Html | Sort::Svg)
    }

    /// Whether it is one packed file.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Sort::Gzip | Sort::Bzip2 | Sort::Xz | Sort::Lzma)
    }

    /// Whether it is an archive or a packed stream.
    pub(super) fn is_archive(self) -> bool {
        matches!(
            self,
            Sort::Zip
                | Sort::SevenZip
                | Sort::Gzip
                | Sort::Bzip2
                | Sort::Xz
                | Sort::Lzma
                | Sort::Tar
                | Sort::Rar
                | Sort::Cab
                | Sort::Ace
                | Sort::Arj
                | Sort::Lzh
                | Sort::OtherPacked
        )
    }

    /// Whether opening it in a mail program runs something or shows what somebody else wrote as a page.
    pub(super) fn runs(self) -> bool {
        matches!(
            self,
            Sort::Pe
                | Sort::Elf
                | Sort::MachO
                | Sort::JavaClass
                | Sort::Installer
                | Sort::Lnk
                | Sort::Chm
                | Sort::Script(_)
        )
    }
}

fn is_arj(bytes: &[u8]) -> bool {
    let length = usize::from(super::bytes::u16_le(bytes, 2).unwrap_or_default());
    (30..=2_600).contains(&length) && bytes.get(4).is_some_and(|&first| usize::from(first) <= length)
}

fn binary(bytes: &[u8]) -> Option<Sort> {
    let end = |length: usize| bytes.len().checked_sub(length).map_or(&[][..], |at| part(bytes, at, length));
    let lzh =
        |m: &[u8]| m.len() == 5 && m.starts_with(b"-l") && m.ends_with(b"-") && m[2].is_ascii_lowercase();
    Some(if bytes.starts_with(b"MZ") || bytes.starts_with(b"ZM") {
        return mz(bytes);
    } else if bytes.starts_with(b"\xca\xfe\xba\xbe") {
        // Java's major version is at least 45; no program is for so many processors.
        if u32_be(bytes, 4)? & 0xffff >= 45 { Sort::JavaClass } else { Sort::MachO }
    } else if has(part(bytes, 0, 1_024), b"%PDF-") {
        Sort::Pdf
    } else if is_tar(bytes) {
        Sort::Tar
    } else if part(bytes, 7, 7) == b"**ACE**" {
        Sort::Ace
    } else if lzh(part(bytes, 2, 5)) {
        Sort::Lzh
    } else if let Some(image) = iso(bytes) {
        image
    } else if end(512).starts_with(b"conectix") {
        Sort::Vhd
    } else if end(512).starts_with(b"koly") {
        Sort::Dmg
    } else if bytes.len() >= 4_096 && part(bytes, 510, 2) == b"\x55\xaa" && boots(bytes) {
        Sort::Disk
    } else if bytes.starts_with(b"BM") && part(bytes, 6, 4) == b"\0\0\0\0" {
        Sort::Image
    } else if part(bytes, 4, 4) == b"ftyp" {
        Sort::Media
    } else {
        return None;
    })
}

/// A program with a header of its own, or one of DOS times; `MZ` in a text is neither.
fn mz(bytes: &[u8]) -> Option<Sort> {
    let header = super::bytes::size(u32_le(bytes, 0x3c).unwrap_or(u32::MAX));
    if matches!(part(bytes, header, 2), b"PE" | b"NE" | b"LE" | b"LX") {
        return Some(Sort::Pe);
    }
    let pages = super::bytes::u16_le(bytes, 4)?;
    let header_paragraphs = super::bytes::u16_le(bytes, 8)?;
    ((1..=2_048).contains(&pages)
        && (1..=4_096).contains(&header_paragraphs)
        && memchr::memchr(0, bytes).is_some())
    .then_some(Sort::Dos)
}

fn boots(bytes: &[u8]) -> bool {
    let jump = matches!(bytes, [0xeb, _, 0x90, ..] | [0xe9, ..]);
    let partitions = (0..4).all(|n| matches!(bytes.get(446 + 16 * n), Some(0 | 0x80)))
        && (0..4).any(|n| bytes.get(446 + 16 * n + 4).is_some_and(|&kind| kind != 0));
    jump || partitions
}

/// A header whose checksum is right: not every tar says `ustar`.
fn is_tar(bytes: &[u8]) -> bool {
    let header = part(bytes, 0, 512);
    let Some(written) = (header.len() == 512).then(|| octal(part(header, 148, 8))).flatten() else {
        return false;
    };
    let blanks = 8 * u64::from(b' ');
    let field: u64 = part(header, 148, 8).iter().copied().map(u64::from).sum();
    let sum: u64 = header.iter().copied().map(u64::from).sum::<u64>() - field + blanks;
    sum == written && sum > blanks
}

/// A number as tar writes it.
pub(super) fn octal(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let start = u64::from(first & 0x7f);
        return rest.iter().try_fold(start, |sum, &byte| sum.checked_mul(256)?.checked_add(u64::from(byte)));
    }
    let digits = field.iter().copied().skip_while(|&byte| byte == b' ').take_while(u8::is_ascii_digit);
    let mut any = false;
    let value = digits.inspect(|_| any = true).try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 8)?;
        sum.checked_mul(8)?.checked_add(u64::from(digit))
    });
    value.filter(|_| any)
}

fn iso(bytes: &[u8]) -> Option<Sort> {
    let identifier = |sector: usize| part(bytes, (sector << 11) + 1, 5);
    let udf = (16..24).any(|sector| matches!(identifier(sector), b"NSR02" | b"NSR03"));
    if identifier(16) == b"CD001" { Some(Sort::Iso) } else { udf.then_some(Sort::Udf) }
}

fn text(name: &str, bytes: &[u8]) -> Option<Sort> {
    let head = part(bytes, 0, 8 << 10);
    let wide = matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..]);
    let controls = head.iter().filter(|&&byte| byte < 9 || (14..27).contains(&byte)).count();
    if !wide && controls > head.len() / 64 {
        return None;
    }
    let start = super::bytes::text(head).to_lowercase();
    let extension = extension(name);
    // These open in an editor, whatever is written in them.
    if matches!(
        extension.as_str(),
        "txt" | "log" | "md" | "csv" | "tsv" | "json" | "ics" | "vcf" | "eml" | "asc" | "sig"
    ) {
        return Some(Sort::Text);
    }
    Some(markup(&start, &extension).or_else(|| script(&start, &extension)).unwrap_or(Sort::Text))
}

fn markup(start: &str, extension: &str) -> Option<Sort> {
    let mut rest = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    // Comments, declarations and doctypes come before the first element.
    loop {
        let after = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->").map(|(_, rest)| rest)
        } else if rest.starts_with("<?") {
            rest.split_once("?>").map(|(_, rest)| rest)
        } else if rest.starts_with("<!doctype html") {
            return Some(Sort::Html);
        } else if rest.starts_with("<!doctype") {
            rest.split_once('>').map(|(_, rest)| rest)
        } else {
            break;
        };
        let Some(after) = after else { break };
        rest = after.trim_start();
    }
    let element: String = rest
        .strip_prefix('<')?
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ":-".contains(*c))
        .collect();
    match element.as_str() {
        "svg" => Some(Sort::Svg),
        "job" | "package" if start.contains("<script") => Some(Sort::Script("wsf")),
        "scriptlet" => Some(Sort::Script("sct")),
        "html" | "head" | "body" | "script" | "meta" | "title" | "form" | "iframe" | "table" | "div"
        | "style" | "a" | "p" | "img" | "font" | "center" | "span" | "br" | "h1" | "input" | "link"
        | "base" => Some(if start.contains("<hta:application") { Sort::Script("hta") } else { Sort::Html }),
        _ => match extension {
            "htm" | "html" | "shtml" | "xht" | "xhtml" => Some(Sort::Html),
            "svg" => Some(Sort::Svg),
            _ => None,
        },
    }
}

/// A script without its extension says what it is by its first lines. Names that are read, not run, are left alone: a text about
/// scripts is none.
fn script(start: &str, extension: &str) -> Option<Sort> {
    let is = |words: &[&str]| words.iter().all(|word| start.contains(word));
    if start.starts_with("[internetshortcut") || start.contains("\n[internetshortcut]") {
        return Some(Sort::UrlFile);
    }
    if start.starts_with("#!") && start.lines().next().is_some_and(|line| line.contains('/')) {
        return Some(Sort::Script("shebang"));
    }
    if matches!(extension, "htm" | "html" | "shtml" | "xht" | "xhtml") {
        return Some(Sort::Html);
    }
    if matches!(extension, "xml" | "pdf") {
        return None;
    }
    let found = if start.starts_with("@echo off") || start.starts_with("@%") {
        "bat"
    } else if start.starts_with("<%") {
        "asp"
    } else if is(&["createobject(", "set "])
        || is(&["wscript.", "dim "])
        || is(&["on error resume next", "execute"])
    {
        "vbs"
    } else if is(&["new activexobject("]) || is(&["wscript.", "var "]) {
        "js"
    } else if start.starts_with("powershell") || is(&["invoke-expression"]) || is(&["new-object", "$"]) {
        "ps1"
    } else if start.starts_with("windows registry editor") || start.starts_with("regedit4") {
        "reg"
    } else {
        return None;
    };
    Some(Sort::Script(found))
}
