//! The sections of a mapping, with the columns that charts understand.

/// The section that says who there is.
pub(super) const PATIENTS: &str = "patients";
/// Columns that every section may have. No name of a column is a reserved word of SQL: the row's own key, and when it was recorded.
pub(super) const ALWAYS: [&str; 3] = ["patient", "row_id", "recorded_at"];

/// One section.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// Without these it says nothing.
    pub(super) needs: &'static [&'static str],
    /// What else it may have.
    pub(super) may_have: &'static [&'static str],
}

impl Section {
    /// Whether a column has a meaning here.
    pub(super) fn knows(&self, column: &str) -> bool {
        [self.needs, self.may_have, &ALWAYS].iter().any(|known| known.contains(&column))
    }
}

/// All sections.
pub(super) const SECTIONS: [Section; 11] = [
    Section {
        name: PATIENTS,
        needs: &["patient"],
        may_have: &[
            "patient_key",
            "other_id",
            "name",
            "kana",
            "birth_date",
            "sex",
            "address",
            "phone",
            "blood_abo",
            "blood_rh",
            "height",
            "weight",
            "ward",
            "room",
            "bed",
        ],
    },
    Section {
        name: "allergies",
        needs: &["patient", "substance"],
        may_have: &["code", "category", "severity", "reaction", "since"],
    },
    Section {
        name: "problems",
        needs: &["patient", "name"],
        may_have: &["icd10", "main", "since", "until", "outcome", "active"],
    },
    Section {
        name: "medication",
        needs: &["patient", "drug"],
        may_have: &[
            "code",
            "dose",
            "per_day",
            "directions",
            "start",
            "until",
            "days",
            "route",
            "status",
            "ordered_by",
            "order_no",
        ],
    },
    Section {
        name: "given",
        needs: &["patient", "drug"],
        may_have: &["code", "dose", "at", "status", "given_by"],
    },
    Section {
        name: "labs",
        needs: &["patient", "test", "value"],
        may_have: &["code", "unit", "normal_range", "flag", "at", "status"],
    },
    Section {
        name: "stays",
        needs: &["patient", "admitted"],
        may_have: &["discharged", "ward", "room", "bed", "dept", "doctor"],
    },
    Section { name: "visits", needs: &["patient", "at"], may_have: &["dept", "doctor"] },
    Section { name: "meals", needs: &["patient", "diet"], may_have: &["instruction", "timing", "start"] },
    Section { name: "notes", needs: &["patient", "text"], may_have: &["kind", "code", "date"] },
    Section {
        name: "appointments",
        needs: &["patient", "at"],
        may_have: &["dept", "doctor", "what", "status"],
    },
];
