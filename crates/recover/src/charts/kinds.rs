//! What the sources call the records behind a section of a chart.

use super::model::{Chart, Provenance};

/// A type of SS-MIX2 with the FHIR resources and the section of a mapping that say the same.
const SAME: [(&str, &[&str], &str); 8] = [
    ("ADT-61", &["AllergyIntolerance"], "allergies"),
    ("PPR-01", &["Condition"], "problems"),
    ("OMP-01", &["MedicationRequest", "MedicationStatement"], "medication"),
    ("OMP-11", &["MedicationAdministration"], "given"),
    ("OML-11", &["Observation"], "labs"),
    ("ADT-22", &["Encounter"], "stays"),
    ("ADT-12", &["Encounter"], "visits"),
    ("OMD", &["NutritionOrder"], "meals"),
];

/// Whether a record of this kind belongs to a section of these types of SS-MIX2. Of a folder or a file that could not be read nobody
/// knows what it held: it belongs to each.
pub(super) fn is_of(kind: &str, section: &[&str]) -> bool {
    let same = |(ssmix2, fhir, mapped): &(&str, &[&str], &str)| {
        section.contains(ssmix2) && (fhir.contains(&kind) || *mapped == kind)
    };
    matches!(kind, "-" | "FHIR") || section.contains(&kind) || SAME.iter().any(same)
}

/// Which sources a chart is made of.
#[derive(Default)]
struct Sources {
    ssmix2: bool,
    fhir: bool,
}

impl Chart {
    /// The types behind a section, as the sources of this chart call them; a database has no names that people know.
    pub fn kinds_label(&self, section: &[&str]) -> String {
        let sources = self.sources();
        let mut names: Vec<&str> = if sources.ssmix2 { section.to_vec() } else { Vec::new() };
        for (ssmix2, fhir, _) in &SAME {
            if sources.fhir && section.contains(ssmix2) {
                names.extend(fhir.iter());
            }
        }
        names.join(" · ")
    }

    fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        let mut look = |from: &Provenance| match &from.part {
            None => sources.ssmix2 = true,
            Some(part) if part.contains('/') => sources.fhir = true,
            Some(_) => {}
        };
        self.banner.from.iter().for_each(&mut look);
        self.stays.iter().for_each(|item| look(&item.from));
        self.visits.iter().for_each(|item| look(&item.from));
        self.problems.iter().for_each(|item| look(&item.from));
        self.allergies.iter().for_each(|item| look(&item.from));
        self.medication.iter().for_each(|item| look(&item.from));
        self.labs.iter().flat_map(|series| &series.results).for_each(|item| look(&item.from));
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_source_count_for_their_section() {
        let check = |kind: &str, section: &[&str], expected: bool| {
            assert_eq!(is_of(kind, section), expected, "{kind}")
        };
        check("ADT-00", &["ADT-61", "ADT-00"], true);
        check("AllergyIntolerance", &["ADT-61", "ADT-00"], true);
        check("allergies", &["ADT-61", "ADT-00"], true);
        check("Condition", &["ADT-61", "ADT-00"], false);
        check("-", &["OMD"], true);
        check("FHIR", &[], true);
        check("Encounter", &["ADT-12"], true);
    }
}
