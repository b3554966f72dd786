//! How a drill measured, in one sentence: what was really done this time, never what drills do in general.

use schema::{Drill, Lang, ShortfallKind};

use super::RestoredTo;
use crate::adapter;

/// Sources that are named.
const NAMED_MAX: usize = 20;

/// The sentence. Parts are joined by semicolons, so that each stands for itself.
pub(super) fn method(drill: &Drill, restored_to: RestoredTo, lang: Lang) -> String {
    let mut parts = vec![restored(drill, restored_to, lang)];
    if drill.evidence.files_verified > 0 {
        let files = drill.evidence.files_verified;
        parts.push(lang.pick(
            format!("{files} files were compared with the hashes sealed at capture"),
            format!("{files}個のファイルを、取り込み時に封印したハッシュと照合した"),
        ));
    }
    parts.extend(records(drill, lang));
    parts.extend(sqlite(drill, lang));
    parts.extend(sources(drill, lang));
    parts.extend(malware(drill, lang));
    parts.join(lang.pick("; ", "。"))
}

fn restored(drill: &Drill, restored_to: RestoredTo, lang: Lang) -> String {
    let place = match restored_to {
        RestoredTo::Memory => lang.pick("a folder in memory", "メモリ上のフォルダ"),
        RestoredTo::Disk => lang.pick("a folder on disk", "ディスク上のフォルダ"),
    };
    match &drill.evidence.coverage {
        None => lang.pick(
            format!("the whole snapshot was restored into {place}"),
            format!("スナップショット全体を{place}に復元した"),
        ),
        Some(part) => lang.pick(
            format!(
                "a sample of {} of {} files ({} of {} bytes) was restored into {place}",
                part.files, part.files_total, part.bytes, part.bytes_total
            ),
            format!(
                "{}個中{}個のファイル（{}バイト中{}バイト）を抽出し、{place}に復元した",
                part.files_total, part.files, part.bytes_total, part.bytes
            ),
        ),
    }
}

fn records(drill: &Drill, lang: Lang) -> Option<String> {
    let (records, charts) = (drill.records_decoded, drill.evidence.charts_read);
    (!drill.census.ssmix2.is_empty()).then(|| {
        lang.pick(
            format!("every SS-MIX2 record was read ({records} decoded) and {charts} charts were opened"),
            format!("SS-MIX2の全記録を読み（{records}件を解読）、{charts}人のカルテを開いた"),
        )
    })
}

fn sqlite(drill: &Drill, lang: Lang) -> Option<String> {
    let count = drill.census.databases.iter().filter(|database| database.engine == "sqlite").count();
    (count > 0).then(|| {
        lang.pick(
            format!("{count} SQLite databases were checked and counted by SQLite"),
            format!("SQLiteデータベース{count}個を検査・計数した"),
        )
    })
}

/// Each source as its adapter's drill treats it: started and counted, not started, or restored and not looked into.
fn sources(drill: &Drill, lang: Lang) -> Vec<String> {
    let groups = drill.evidence.groups.iter().filter_map(|group| group.name.split_once(' '));
    let mut told: Vec<String> = groups
        .clone()
        .take(NAMED_MAX)
        .map(|(kind, name)| {
            let what = format!("{kind} {name}");
            let failed =
                drill.shortfalls.iter().any(|it| it.kind == ShortfallKind::NotStarted && it.what == what);
            if failed {
                return lang
                    .pick(format!("{what} could NOT be started"), format!("{what} は起動できなかった"));
            }
            match adapter::proves(kind) {
                Some((en, ja)) => lang.pick(en, ja).replace("{}", name),
                None => lang.pick(
                    format!(
                        "{what} was restored byte for byte and is NOT PROVEN: nothing here looks into it"
                    ),
                    format!("{what} はバイト単位で復元したが、中身は検証していない（未実証）"),
                ),
            }
        })
        .collect();
    let more = groups.count().saturating_sub(NAMED_MAX);
    if more > 0 {
        told.push(lang.pick(format!("and {more} more sources"), format!("ほか{more}系統")));
    }
    told
}

fn malware(drill: &Drill, lang: Lang) -> Option<String> {
    let said = drill.evidence.malware_scan.as_str();
    let ja = match said.strip_prefix("not scanned for malware: ") {
        Some(cause) => format!("マルウェア検査は行っていない（{cause}）"),
        None => format!("マルウェアを検査した（{said}）"),
    };
    (!said.is_empty()).then(|| lang.pick(said.to_owned(), ja))
}
