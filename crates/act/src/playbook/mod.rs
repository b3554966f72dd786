//! Playbooks: which findings call for which acts.
//!
//! Nothing here looks at a clock, a file, a network or a process, but for the name of a process that is to be frozen
//! ([`NeverTouch::forbids`](crate::NeverTouch::forbids)); nothing here changes anything.

mod caution;
mod plan;
#[cfg(test)]
mod tests;

use std::fmt;

use schema::{ActKind, Severity, SubjectRole, WatcherClass};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use plan::{Bounds, PlanInput, Planned, plan};

/// One rule of the configuration: what is done when watchers of these classes say such findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Its name, as it stands in sentences and beside approvals.
    pub name: String,
    /// The classes of watchers that may cause it.
    pub classes: Vec<WatcherClass>,
    /// The detectors that may cause it; `*` stands for any number of characters, such as in `encryption.*`.
    pub detectors: Vec<String>,
    /// The least severity, 1 to 5: of the finding for an act against somebody it names, of the incident for the other acts.
    pub severity_min: Severity,
    /// What is done, in this order.
    pub acts: Vec<Template>,
    /// Whether a person has to agree.
    pub approval: Approval,
    /// How long it may wait, for a person or for the hub. Then it is no longer meant.
    #[serde(default = "an_hour")]
    pub deadline_seconds: u64,
    /// How long it holds; without it, until somebody undoes it.
    #[serde(default)]
    pub lasts_seconds: Option<u64>,
    /// The channels that `notify` tells.
    #[serde(default)]
    pub channels: Vec<String>,
}

fn an_hour() -> u64 {
    3600
}

impl Playbook {
    fn is_caused_by(&self, class: WatcherClass, detector: &str) -> bool {
        self.classes.contains(&class) && self.detectors.iter().any(|glob| matches(glob, detector))
    }
}

/// Whether a person has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The hub applies it at once.
    None,
    /// It is proposed and waits.
    Person,
}

/// A sort of act with what a finding does not say about it. In the configuration the name alone, `"lock_vault"`, or a table,
/// `{ act = "isolate_host", of = "target" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Template {
    /// The sort of act.
    pub act: ActKind,
    /// For `isolate_host`: whose host, of those the finding names. Others always act on the actor.
    pub of: SubjectRole,
    /// For `snapshot_now`: the name of what is protected; without it, all that is protected.
    pub protect: Option<String>,
}

impl From<ActKind> for Template {
    fn from(act: ActKind) -> Self {
        Self { act, of: SubjectRole::Actor, protect: None }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Act,
    Of,
    Protect,
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an act such as \"block_address\", or a table such as { act = \"isolate_host\", of = \"target\" }")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Template, E> {
                kind(id).map(Template::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Template, A::Error> {
                let (mut act, mut of, mut protect) = (None, None, None);
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Act => act = Some(kind(&map.next_value::<String>()?)?),
                        Field::Of => of = Some(map.next_value::<SubjectRole>()?),
                        Field::Protect => protect = Some(map.next_value::<String>()?),
                    }
                }
                let act = act.ok_or_else(|| de::Error::missing_field("act"))?;
                if of.is_some() && act != ActKind::IsolateHost {
                    return Err(de::Error::custom("`of` belongs to isolate_host alone"));
                }
                if protect.is_some() && act != ActKind::SnapshotNow {
                    return Err(de::Error::custom("`protect` belongs to snapshot_now alone"));
                }
                Ok(Template { act, of: of.unwrap_or(SubjectRole::Actor), protect })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn kind<E: de::Error>(id: &str) -> Result<ActKind, E> {
    ActKind::from_id(id).ok_or_else(|| {
        let known: Vec<&str> = ActKind::ALL.into_iter().map(ActKind::id).collect();
        E::custom(format!("no act is called {id:?}; there are {}", known.join(", ")))
    })
}

/// Whether a text is what a glob with `*` means. The time is bounded by the product of the two lengths: the last star is the
/// only place to go back to.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut glob_at, mut star) = (0, 0, None);
    while at < text.len() {
        match glob.get(glob_at) {
            Some(b'*') => {
                star = Some((glob_at, at));
                glob_at += 1;
            }
            Some(byte) if text.get(at) == Some(byte) => {
                at += 1;
                glob_at += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at = from + 1;
                    glob_at = star_at + 1;
                }
                None => return false,
            },
        }
    }
    glob.get(glob_at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}
