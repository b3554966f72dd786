use std::collections::BTreeMap;

use schema::IncidentId;
use serde::{Deserialize, Serialize};

use super::case::{Case, Kind};
use super::join::Index;
use super::pool::Pools;
use super::seen::Seen;
use super::{Correlator, Settings};

const VERSION: u32 = 1;

/// A checkpoint. What can be derived is not in it.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    version: u32,
    settings: Settings,
    next: IncidentId,
    cases: Vec<Case>,
    pools: Pools,
    seen: Seen,
    index: Index,
}

impl From<Correlator> for Stored {
    fn from(from: Correlator) -> Self {
        Self {
            version: VERSION,
            settings: from.settings,
            next: from.next,
            cases: from.cases.into_values().collect(),
            pools: from.pools,
            seen: from.seen,
            index: from.index,
        }
    }
}

impl TryFrom<Stored> for Correlator {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.version != VERSION {
            return Err(format!("correlator checkpoint of version {}, not {VERSION}", stored.version));
        }
        let cases: BTreeMap<_, _> = stored.cases.into_iter().map(|case| (case.incident.id, case)).collect();
        let mut index = stored.index;
        for (id, case) in cases.iter().filter(|(_, case)| case.kind == Kind::Attack) {
            case.parts.keys().for_each(|entity| index.add(entity, *id));
        }
        let mut made = Correlator::new(stored.settings, stored.next);
        (made.cases, made.pools, made.seen, made.index) = (cases, stored.pools, stored.seen, index);
        Ok(made)
    }
}

/// Maps whose keys are no strings, as arrays of pairs.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(in super::super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}
