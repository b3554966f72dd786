//! ZIP archives, and what is one inside: programs for Java and Android, office documents.

use super::super::values::MarkKind;
use super::super::walk::Walk;
use super::super::{bytes, name, office};
use super::zip::{Directory, Entry, directory};
use super::zip_cipher;
use crate::attachment::unpack::{End, Unpacked};

/// Encrypted entries that are decrypted; each needs a key of its own.
const DECRYPTED_MAX: usize = 200;

pub(super) fn look(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) {
    let mut found = directory(bytes, walk.entries_max());
    if found.broken {
        walk.mark(MarkKind::Broken, "no sound directory at the archive's end");
    }
    if !found.broken && found.overlaps() {
        walk.mark(MarkKind::Bomb, "entries that share their bytes");
        walk.stop();
    }
    if found.more {
        walk.mark(MarkKind::NotLookedAt, format!("more than {} entries", walk.entries_max()));
    }
    if !found.before.is_empty() {
        walk.mark(MarkKind::Broken, "an archive put together out of two");
        walk.lying("first.zip", found.before);
    }
    let entries = std::mem::take(&mut found.entries);
    programs(walk, name, &entries);
    if office::is_ooxml(&entries) {
        office::ooxml(walk, &entries);
        return;
    }
    if office::is_odf(&entries) {
        office::odf(walk, &entries);
        return;
    }
    files(walk, &Directory { entries, ..found });
}

/// Archives that are programs.
fn programs(walk: &mut Walk<'_>, name: &str, entries: &[Entry<'_>]) {
    let named = |wanted: &str| entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(wanted));
    if named("AndroidManifest.xml").is_some() {
        walk.mark(MarkKind::Executable, "an app for Android");
    } else if named("AppxManifest.xml").is_some() || named("AppxMetadata/AppxBundleManifest.xml").is_some() {
        walk.mark(MarkKind::Executable, "an app for Windows");
    } else if let Some(manifest) = named("META-INF/MANIFEST.MF") {
        let got = manifest.unpack(walk.side_room().min(64 << 10));
        walk.charge(got.bytes.len());
        let classes = entries.iter().any(|entry| entry.name.ends_with(".class"));
        if bytes::has(&got.bytes, b"Main-Class:") {
            walk.mark(MarkKind::Executable, "a Java program");
        } else if classes && name::extension(name) != "jar" {
            walk.mark(MarkKind::Executable, "a Java archive");
        }
    }
}

fn files(walk: &mut Walk<'_>, archive: &Directory<'_>) {
    let files = || archive.entries.iter().filter(|entry| !entry.is_folder());
    let password =
        files().filter(|entry| entry.encrypted()).min_by_key(|entry| entry.packed.len()).map(|smallest| {
            let max = walk.side_room();
            walk.decrypt(&[], false, |password| {
                let got = open(smallest, password, max)?;
                (got.end != End::Broken).then(|| password.to_owned())
            })
        });
    let mut decrypted = 0;
    for entry in files() {
        if !walk.may_look_at_more() {
            return;
        }
        if let Some(other) = &entry.other_name {
            walk.mark(MarkKind::Broken, format!("an entry of two names, also {other}"));
        }
        if !entry.encrypted() {
            if known(entry.method) {
                walk.packed(&entry.name, |max| entry.unpack(max));
            } else {
                walk.named(&entry.name, &format!("packed by method {}", entry.method));
            }
            continue;
        }
        decrypted += 1;
        match &password {
            Some(Some(password)) if decrypted <= DECRYPTED_MAX => {
                let mut opened = true;
                walk.packed(&entry.name, |max| {
                    open(entry, password, max).unwrap_or_else(|| {
                        opened = false;
                        Unpacked::broken()
                    })
                });
                if !opened {
                    walk.mark(MarkKind::NotLookedAt, format!("{}: another password", entry.name));
                }
            }
            _ => walk.named(&entry.name, "encrypted"),
        }
    }
}

fn known(method: u16) -> bool {
    matches!(method, 0 | 8 | 9 | 12 | 14 | 95)
}

/// An entry by a password: the old cipher tells only one in 256 wrong ones, so the content's checksum has to fit as well.
fn open(entry: &Entry<'_>, password: &str, max: usize) -> Option<Unpacked> {
    let mut forms = vec![password.as_bytes().to_vec()];
    if !password.is_ascii() {
        forms.push(encoding_rs::SHIFT_JIS.encode(password).0.into_owned());
    }
    forms.iter().find_map(|password| {
        let packed = zip_cipher::decrypt(entry, password)?;
        let got = entry.unpack_from(&packed, max);
        let right = match (got.end, entry.aes) {
            (End::Whole, None | Some((1, _))) => crc32fast::hash(&got.bytes) == entry.crc,
            (End::Whole | End::Bound, _) => true,
            (End::Broken, _) => false,
        };
        right.then_some(got)
    })
}
