//! The catalogue of attacks. What each does is in `attackers/*.py`, in a function of the same name.

/// What a class needs that is not everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A program on the path.
    Program(&'static str),
    /// A file system that shares blocks between files.
    Reflinks,
    /// A file system that can cut stretches out of files.
    Collapsing,
    /// To be root, so as to become others.
    Root,
    /// The tree is reached over a share.
    Samba,
}

/// A way to make files unusable.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    /// Nothing but removals happens in the tree, so nobody is stopped: a person brings back what was kept.
    pub(crate) only_removes: bool,
}

const fn class(name: &'static str) -> Class {
    Class { name, needs: Needs::Nothing, only_removes: false }
}

const fn needing(name: &'static str, needs: Needs) -> Class {
    Class { name, needs, only_removes: false }
}

const fn removing(name: &'static str, needs: Needs) -> Class {
    Class { name, needs, only_removes: true }
}

pub(crate) const CLASSES: &[Class] = &[
    class("in-place"),
    class("new-then-delete"),
    class("delete-then-new"),
    class("rename-over"),
    class("rename-first"),
    class("safe-save"),
    class("o-trunc"),
    class("truncate-path"),
    class("mapped"),
    class("first-4k"),
    class("first-64"),
    class("intermittent"),
    class("partial-4-percent"),
    class("slow"),
    class("gandcrab"),
    class("gandcrab-5"),
    class("phobos"),
    // Ciphertext in disguise.
    class("entropy-matched"),
    class("single-byte-xor"),
    class("base64-output"),
    class("base64-new-then-delete"),
    class("hl7-shaped"),
    class("kept-header"),
    class("forged-png"),
    class("forged-pdf"),
    class("forged-zip-magic"),
    class("forged-gzip-magic"),
    class("valid-stored-zip"),
    class("valid-gzip-of-cipher"),
    class("diluted"),
    // Rare calls and detours.
    class("fallocate"),
    needing("append-then-collapse", Needs::Collapsing),
    class("copy-file-range"),
    class("sendfile"),
    class("o-path-reopen"),
    class("io-uring"),
    class("io-uring-names"),
    class("exchange"),
    class("unnamed-then-linked"),
    needing("clone-over", Needs::Reflinks),
    class("hard-link-first"),
    class("folder-renamed-first"),
    class("moved-out-then-back"),
    // Theft and destruction.
    removing("stolen-then-deleted", Needs::Nothing),
    class("stolen-then-emptied"),
    removing("deleted-unread", Needs::Nothing),
    class("zeroed"),
    // Many processes.
    class("threads"),
    class("many-workers"),
    class("fork"),
    class("exec-per-file"),
    class("setsid"),
    class("double-fork"),
    class("double-fork-new-then-delete"),
    class("split-roles"),
    class("unrelated-roles"),
    class("orphan-per-act"),
    class("relay"),
    needing("uid-per-file", Needs::Root),
    needing("uid-and-orphan-per-file", Needs::Root),
    // Ordinary programs.
    needing("7z-password", Needs::Program("7z")),
    needing("zip-password", Needs::Program("zip")),
    needing("gpg-and-rm", Needs::Program("gpg")),
    needing("openssl-and-mv", Needs::Program("openssl")),
    removing("one-archive-and-rm", Needs::Program("openssl")),
    // Added by somebody who did not know how the guard judges: shapes and orders, detours, ordinary programs.
    class("every-second-byte"),
    class("last-half"),
    class("several-passes"),
    class("repeating-key"),
    class("compressed-then-encrypted"),
    class("fernet-token"),
    class("hex-output"),
    class("ascii85-output"),
    class("uuencoded"),
    class("png-of-cipher"),
    class("bmp-of-cipher"),
    class("wav-of-cipher"),
    class("dicom-of-cipher"),
    class("ole-encrypted-package"),
    class("container-then-emptied"),
    class("copies-first"),
    class("copies-first-other-removes"),
    class("irregular-pauses"),
    class("names-first"),
    class("read-then-renamed"),
    class("technique-per-folder"),
    class("honest-between"),
    class("times-put-back"),
    class("appended-then-zeroed"),
    class("sqlite-update"),
    class("o-direct"),
    class("pwritev"),
    class("aio"),
    class("splice"),
    class("inherited-descriptor"),
    class("passed-descriptor"),
    class("descriptor-of-another"),
    class("opened-all-first"),
    class("mapped-all-first"),
    class("symlink-outside"),
    needing("by-handle", Needs::Root),
    needing("private-namespace", Needs::Root),
    needing("fresh-namespace", Needs::Root),
    needing("bind-mount", Needs::Root),
    needing("chroot", Needs::Root),
    needing("openssl-in-place", Needs::Program("openssl")),
    needing("openssl-ecb", Needs::Program("openssl")),
    needing("openssl-base64-cat", Needs::Program("openssl")),
    needing("sed-letters", Needs::Program("sed")),
    needing("perl-in-place", Needs::Program("perl")),
    needing("dd-pieces", Needs::Program("openssl")),
    needing("age-and-rm", Needs::Program("age")),
    needing("ccrypt", Needs::Program("ccrypt")),
    needing("7z-per-folder", Needs::Program("7z")),
    needing("zip-per-folder", Needs::Program("zip")),
    needing("qpdf-password", Needs::Program("qpdf")),
    needing("tar-over", Needs::Program("tar")),
    needing("rsync-over", Needs::Program("rsync")),
    // From another machine.
    needing("smb-overwrite", Needs::Samba),
    needing("smb-new-then-delete", Needs::Samba),
    needing("smb-rename-over", Needs::Samba),
    needing("smb-session-per-file", Needs::Samba),
    needing("smb-split-sessions", Needs::Samba),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_attacker_and_the_other_way_round() {
        let mut written: Vec<String> = super::super::attack::SCRIPTS
            .iter()
            .flat_map(|(_, text)| text.lines())
            .filter_map(|line| line.strip_prefix("def each_").or_else(|| line.strip_prefix("def all_")))
            .filter_map(|line| Some(line.split_once('(')?.0.replace('_', "-")))
            .collect();
        let mut listed: Vec<_> = CLASSES.iter().map(|class| class.name.to_owned()).collect();
        written.sort();
        listed.sort();
        assert_eq!(written, listed);
    }
}
