//! What a request is about: what restic's protocol knows, and `protection`, which is ours. Only plain paths are understood: nothing is decoded, so nothing can hide in an encoding.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use recover::host::{ClientName, FileName, Kind, View};

/// A repository, seen as it is or as it was, and what in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) repository: ClientName,
    pub(super) view: View,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Repository,
    /// Until when its snapshots are kept; not part of restic's protocol.
    Protection,
    List(Kind),
    File(FileName),
}

impl Target {
    /// From the path of a request: `/<repository>[@<time>]/[config|<kind>/[<name>]]`.
    pub(super) fn parse(path: &str) -> Option<Target> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let (repository, view) = match parts.next()?.split_once('@') {
            None => (path.strip_prefix('/')?.split('/').next()?, View::Now),
            Some((repository, time)) => (repository, View::AsOf(as_of(time)?)),
        };
        let repository = ClientName::parse(repository)?;
        let what = match (parts.next(), parts.next(), parts.next()) {
            (None | Some(""), None, None) => What::Repository,
            (Some("protection"), None, None) => What::Protection,
            (Some("config"), None, None) => What::File(FileName::CONFIG),
            (Some(kind), None | Some(""), None) => What::List(Kind::parse(kind)?),
            (Some(kind), Some(name), None) => What::File(FileName::parse(Kind::parse(kind)?, name)?),
            _ => return None,
        };
        Some(Target { repository, view, what })
    }
}

/// A time as it stands in a path: `20261122T081500Z`.
pub(crate) fn as_of(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_the_protocol_knows_is_understood() {
        let id = "ab".repeat(32);
        let what = |path: &str| Target::parse(path).map(|target| target.what);
        let file = |kind| FileName::parse(kind, &id).map(What::File);
        assert_eq!(what("/clinic/"), Some(What::Repository));
        assert_eq!(what("/clinic"), Some(What::Repository));
        assert_eq!(what("/clinic/protection"), Some(What::Protection));
        assert_eq!(what("/clinic/config"), Some(What::File(FileName::CONFIG)));
        assert_eq!(what("/clinic/data/"), Some(What::List(Kind::Data)));
        assert_eq!(what(&format!("/clinic/data/{id}")), file(Kind::Data));
        assert_eq!(what(&format!("/clinic/locks/{id}")), file(Kind::Locks));
        for path in [
            "",
            "/",
            "//",
            "//clinic/",
            "clinic/",
            "/../clinic/",
            "/clinic/../other/config",
            "/clinic/%2e%2e/other/config",
            "/clinic/config/",
            "/clinic/config/x",
            "/clinic/protection/",
            "/clinic/data/ab/",
            "/clinic/data/../config",
            "/clinic/data//etc/passwd",
            "/clinic/tmp/",
            "/clinic/receipts/",
            "/clinic/data/\0",
            "/clinic%00/",
            "/clinic@/",
            "/clinic@yesterday/",
            "/clinic@20261301T000000Z/",
            &format!("/clinic/data/{}", id.to_uppercase()),
            &format!("/clinic/data/{id}/"),
            &format!("/clinic/config/{id}"),
        ] {
            assert_eq!(what(path), None, "{path:?}");
        }
    }

    proptest! {
        /// Whatever comes, what is understood names one client, and a file by its 64 digits or not at all.
        #[test]
        fn no_path_leads_anywhere_else(
            path in r"/?[a-z0-9._@%T\x00-]{0,12}(/(config|data|locks|keys|\.\.|[a-f0-9]{63,65}|\PC{0,4})){0,4}/?|\PC{0,60}",
        ) {
            let Some(target) = Target::parse(&path) else { return Ok(()) };
            let first = path[1..].split(['/', '@']).next().unwrap();
            prop_assert_eq!(target.repository.as_str(), first);
            prop_assert!(!path.contains("..") || first.contains("..") && !path.contains("/.."));
            if let What::File(name) = target.what {
                prop_assert!(path.ends_with(&name.to_string()));
            }
        }
    }

    #[test]
    fn a_view_of_the_past_has_its_time_in_the_path() {
        let target = Target::parse("/clinic@20261122T081500Z/snapshots/").unwrap();
        assert_eq!(target.view, View::AsOf("2026-11-22T08:15:00Z".parse().unwrap()));
        assert_eq!(target.repository, ClientName::parse("clinic").unwrap());
    }
}
