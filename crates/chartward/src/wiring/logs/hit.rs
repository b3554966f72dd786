//! What a Sigma rule says, as the line that leaves the watcher. Values that somebody typed stay inside: they can name patients.

use judge::sigma::SigmaHit;
use serde_json::{Value, json};

/// The finding with what Sigma asks to be told with it: the rule's id, author and licence.
pub(crate) fn line(hit: &SigmaHit) -> Value {
    let mut line = decode::ocsf::write(&hit.finding());
    let rule = &hit.rule;
    line["sigma"] = json!({
        "id": rule.id, "author": rule.author, "title": rule.title, "tags": rule.tags, "licence": rule.licence,
        "file": &*rule.file, "channel": hit.channel, "event_id": hit.event_id, "record": hit.number,
    });
    line
}
