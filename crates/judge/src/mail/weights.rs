//! What each feature weighs: `data/mail-weights.toml`, written by `xtask mail-fit` and readable by people.

use std::collections::BTreeMap;

use schema::MailVerdict;
use serde::Deserialize;
use toml::Spanned;

use super::{MailError, features, line_of};

const BUILTIN: &str = include_str!("../../data/mail-weights.toml");

/// Weights of all features, and the scores from which a mail is suspicious or phishing.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The score of a mail that nothing speaks for or against.
    pub bias: f64,
    /// From this score on a mail is suspicious.
    pub suspicious: f64,
    /// From this score on it is phishing.
    pub phishing: f64,
    /// By the features' places.
    weights: Vec<f64>,
}

impl Weights {
    /// Those that come with the program.
    pub fn builtin() -> Result<Self, MailError> {
        Self::parse(BUILTIN)
    }

    /// With these rows; a feature without a row weighs what its bounds ask for at least.
    pub fn new(bias: f64, suspicious: f64, phishing: f64, rows: &[(&str, f64)]) -> Self {
        let rows: BTreeMap<&str, f64> = rows.iter().copied().collect();
        // The place nearest to nothing that the bounds allow.
        let of = |feature: &super::Feature| {
            rows.get(feature.id).copied().unwrap_or_else(|| 0.0_f64.clamp(feature.bounds.0, feature.bounds.1))
        };
        Self { bias, suspicious, phishing, weights: features().map(of).collect() }
    }

    /// Reads a file of weights.
    pub fn parse(text: &str) -> Result<Self, MailError> {
        let wrong =
            |offset: usize, problem: String| MailError::Weights { line: line_of(text, offset), problem };
        let file: File = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut rows = BTreeMap::new();
        for row in &file.weight {
            let (id, at) = (row.id.get_ref().as_str(), row.id.span().start);
            let is_sound = row.weight.is_finite() && row.weight.abs() <= 20.0;
            if !features().any(|feature| feature.id == id) {
                return Err(wrong(at, format!("there is no feature `{id}`")));
            }
            if !is_sound {
                return Err(wrong(at, format!("the weight of `{id}` is not within ±20")));
            }
            if rows.insert(id, row.weight).is_some() {
                return Err(wrong(at, format!("`{id}` is there twice")));
            }
        }
        if file.suspicious > file.phishing {
            return Err(wrong(0, "`suspicious` lies above `phishing`".to_owned()));
        }
        let rows: Vec<_> = rows.into_iter().collect();
        Ok(Self::new(file.bias, file.suspicious, file.phishing, &rows))
    }

    /// The weight of the feature at this place.
    pub fn of(&self, place: usize) -> f64 {
        self.weights.get(place).copied().unwrap_or(0.0)
    }

    /// What a score says by itself.
    pub fn verdict(&self, score: f64) -> MailVerdict {
        if score >= self.phishing {
            MailVerdict::Phishing
        } else if score >= self.suspicious {
            MailVerdict::Suspicious
        } else {
            MailVerdict::Clean
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bias: f64,
    suspicious: f64,
    phishing: f64,
    #[serde(default)]
    weight: Vec<Row>,
}

/// What else stands in a row (its interval, what was counted) is for readers of the file.
#[derive(Deserialize)]
struct Row {
    id: Spanned<String>,
    weight: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_can_be_read_and_keeps_within_the_bounds() {
        let weights = Weights::builtin().unwrap();
        for (place, feature) in features().enumerate() {
            let (low, high) = feature.bounds;
            assert!((low..=high).contains(&weights.of(place)), "{}: {}", feature.id, weights.of(place));
        }
        assert!(weights.suspicious <= weights.phishing);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let head = "bias = -3\nsuspicious = 0\nphishing = 1\n";
        for (rest, line) in [
            ("[[weight]]\nid = \"no.such\"\nweight = 1", 5),
            ("[[weight]]\nid = \"link.ip\"\nweight = 1e9", 5),
            ("[[weight]]\nid = \"link.ip\"\nweight = \"x\"", 6),
            ("[[weight]]\nid = \"link.ip\"\nweight = 1\n[[weight]]\nid = \"link.ip\"\nweight = 1", 8),
        ] {
            let error = Weights::parse(&format!("{head}{rest}")).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")), "{rest}: {error}");
        }
        assert!(Weights::parse("bias = 0\nsuspicious = 2\nphishing = 1").is_err());
    }
}
