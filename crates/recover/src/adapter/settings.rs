//! What may be set of a source, in one line of text that command line and configuration share.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Entry, Handed};
use crate::error::Error;

/// Names of sources become names of folders and of jobs.
const NAME_BYTES_MAX: usize = 64;
/// Settings whose value would be a secret: it would stand in process lists and configurations.
const SECRETS: [&str; 4] = ["password", "passwd", "passphrase", "secret"];

/// One setting of an adapter.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Whether nothing works without it.
    pub required: bool,
    /// What it is, in English and Japanese.
    pub meaning: (&'static str, &'static str),
}

/// A setting that may be left out.
pub(super) const fn optional(key: &'static str, en: &'static str, ja: &'static str) -> Setting {
    Setting { key, required: false, meaning: (en, ja) }
}

/// A setting without which nothing works.
pub(super) const fn required(key: &'static str, en: &'static str, ja: &'static str) -> Setting {
    Setting { key, required: true, meaning: (en, ja) }
}

/// A password of the hub's sealed store.
pub(super) const SECRET: Setting = optional(
    super::handed::KEY,
    "name of the password in the hub's sealed store (`chartward secret set`), or of `backup --secret NAME=FILE`",
    "ハブの暗号化された保管場所にあるパスワードの名前(`chartward secret set`)。`backup --secret 名前=ファイル` でも渡せます",
);

/// Settings that several adapters share, and one adapter's own.
pub(super) const fn joined<const A: usize, const B: usize, const ALL: usize>(
    shared: &[Setting; A],
    own: &[Setting; B],
) -> [Setting; ALL] {
    let mut all = [shared[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { shared[at] } else { own[at - A] };
        at += 1;
    }
    all
}

/// The settings of one source, all of them known to its adapter.
pub struct Settings {
    text: String,
    values: BTreeMap<String, String>,
    handed: Handed,
}

impl Settings {
    /// Reads `KEY=VALUE,KEY=VALUE`; a comma within a value is written `%2C`, a percent sign `%25`.
    pub(super) fn parse(text: &str, rest: &str, entry: &Entry) -> Result<Settings, Error> {
        let mut settings = Settings { text: text.to_owned(), values: BTreeMap::new(), handed: Handed::new() };
        for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(settings.refuse(format!("{pair:?} is not of the form KEY=VALUE")));
            };
            if SECRETS.contains(&key) {
                settings.text = format!("{}:…", entry.kind);
                return Err(settings.refuse("secrets stand in files, never here".to_owned()));
            }
            if key != "name" && !entry.settings.iter().any(|setting| setting.key == key) {
                let known: Vec<&str> = entry.settings.iter().map(|setting| setting.key).collect();
                return Err(settings.refuse(format!("{key:?} is none of name, {}", known.join(", "))));
            }
            let value = value.replace("%2C", ",").replace("%25", "%");
            if value.is_empty() || value.contains(['\0', '\n', '\r']) {
                return Err(settings.refuse(format!("the value of {key} cannot be used")));
            }
            if settings.values.insert(key.to_owned(), value).is_some() {
                return Err(settings.refuse(format!("{key} stands there twice")));
            }
        }
        if let Some(missing) =
            entry.settings.iter().find(|it| it.required && !settings.values.contains_key(it.key))
        {
            return Err(settings.refuse(format!("{}= is missing", missing.key)));
        }
        if settings.text("name").is_some_and(|name| !is_name(name)) {
            return Err(settings.refuse("its name may hold letters, digits, - and _ only".to_owned()));
        }
        Ok(settings)
    }

    /// With what was handed over.
    pub(super) fn with(mut self, handed: &Handed) -> Settings {
        self.handed.clone_from(handed);
        self
    }

    /// Where the secret of that name can be read, if it was handed over.
    pub(super) fn handed(&self, name: &str) -> Option<&PathBuf> {
        self.handed.get(name)
    }

    /// A value.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A value that is an absolute path.
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        match self.text(key).map(PathBuf::from) {
            Some(path) if !path.is_absolute() => Err(self.refuse(format!("{key} is no absolute path"))),
            path => Ok(path),
        }
    }

    /// A file that holds a secret; nobody but its owner may read it.
    pub fn secret_file(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        let Some(path) = self.path(key)? else { return Ok(None) };
        let metadata =
            fs::metadata(&path).map_err(|source| Error::Io { op: "look at", path: path.clone(), source })?;
        if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
            return Err(self.refuse(format!("{key} must be a file that only its owner may use (chmod 600)")));
        }
        Ok(Some(path))
    }

    /// A whole number.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.refuse(format!("{key} is no number")))
    }

    /// An error about this source.
    pub fn refuse(&self, reason: String) -> Error {
        Error::SourceText { text: self.text.clone(), reason }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_alphanumeric())
        && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use crate::adapter::Source;

    #[test]
    fn a_source_is_refused_with_what_is_wrong_with_it_and_never_with_a_secret() {
        for (text, reason) in [
            ("oracle:name=emr", "none of"),
            ("postgresql:nonsense", "KEY=VALUE"),
            ("postgresql:password=hunter2", "secrets stand in files"),
            ("postgresql:colour=red", "none of name"),
            ("postgresql:host=", "cannot be used"),
            ("postgresql:host=a,host=b", "twice"),
            ("postgresql:name=../etc", "letters, digits"),
            ("postgresql:pgpass=relative", "absolute"),
            ("postgresql:port=many", "number"),
        ] {
            let error = Source::parse(text).err().unwrap().to_string();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert_eq!(Source::parse("postgresql:name=電子カルテ").unwrap().name, "電子カルテ");
    }
}
