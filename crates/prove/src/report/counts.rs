//! What was counted, said in one place for all parts of the report.

use schema::{Effect, Lang};

use super::Report;
use crate::lang::count;

/// Whether anybody counted: an effect of nothing but zeros is what an incident has before that.
pub(super) fn counted_files(report: &Report<'_>) -> bool {
    report.incident.effect != Effect::default()
}

pub(super) fn affected_sentence(report: &Report<'_>, lang: Lang) -> String {
    let effect = &report.incident.effect;
    let (total, affected) = (count(effect.patients_total), count(effect.patients_affected));
    match (effect.patients_affected, lang) {
        (0, Lang::En) => {
            format!("No change to the records of any of the {total} patients was found by comparing them.")
        }
        (0, Lang::Ja) => format!("患者{total}人の記録を照合し、変更は確認されませんでした。"),
        (_, Lang::En) => format!(
            "Records of {affected} of {total} patients were changed, renamed or removed in the incident (counted by patient, not by file)."
        ),
        (_, Lang::Ja) => format!(
            "このインシデントで、患者{total}人中{affected}人の記録が変更・改名・削除されました（ファイル数ではなく患者単位で集計）。"
        ),
    }
}
