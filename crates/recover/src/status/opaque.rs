//! What is backed up and cannot be proven: said at each look, so that a passed drill is not taken for one of everything.

use schema::{Alarm, Manifest, Severity};

use super::{Held, Opaque, alarms};
use crate::adapter;

/// Kinds of one source that are named.
const NAMED_MAX: usize = 5;

/// The sources of a snapshot that no drill can look into, with what was counted in them at capture.
pub(super) fn of(manifest: &Manifest) -> Vec<Opaque> {
    let sources = manifest.sources.iter().filter(|source| adapter::is_opaque(&source.kind));
    sources
        .map(|source| {
            let path = format!("{}:{}", source.kind, source.name);
            let counted = manifest.census.databases.iter().filter(|database| database.path == path);
            let kinds = counted.flat_map(|database| &database.tables);
            Opaque {
                source: source.name.clone(),
                kinds: kinds.map(|(kind, count)| (*count, kind.clone())).collect(),
            }
        })
        .collect()
}

/// The newest snapshot counts: what is captured now is what would have to be trusted.
pub(super) fn alarm(newest: &Held) -> Option<Alarm> {
    let sources = newest.opaque.len();
    let files: u64 = newest.opaque.iter().flat_map(|it| &it.kinds).map(|(count, _)| count).sum();
    let named: Vec<String> = newest.opaque.iter().map(words).collect();
    let named = named.join("; ");
    (sources > 0).then(|| {
        alarms::alarm(
            "backup.not_proven",
            Severity::Low,
            (
                format!("{files} files in {sources} sources are captured and not proven, since nothing here can look into them: {named}."),
                format!("取り込みのみで、復元訓練では中身を確かめられないものが{sources}系統・{files}件あります：{named}。"),
            ),
            (
                "No figure of the promise counts them. Restore one by hand on its own system now and then, or capture what is in \
                 them by a source that can be proven (`chartward config sources`).",
                "この約束の数値には含まれていません。ときどき実機で復元を確かめるか、中身を確かめられる方法で取り込んでください\
                 （`chartward config sources`）。",
            ),
        )
    })
}

fn words(opaque: &Opaque) -> String {
    let named = opaque.kinds.iter().take(NAMED_MAX).map(|(count, kind)| format!("{count} × {kind}"));
    let mut named: Vec<String> = named.collect();
    if opaque.kinds.len() > NAMED_MAX {
        named.push("…".to_owned());
    }
    format!("{} ({})", opaque.source, named.join(", "))
}
