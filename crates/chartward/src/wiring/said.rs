//! What a watcher says of itself when it is ready, in both languages: two lists of its line, `NAME` and `NAME_ja`.

use schema::Lang;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A list of sentences. It stands flattened in the line.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    name: &'static str,
    all: Vec<[String; 2]>,
}

impl Said {
    pub(crate) fn new<const N: usize>(name: &'static str, all: [[&str; 2]; N]) -> Self {
        Self { name, all: all.into_iter().map(|both| both.map(str::to_owned)).collect() }
    }

    pub(crate) fn add(&mut self, en: impl Into<String>, ja: impl Into<String>) {
        self.all.push([en.into(), ja.into()]);
    }

    pub(crate) fn iter(&self, lang: Lang) -> impl Iterator<Item = &str> {
        self.all.iter().map(move |[en, ja]| lang.pick(en.as_str(), ja.as_str()))
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let of = |lang| self.iter(lang).collect::<Vec<_>>();
        map.serialize_entry(self.name, &of(Lang::En))?;
        map.serialize_entry(&format!("{}_ja", self.name), &of(Lang::Ja))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_stand_in_the_line() {
        #[derive(serde::Serialize)]
        struct Ready {
            mode: &'static str,
            #[serde(flatten)]
            holds: Said,
            #[serde(flatten)]
            blind_spots: Said,
        }
        let mut holds = Said::new("holds", []);
        holds.add("opens", "オープン");
        let ready =
            Ready { mode: "x", holds, blind_spots: Said::new("blind_spots", [["root", "管理者"]]) };
        let expected = serde_json::json!({
            "mode": "x", "holds": ["opens"], "holds_ja": ["オープン"], "blind_spots": ["root"], "blind_spots_ja": ["管理者"],
        });
        assert_eq!(serde_json::to_value(&ready).unwrap(), expected);
        assert_eq!(ready.blind_spots.iter(Lang::Ja).collect::<Vec<_>>(), ["管理者"]);
    }
}
