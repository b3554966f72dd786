//! The data types of FHIR that charts are made of.

use super::node::Node;
use super::when::When;

/// One code of a concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding<'v> {
    /// Which code system; empty when none is named.
    pub system: &'v str,
    /// The code.
    pub code: &'v str,
    /// What it is called; empty when nothing says so.
    pub display: &'v str,
}

/// A person's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// As it is written, family name first.
    pub written: Option<String>,
    /// How it is read, in kana.
    pub kana: Option<String>,
}

const REPRESENTATION: &str = "iso21090-EN-representation";

impl<'v> Node<'v> {
    /// A date or time; what is none is named.
    pub fn when(self) -> Option<When> {
        let text = self.text();
        let when = When::parse(text);
        if when.is_none() && !text.is_empty() {
            self.note("no date or time");
        }
        when
    }

    /// The codes of a CodeableConcept.
    pub fn codings(self) -> impl Iterator<Item = Coding<'v>> {
        self.get("coding").each().map(|coding| Coding {
            system: coding.get("system").text(),
            code: coding.get("code").text(),
            display: coding.get("display").text(),
        })
    }

    /// What a CodeableConcept is called: its text, else the first code that has a name, else the first code.
    pub fn label(self) -> String {
        let text = self.get("text").text();
        if !text.is_empty() {
            return text.to_owned();
        }
        let named = self.codings().map(|coding| coding.display).find(|display| !display.is_empty());
        named
            .or_else(|| self.codings().map(|coding| coding.code).find(|code| !code.is_empty()))
            .unwrap_or_default()
            .to_owned()
    }

    /// The code of the first system that fits, in the order of `systems`, each a part of its name.
    pub fn code_in(self, systems: &[&str]) -> Option<Coding<'v>> {
        let fits = |part: &str| {
            self.codings().find(|coding| coding.system.contains(part) && !coding.code.is_empty())
        };
        systems.iter().find_map(|part| fits(part))
    }

    /// The first code, of whatever system; empty when there is none.
    pub fn code(self) -> &'v str {
        self.codings().map(|coding| coding.code).find(|code| !code.is_empty()).unwrap_or_default()
    }

    /// A Quantity: its value with what it is compared by, and its unit.
    pub fn quantity(self) -> Option<(String, String)> {
        let value = self.get("value").number()?;
        let unit =
            [self.get("unit").text(), self.get("code").text()].into_iter().find(|unit| !unit.is_empty());
        Some((format!("{}{value}", self.get("comparator").text()), unit.unwrap_or_default().to_owned()))
    }

    /// A Quantity as people write it: `1 錠`.
    pub fn amount(self) -> String {
        self.quantity().map_or(String::new(), |(value, unit)| match unit.is_empty() {
            true => value,
            false => format!("{value} {unit}"),
        })
    }

    /// The value of the extension whose address ends so.
    pub fn extension(self, ending: &str, value: &'static str) -> Node<'v> {
        let found =
            self.get("extension").each().find(|extension| extension.get("url").text().ends_with(ending));
        found.unwrap_or_else(|| self.get("chartward-none")).get(value)
    }

    /// A list of HumanName. Which one is in kana, the extension of JP Core says; without it, the characters do.
    pub fn human_name(self) -> Name {
        let mut name = Name::default();
        for one in self.each().filter(|one| !matches!(one.get("use").text(), "old" | "maiden")) {
            let written = written(one);
            if written.is_empty() {
                continue;
            }
            let slot = match one.extension(REPRESENTATION, "valueCode").text() {
                "SYL" => &mut name.kana,
                "IDE" | "ABC" => &mut name.written,
                _ if name.written.is_some() && written.chars().all(is_kana) => &mut name.kana,
                _ => &mut name.written,
            };
            slot.get_or_insert(written);
        }
        name
    }
}

fn written(name: Node<'_>) -> String {
    let family = name.get("family").text();
    let given: Vec<&str> = name.get("given").each().map(Node::text).collect();
    let parts: Vec<&str> = std::iter::once(family).chain(given).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { name.get("text").text().to_owned() } else { parts.join(" ") }
}

fn is_kana(c: char) -> bool {
    matches!(c, 'ぁ'..='ヿ' | 'ｦ'..='ﾟ' | ' ' | '　')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fhir::Wrong;

    #[test]
    fn names_are_told_apart_by_the_extension_and_else_by_their_characters() {
        let extended = |family: &str, given: &str, code: &str| {
            json!({"family": family, "given": [given],
                "extension": [{"url": format!("http://hl7.org/fhir/StructureDefinition/{REPRESENTATION}"), "valueCode": code}]})
        };
        let check = |names: serde_json::Value, expected: (Option<&str>, Option<&str>)| {
            let wrong = Wrong::default();
            let name = Node::new(&names, &wrong).human_name();
            assert_eq!((name.written.as_deref(), name.kana.as_deref()), expected, "{names}");
        };
        let both = (Some("野村 幸太郎"), Some("ノムラ コウタロウ"));
        check(json!([extended("ノムラ", "コウタロウ", "SYL"), extended("野村", "幸太郎", "IDE")]), both);
        check(json!([{"text": "野村 幸太郎"}, {"text": "ノムラ コウタロウ"}]), both);
        check(
            json!([{"use": "maiden", "text": "X"}, {"family": "Bergstrom", "given": ["Wm", "J"]}]),
            (Some("Bergstrom Wm J"), None),
        );
        check(json!([]), (None, None));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named_and_the_rest_is_read() {
        let value = json!({"code": {"coding": {"code": "K59.0"}, "text": 7}, "onset": "sometime", "n": {"value": "x"}});
        let wrong = Wrong::default();
        let node = Node::new(&value, &wrong);
        assert_eq!(node.get("code").label(), "K59.0");
        assert_eq!(node.get("onset").when(), None);
        assert_eq!(node.get("n").quantity(), None);
        assert_eq!(
            wrong.said().unwrap(),
            "coding is an object and no list; onset is no date or time; text is a number and no text; value is a text and no number"
        );
    }
}
