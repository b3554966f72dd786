//! Names of things, durations and times, in both languages. A term of the trade never stands without a plain word.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Act, ActKind, Entity, Lang, Severity, Stage, SubjectRole, WatcherClass, WatcherState};

/// English and Japanese.
pub(super) type Both = (&'static str, &'static str);

pub(super) fn severity(severity: Severity) -> Both {
    match severity {
        Severity::Informational => ("for information", "参考"),
        Severity::Low => ("low", "低"),
        Severity::Medium => ("medium", "中"),
        Severity::High => ("high", "高"),
        Severity::Critical => ("critical", "緊急"),
    }
}

pub(super) fn watcher_state(state: WatcherState) -> Both {
    match state {
        WatcherState::Starting => ("starting", "起動中"),
        WatcherState::Ready => ("watching", "監視中"),
        WatcherState::BackingOff => ("stopped, starts again soon", "停止中（まもなく再起動）"),
        WatcherState::Stopped => ("stopped", "停止"),
    }
}

pub(super) fn class(class: WatcherClass) -> Both {
    match class {
        WatcherClass::Guard => ("files on this machine (guard)", "この機器のファイル（guard）"),
        WatcherClass::Share => ("file share from outside (share)", "共有フォルダーの外部監視（share）"),
        WatcherClass::Sensor => ("network traffic (sensor)", "ネットワーク通信（sensor）"),
        WatcherClass::Logs => ("log-ins and logs (logs)", "ログイン・ログ（logs）"),
        WatcherClass::Mail => ("mail (mail)", "メール（mail）"),
        WatcherClass::External => ("another program (external)", "外部プログラム（external）"),
    }
}

pub(super) fn act_kind(kind: ActKind) -> Both {
    match kind {
        ActKind::Freeze => ("Pause a process", "プログラムの一時停止"),
        ActKind::FreezeCgroup => ("Pause a whole service", "サービス全体の一時停止"),
        ActKind::BlockAddress => ("Block an address", "通信相手の遮断"),
        ActKind::BlockEgress => ("Block what a machine sends out", "端末からの発信の遮断"),
        ActKind::IsolateHost => ("Isolate a machine", "端末のネットワーク隔離"),
        ActKind::SnapshotNow => ("Back up at once", "緊急バックアップ"),
        ActKind::LockVault => ("Lock the vault", "保管庫のロック"),
        ActKind::StartViewer => ("Start the read-only chart viewer", "閲覧専用カルテの起動"),
        ActKind::Notify => ("Send a notice", "担当者への通知"),
    }
}

/// What happens when it is done, in plain words: what stops working, and what does not.
pub(super) fn consequence(kind: ActKind) -> Both {
    match kind {
        ActKind::Freeze => (
            "The process and what it started stand still until you undo this. Nothing is deleted.",
            "該当プログラムとその子プログラムが、取り消すまで停止します。データは削除されません。",
        ),
        ActKind::FreezeCgroup => (
            "The whole service stands still until you undo this: who uses it waits. Nothing is deleted.",
            "サービス全体が取り消すまで停止し、利用者は待たされます。データは削除されません。",
        ),
        ActKind::BlockAddress => (
            "Nothing comes from or goes to this address any more until you undo this.",
            "取り消すまで、この相手との通信がすべて遮断されます。",
        ),
        ActKind::BlockEgress => (
            "This machine cannot begin connections any more, but to the vault, this console and the hosts named in the \
             configuration. Who connects to it is still answered.",
            "この端末からは、保管庫・この管理画面・設定で指定した機器を除き、新しく接続できなくなります。\
             ほかからこの端末への接続は続けられます。",
        ),
        ActKind::IsolateHost => (
            "This machine loses the network, but for the vault, this console and the hosts named in the \
             configuration. Those who work at it cannot use the EMR there until you undo this.",
            "この端末は、保管庫・この管理画面・設定で指定した機器を除き、ネットワークから切り離されます。\
             取り消すまで、この端末では電子カルテを利用できません。",
        ),
        ActKind::SnapshotNow => (
            "A backup runs now, besides the scheduled ones. Work goes on, perhaps a little slower.",
            "予定とは別に、いますぐバックアップを取ります。業務は続けられますが、やや遅くなることがあります。",
        ),
        ActKind::LockVault => (
            "Nobody can remove backups until you undo this. New backups and restores go on.",
            "取り消すまで、バックアップの削除ができなくなります。新しいバックアップと復元は続けられます。",
        ),
        ActKind::StartViewer => (
            "Charts can be read, not written, from the newest proven backup. The EMR itself is not touched.",
            "実証済みの最新バックアップから、カルテを閲覧専用で表示します。電子カルテ本体には触れません。",
        ),
        ActKind::Notify => (
            "People are told through this channel. A notice cannot be taken back.",
            "この連絡先へ通知します。送った通知は取り消せません。",
        ),
    }
}

/// The act with what it is aimed at.
pub(super) fn act(act: &Act, lang: Lang) -> String {
    let (en, ja) = act_kind(act.kind());
    let what = lang.pick(en, ja);
    let at = match act {
        Act::Freeze { pid, .. } => lang.pick(format!("process {pid}"), format!("プロセス番号 {pid}")),
        Act::FreezeCgroup { path } => path.clone(),
        Act::BlockAddress { address } | Act::BlockEgress { address } | Act::IsolateHost { address } => {
            address.to_string()
        }
        Act::SnapshotNow { protect } => protect.clone(),
        Act::LockVault | Act::StartViewer => return what.to_owned(),
        Act::Notify { channel } => channel.clone(),
    };
    lang.pick(format!("{what}: {at}"), format!("{what}：{at}"))
}

pub(super) fn role_in_incident(role: SubjectRole) -> Both {
    match role {
        SubjectRole::Actor => ("did it", "行為者"),
        SubjectRole::Target => ("was harmed", "対象"),
    }
}

/// What sort of thing it is, and its name.
pub(super) fn entity(entity: &Entity, lang: Lang) -> (&'static str, String) {
    let (kind, name) = match entity {
        Entity::Host { name } => (("machine", "端末"), name.clone()),
        Entity::Address { address } => (("network address", "ネットワークアドレス"), address.to_string()),
        Entity::Account { name } => (("user account", "利用者アカウント"), name.clone()),
        Entity::Process { pid, .. } => {
            (("process (running program)", "プロセス（実行中のプログラム）"), pid.to_string())
        }
        Entity::Cgroup { path } => (("service", "サービス"), path.clone()),
        Entity::Store { name } => (("record store", "記録の保存先"), name.clone()),
    };
    (lang.pick(kind.0, kind.1), name)
}

pub(super) fn stage(stage: Stage) -> Both {
    match stage {
        Stage::Prepare => ("before", "事前"),
        Stage::Attack => ("attack", "攻撃"),
        Stage::Detect => ("seen", "検知"),
        Stage::Contain => ("stopped", "封じ込め"),
        Stage::Continue => ("care goes on", "診療継続"),
        Stage::Restore => ("put back", "復元"),
        Stage::Prove => ("checked", "確認"),
    }
}

/// "43 minutes", 「43分」: rounded up, so that nothing is promised shorter than it is.
pub(super) fn duration(seconds: f64, lang: Lang) -> String {
    if !seconds.is_finite() {
        return lang.pick("not known", "不明").to_owned();
    }
    let (value, en, ja) = match seconds.max(0.0) {
        s if s < 120.0 => (s, "second", "秒"),
        s if s < 7_200.0 => (s / 60.0, "minute", "分"),
        s if s < 172_800.0 => (s / 3_600.0, "hour", "時間"),
        s => (s / 86_400.0, "day", "日"),
    };
    let digits = if value < 10.0 && value.fract() > 1e-6 { 1 } else { 0 };
    let scale = if digits == 1 { 10.0 } else { 1.0 };
    let number = format!("{:.digits$}", (value * scale - 1e-6).ceil() / scale);
    let number = number.strip_suffix(".0").unwrap_or(&number);
    match lang {
        Lang::En if number == "1" => format!("1 {en}"),
        Lang::En => format!("{number} {en}s"),
        Lang::Ja => format!("{number}{ja}"),
    }
}

/// "12 minutes ago", 「12分前」; for a time to come "in 12 minutes", 「あと12分」.
pub(super) fn from_now(at: Timestamp, now: Timestamp, lang: Lang) -> String {
    let seconds = at.as_second() - now.as_second();
    let told = duration(seconds.unsigned_abs() as f64, lang);
    match (seconds > 0, lang) {
        (true, Lang::En) => format!("in {told}"),
        (true, Lang::Ja) => format!("あと{told}"),
        (false, Lang::En) => format!("{told} ago"),
        (false, Lang::Ja) => format!("{told}前"),
    }
}

/// Local date and time to the minute; the clock alone when it is today.
pub(super) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone, lang: Lang) -> String {
    let (then, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = match (then.date() == today.date(), lang) {
        (true, Lang::En) => "today %H:%M",
        (true, Lang::Ja) => "本日 %H:%M",
        (false, _) => "%Y-%m-%d %H:%M",
    };
    then.strftime(form).to_string()
}

/// Thousands set apart: 1,133.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_read_as_people_say_them() {
        for (seconds, en, ja) in [
            (0.31, "0.4 seconds", "0.4秒"),
            (2.0, "2 seconds", "2秒"),
            (2_580.0, "43 minutes", "43分"),
            (3_600.0, "60 minutes", "60分"),
            (86_400.0, "24 hours", "24時間"),
            (259_200.0, "3 days", "3日"),
            (f64::NAN, "not known", "不明"),
        ] {
            assert_eq!(duration(seconds, Lang::En), en);
            assert_eq!(duration(seconds, Lang::Ja), ja);
        }
        assert_eq!([count(7), count(1_133), count(1_000_000)], ["7", "1,133", "1,000,000"]);
    }

    #[test]
    fn times_are_told_from_now() {
        let (now, zone) = ("2026-03-03T00:05:00Z".parse().unwrap(), TimeZone::fixed(jiff::tz::offset(9)));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(from_now(at("2026-03-02T23:53:00Z"), now, Lang::En), "12 minutes ago");
        assert_eq!(from_now(at("2026-03-03T00:07:30Z"), now, Lang::Ja), "あと2.5分");
        assert_eq!(clock(at("2026-03-02T17:14:00Z"), now, &zone, Lang::Ja), "本日 02:14");
        assert_eq!(clock(at("2026-03-01T17:14:00Z"), now, &zone, Lang::En), "2026-03-02 02:14");
    }
}
