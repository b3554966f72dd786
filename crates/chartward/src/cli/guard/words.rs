//! Sentences about approvals and snapshots.

use crate::output::shell_quoted;
use crate::wiring::guard::{DatabaseSaid, News, PolicyEvent};

/// What happened to an approval.
pub(super) fn policy(news: &News) -> String {
    let News { approval, reason, by, .. } = news;
    let tool = news.tool.display();
    match news.event {
        PolicyEvent::InForce => {
            let until = news.until.map_or_else(
                || "for good".to_owned(),
                |until| format!("until {}", until.strftime("%Y-%m-%d %H:%M:%SZ")),
            );
            format!("approval {approval} is in force {until}: {tool} ({reason}, by {by})")
        }
        PolicyEvent::Allowed => format!(
            "allowed by policy {approval}: {} encrypts {} files with {tool} ({reason}, by {by}); without it, it would have been stopped",
            news.actor.as_deref().unwrap_or("somebody"),
            news.files
        ),
        PolicyEvent::Expired => format!("approval {approval} has expired: {tool} is stopped again"),
        PolicyEvent::Revoked => format!("approval {approval} was revoked: {tool} is stopped again"),
        PolicyEvent::Void => {
            format!("approval {approval} does not hold: {tool} is not the program that was approved")
        }
        PolicyEvent::Refused => format!("{approval} is not taken for an approval: {reason}"),
    }
}

/// What happened about a database.
pub(super) fn database(said: &DatabaseSaid) -> String {
    match said {
        DatabaseSaid::Snapshot(snapshot) => {
            let doubt = if snapshot.consistent { "" } else { ", NOT consistent by itself: it was too busy" };
            let path = snapshot.database.display();
            format!("snapshot {} of {path}: {} files{doubt}", snapshot.id, snapshot.files)
        }
        DatabaseSaid::Failed { database, cause } => {
            format!("no snapshot of {} could be taken: {cause}", database.display())
        }
        DatabaseSaid::Harmed { database, files, snapshot, taken_at } => {
            let path = database.display();
            let way = match (snapshot, taken_at) {
                (Some(id), Some(at)) => format!(
                    "the newest snapshot from before is of {}: chartward guard restore-snapshot --database {} --snapshot {id} --target DIR",
                    at.strftime("%Y-%m-%d %H:%M:%SZ"),
                    shell_quoted(database)
                ),
                _ => "there is no snapshot from before: restore it from the vault".to_owned(),
            };
            format!(
                "{files} files of the database {path} were overwritten by somebody else than its server; stop the server; {way}"
            )
        }
    }
}
