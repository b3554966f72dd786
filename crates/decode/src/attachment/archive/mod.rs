//! Archives and packed streams.

mod listed;
mod rar;
mod seven;
mod tar;
mod unzip;
mod zip;
mod zip_cipher;

use super::bytes::{last, name as decoded, until_nul};
use super::sort::Sort;
use super::unpack;
use super::values::MarkKind;
use super::walk::Walk;
pub(super) use zip::Entry as ZipEntry;

/// Looks into an archive.
pub(super) fn look(walk: &mut Walk<'_>, name: &str, bytes: &[u8], sort: Sort) {
    match sort {
        Sort::Zip => unzip::look(walk, name, bytes),
        Sort::SevenZip => seven::look(walk, bytes),
        Sort::Tar => tar::look(walk, bytes),
        Sort::Rar => rar::look(walk, bytes),
        Sort::Gzip => gzip(walk, name, bytes),
        Sort::Bzip2 => walk.packed(&unpacked_name(name), |max| unpack::bzip2(bytes, max)),
        Sort::Xz => walk.packed(&unpacked_name(name), |max| unpack::xz(bytes, max)),
        Sort::Lzma => walk.packed(&unpacked_name(name), |max| unpack::lzma(bytes, max)),
        Sort::Cab => listed::cab(walk, bytes),
        Sort::Lzh => listed::lzh(walk, bytes),
        Sort::Arj => listed::arj(walk, bytes),
        _ => walk.mark(MarkKind::NotLookedAt, "a packed format that is not opened"),
    }
}

/// The name of what lies in a packed stream.
fn unpacked_name(name: &str) -> String {
    let name = last(name);
    match name.rsplit_once('.') {
        Some((stem, extension))
            if extension.eq_ignore_ascii_case("tgz") || extension.eq_ignore_ascii_case("txz") =>
        {
            format!("{stem}.tar")
        }
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// RFC 1952. Further members are appended as gzip does.
fn gzip(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) {
    let Some((start, inner)) = gzip_header(bytes) else {
        walk.mark(MarkKind::Broken, "no gzip header");
        return;
    };
    let inner = inner.unwrap_or_else(|| unpacked_name(name));
    walk.packed(&inner, |max| {
        let mut got = unpack::deflate(bytes.get(start..).unwrap_or_default(), max);
        got.consumed += start;
        while got.end == unpack::End::Whole {
            let rest = bytes.get(got.consumed.saturating_add(8)..).unwrap_or_default();
            let Some((start, _)) = rest.starts_with(b"\x1f\x8b").then(|| gzip_header(rest)).flatten() else {
                break;
            };
            let next = unpack::deflate(rest.get(start..).unwrap_or_default(), max - got.bytes.len());
            got.consumed += 8 + start + next.consumed;
            got.bytes.extend(next.bytes);
            got.end = next.end;
        }
        got
    });
}

/// Where the stream begins, and the name that the header gives.
fn gzip_header(bytes: &[u8]) -> Option<(usize, Option<String>)> {
    let flags = *bytes.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(super::bytes::u16_le(bytes, at)?);
    }
    let mut name = None;
    if flags & 8 != 0 {
        let written = until_nul(bytes.get(at..)?);
        at += written.len() + 1;
        name = Some(decoded(written)).filter(|name| !name.is_empty());
    }
    if flags & 16 != 0 {
        at += until_nul(bytes.get(at..)?).len() + 1;
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at < bytes.len()).then_some((at, name))
}
