//! The table of everything that may stand in the file: the check reads it, and so does the reference, so that neither
//! can say what the other does not.

mod bundle;
mod jobs;
mod logins;
mod logs;
mod mail;
mod media;
mod notify;
mod protect;
mod recovery;
mod respond;
mod sensor;
mod site;
mod wall;
mod watch;

pub(crate) use respond::ACT;

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) fields: &'static [Field],
    /// Of these exactly one stands there; none only where the first one has a default.
    pub(crate) one_of: &'static [&'static str],
}

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// A value as it would stand in a file.
    pub(crate) example: &'static str,
    pub(crate) en: &'static str,
    pub(crate) ja: &'static str,
}

/// Whether a key must stand there, and what holds where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    /// This value, as TOML.
    Default(&'static str),
    /// As the description says.
    Optional,
}

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// Any text of so many characters.
    Text {
        max: usize,
    },
    /// Letters, digits, `-`, `_` and `.`; what other places refer to it by.
    Name,
    /// An absolute path.
    Path,
    /// An absolute path, or the address of a repository on a vault host.
    Vault,
    /// SHA-256 in hexadecimal digits.
    Fingerprint,
    /// A pattern with `*`.
    Glob,
    Address,
    Network,
    /// Address and port.
    Listen,
    /// Seconds, both included.
    Period {
        min: i64,
        max: i64,
    },
    /// Bytes, both included.
    Size {
        min: u64,
        max: u64,
    },
    TimeOfDay,
    /// `5%` or `200`.
    Sample,
    Zone,
    /// `http://` or `https://`, without a password in it.
    Url,
    OneOf(&'static [&'static str]),
    Secret,
    /// A name of an act, or a table with it.
    Act,
    List {
        of: &'static Kind,
        min: usize,
        max: usize,
    },
    /// A table whose keys are names that the hospital chooses.
    Named {
        of: &'static Kind,
        max: usize,
    },
    Table(&'static Shape),
    /// `[[name]]`, as often as needed.
    Tables {
        shape: &'static Shape,
        max: usize,
    },
}

pub(crate) const MINUTE: i64 = 60;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;

/// Names of acts, mildest first, as `schema::ActKind` has them.
pub(crate) const ACTS: &[&str] = &[
    "notify",
    "snapshot_now",
    "lock_vault",
    "start_viewer",
    "block_address",
    "block_egress",
    "isolate_host",
    "freeze",
    "freeze_cgroup",
];

/// How many entries a list of tables may have: more than any hospital has machines, few enough to check at once.
pub(crate) const ENTRIES_MAX: usize = 500;

const TEXT: Kind = Kind::Text { max: 200 };
const PATHS: Kind = Kind::List { of: &Kind::Path, min: 0, max: ENTRIES_MAX };
const SOME_PATHS: Kind = Kind::List { of: &Kind::Path, min: 1, max: ENTRIES_MAX };
const NAMES: Kind = Kind::List { of: &Kind::Name, min: 0, max: ENTRIES_MAX };
const TEXTS: Kind = Kind::List { of: &TEXT, min: 0, max: ENTRIES_MAX };
const SOME_TEXTS: Kind = Kind::List { of: &TEXT, min: 1, max: ENTRIES_MAX };
/// A program and its arguments.
const COMMAND: Kind = Kind::List { of: &Kind::Text { max: 4_000 }, min: 1, max: 200 };
const MOMENTS: Kind = Kind::OneOf(&["auto", "snapshot", "re-read"]);
const SEVERITY: Kind = Kind::OneOf(&super::value::LEVELS);
const LANGUAGE: Kind = Kind::OneOf(&["ja", "en"]);

/// The whole file.
pub(crate) static ROOT: Shape = Shape { fields: site::ROOT, one_of: &[] };

impl Shape {
    /// Whether none of `one_of` is needed.
    pub(crate) fn none_will_do(&self) -> bool {
        let first = self.one_of.first().and_then(|name| self.field(name));
        first.is_none_or(|field| matches!(field.need, Need::Default(_)))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// The table below this key, if it is one.
    pub(crate) fn shape(&self) -> Option<&'static Shape> {
        match self.kind {
            Kind::Table(shape) | Kind::Tables { shape, .. } => Some(shape),
            _ => None,
        }
    }
}

/// A key that must stand there.
const fn required(
    name: &'static str,
    kind: Kind,
    example: &'static str,
    en: &'static str,
    ja: &'static str,
) -> Field {
    Field { name, kind, need: Need::Required, example, en, ja }
}

/// A key that may be left out; the description says what holds then.
const fn optional(
    name: &'static str,
    kind: Kind,
    example: &'static str,
    en: &'static str,
    ja: &'static str,
) -> Field {
    Field { name, kind, need: Need::Optional, example, en, ja }
}

/// A key whose value is known where it is left out.
const fn default(
    name: &'static str,
    kind: Kind,
    value: &'static str,
    en: &'static str,
    ja: &'static str,
) -> Field {
    Field { name, kind, need: Need::Default(value), example: value, en, ja }
}
