use jiff::tz::TimeZone;
use jiff::{SpanRound, Timestamp, Unit, Zoned};
use schema::{Lang, Status};

use crate::lang::duration_at_most;

/// After this a proof is told with its age: a drill every night has been missed.
const STALE_AFTER_SECONDS: i64 = 26 * 3600;
/// More alarms than this are counted instead of named; the whole list stands below the sentence.
const ALARMS_NAMED: usize = 3;

/// The one sentence on the first screen: what would be lost, how soon charts would be read again, and when and
/// how that was measured.
///
/// Without a proof it holds no figure at all. Times are given in `zone`, and nothing is rounded in our favour.
pub fn sentence(status: &Status, lang: Lang, zone: &TimeZone) -> String {
    let told = match status.proven_at {
        Some(proven_at) => proven(status, proven_at, lang, zone),
        None => lang.pick(
            "Nothing is proven: no backup has been restored to test it, so what would be lost and when charts \
             could be read again is not known"
                .to_owned(),
            "実証済みの備えはありません。バックアップを実際に復元した記録がまだないため、何が失われるか、いつカルテを再び読めるかは不明です"
                .to_owned(),
        ),
    };
    told + &alarms(status, lang)
}

fn proven(status: &Status, proven_at: Timestamp, lang: Lang, zone: &TimeZone) -> String {
    let loss = status.rpo_seconds.filter(|s| s.is_finite()).map(|s| duration_at_most(s, lang));
    let first = status.rto_first_chart_seconds.filter(|s| s.is_finite()).map(|s| duration_at_most(s, lang));
    let when = when(status.at, proven_at, lang, zone);
    match lang {
        Lang::En => {
            let loss = match loss {
                Some(loss) => format!("you would lose at most {loss} of records"),
                None => "how much would be lost is not known".to_owned(),
            };
            let first = match first {
                Some(first) => format!(" and read charts again in {first}"),
                None => "; when charts could be read again is not known".to_owned(),
            };
            let still = still(status, lang);
            format!("If everything were encrypted now, {loss}{still}{first}: measured by restoring, {when}")
        }
        Lang::Ja => {
            let loss = match loss {
                Some(loss) => format!("失われるのは最大で直近{loss}の記録で"),
                None => "失われる記録の量は不明で".to_owned(),
            };
            let first = match first {
                Some(first) => format!("{first}後にはカルテを再び読めます"),
                None => "カルテを再び読めるまでの時間は不明です".to_owned(),
            };
            let still = still(status, lang);
            format!("いますべてが暗号化された場合、{loss}{still}、{first}（実際に復元して測定：{when}）")
        }
    }
}

/// Where the newest record is far older than the backup, either nothing was recorded since or the backup reads
/// something that stopped: the reader must know both ages.
fn still(status: &Status, lang: Lang) -> String {
    let (Some(loss), Some(age)) = (status.rpo_seconds, status.snapshot_age_seconds) else {
        return String::new();
    };
    if loss - age < STALE_AFTER_SECONDS as f64 {
        return String::new();
    }
    let age = duration_at_most(age, lang);
    lang.pick(
        format!(" (the age of the newest record in it; the backup itself is {age} old)"),
        format!("（バックアップ内の最新記録の古さ。バックアップ自体は{age}前）"),
    )
}

/// "at 02:14 this morning", "today at 14:02", "yesterday at 02:14", or the whole date with the proof's age.
fn when(now: Timestamp, proven_at: Timestamp, lang: Lang, zone: &TimeZone) -> String {
    let (now, proven) = (now.to_zoned(zone.clone()), proven_at.to_zoned(zone.clone()));
    let clock = proven.strftime("%H:%M").to_string();
    let date = proven.strftime("%Y-%m-%d").to_string();
    if proven > now {
        return lang.pick(
            format!("on {date} at {clock}, which lies in the future of this machine's clock"),
            format!("{date} {clock}、この機器の時計では未来の時刻"),
        );
    }
    let age = now.timestamp().as_second() - proven.timestamp().as_second();
    if age > STALE_AFTER_SECONDS {
        let ago = age_in_words(&proven, &now, lang);
        return lang.pick(
            format!("last proven {ago} ago, on {date} at {clock}"),
            format!("最後の実証は{ago}前の{date} {clock}"),
        );
    }
    match (proven.date() == now.date(), proven.hour() < 12) {
        (true, true) => lang.pick(format!("at {clock} this morning"), format!("本日{clock}")),
        (true, false) => lang.pick(format!("today at {clock}"), format!("本日{clock}")),
        (false, _) => lang.pick(format!("yesterday at {clock}"), format!("昨日{clock}")),
    }
}

/// Whole days from the second on, else hours: "3 days", 「30時間」.
fn age_in_words(then: &Zoned, now: &Zoned, lang: Lang) -> String {
    let days = now.date().since((Unit::Day, then.date())).map_or(0, |span| span.get_days());
    if days >= 2 {
        return lang.pick(format!("{days} days"), format!("{days}日"));
    }
    let hours = now
        .since((Unit::Hour, then))
        .and_then(|span| span.round(SpanRound::new().smallest(Unit::Hour)))
        .map_or(0, |span| span.get_hours());
    lang.pick(format!("{hours} hours"), format!("{hours}時間"))
}

fn alarms(status: &Status, lang: Lang) -> String {
    let stop = lang.pick(".", "。");
    if status.alarms.is_empty() {
        return stop.to_owned();
    }
    let title = |title: &str| title.trim_end_matches(['.', '。']).to_owned();
    let mut named: Vec<String> = status
        .alarms
        .iter()
        .take(ALARMS_NAMED)
        .map(|alarm| title(lang.pick(&alarm.title, &alarm.title_ja)))
        .collect();
    let more = status.alarms.len().saturating_sub(ALARMS_NAMED);
    if more > 0 {
        named.push(lang.pick(format!("{more} more"), format!("ほか{more}件")));
    }
    let list = named.join(lang.pick("; ", "／"));
    // With nothing proven the alarms give the reason; otherwise they speak against what was just said.
    match (lang, status.proven_at.is_some()) {
        (Lang::En, true) => format!("; but: {list}."),
        (Lang::En, false) => format!(": {list}."),
        (Lang::Ja, true) => format!("。ただし：{list}。"),
        (Lang::Ja, false) => format!("：{list}。"),
    }
}

#[cfg(test)]
mod tests {
    use schema::{Alarm, Severity};

    use super::*;

    fn status(at: &str, proven_at: Option<&str>, rpo: Option<f64>, first: Option<f64>) -> Status {
        Status {
            at: at.parse().unwrap(),
            rpo_seconds: rpo,
            snapshot_age_seconds: None,
            rto_first_chart_seconds: first,
            rto_full_seconds: Some(100.0),
            proven_at: proven_at.map(|at| at.parse().unwrap()),
            snapshot: None,
            alarms: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn alarm(title: &str) -> Alarm {
        let ja = if title.len() > 1 { "最後のバックアップは25時間前です。" } else { title };
        Alarm {
            id: "backup.stale".into(),
            severity_id: Severity::High,
            title: title.into(),
            title_ja: ja.into(),
            next_step: "run `chartward backup`".into(),
            next_step_ja: "`chartward backup`を実行してください".into(),
        }
    }

    fn check(status: &Status, en: &str, ja: &str) {
        let tokyo = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(sentence(status, Lang::En, &tokyo), en);
        assert_eq!(sentence(status, Lang::Ja, &tokyo), ja);
    }

    const NIGHT: Option<&str> = Some("2026-03-02T17:14:00Z");

    #[test]
    fn proven_this_morning() {
        check(
            &status("2026-03-03T00:05:00Z", NIGHT, Some(2_580.0), Some(11.2)),
            "If everything were encrypted now, you would lose at most 43 minutes of records and read charts \
             again in 12 seconds: measured by restoring, at 02:14 this morning.",
            "いますべてが暗号化された場合、失われるのは最大で直近43分の記録で、12秒後にはカルテを再び読めます（実際に復元して測定：本日02:14）。",
        );
    }

    #[test]
    fn without_a_proof_there_is_no_figure() {
        let mut unproven = status("2026-03-03T00:05:00Z", None, Some(60.0), Some(1.0));
        for _ in 0..2 {
            for lang in Lang::ALL {
                let told = sentence(&unproven, lang, &TimeZone::UTC);
                assert!(!told.contains(|c: char| c.is_ascii_digit()), "{told}");
            }
            unproven.alarms.push(alarm("x"));
        }
        assert!(sentence(&unproven, Lang::En, &TimeZone::UTC).ends_with("is not known: x; x."));
    }

    #[test]
    fn alarms_speak_against_the_promise() {
        let mut alarmed =
            status("2026-03-03T06:30:00Z", Some("2026-03-03T05:02:00Z"), Some(30.0), Some(0.31));
        alarmed.alarms = ["The last backup is 25 hours old.", "b", "c", "d", "e"].map(alarm).into();
        check(
            &alarmed,
            "If everything were encrypted now, you would lose at most 30 seconds of records and read charts \
             again in 0.31 seconds: measured by restoring, today at 14:02; but: The last backup is 25 hours \
             old; b; c; 2 more.",
            "いますべてが暗号化された場合、失われるのは最大で直近30秒の記録で、0.31秒後にはカルテを再び読めます（実際に復元して測定：本日14:02）。\
             ただし：最後のバックアップは25時間前です／b／c／ほか2件。",
        );
    }

    #[test]
    fn an_old_proof_is_told_with_its_age() {
        for (at, told) in [
            ("2026-03-03T18:00:00Z", "yesterday at 02:14"),
            ("2026-03-03T23:14:00Z", "last proven 30 hours ago, on 2026-03-03 at 02:14"),
            ("2026-03-06T03:00:00Z", "last proven 3 days ago, on 2026-03-03 at 02:14"),
            (
                "2026-03-01T00:00:00Z",
                "on 2026-03-03 at 02:14, which lies in the future of this machine's clock",
            ),
        ] {
            let tokyo = TimeZone::fixed(jiff::tz::offset(9));
            let said = sentence(&status(at, NIGHT, Some(60.0), Some(1.0)), Lang::En, &tokyo);
            assert!(said.ends_with(&format!("measured by restoring, {told}.")), "{said}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_known() {
        check(
            &status("2026-03-03T00:05:00Z", NIGHT, None, None),
            "If everything were encrypted now, how much would be lost is not known; when charts could be read \
             again is not known: measured by restoring, at 02:14 this morning.",
            "いますべてが暗号化された場合、失われる記録の量は不明で、カルテを再び読めるまでの時間は不明です（実際に復元して測定：本日02:14）。",
        );
    }
}
