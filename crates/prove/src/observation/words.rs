use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::telescope::{Share, Target};
use schema::{Lang, SynFamily, SystemVersion, Transport};

/// What a family of systems is called.
pub fn family(family: SynFamily, lang: Lang) -> &'static str {
    match family {
        SynFamily::Nt5 => {
            lang.pick("NT5 family (Windows 2000, XP, Server 2003)", "NT5系（Windows 2000、XP、Server 2003）")
        }
        SynFamily::Nt6 => lang.pick("Windows Vista, Server 2008 or later", "Windows Vista、Server 2008以降"),
        SynFamily::Linux => lang.pick("Linux or Android", "LinuxまたはAndroid"),
        SynFamily::Bsd => lang.pick("macOS, iOS or BSD", "macOS、iOSまたはBSD"),
        SynFamily::Bare => lang.pick("a scanning tool's own packets", "スキャンツール独自のパケット"),
        SynFamily::Unknown => lang.pick("not recognised", "判別できず"),
    }
}

/// What a version of Windows is called.
pub fn version(it: SystemVersion) -> String {
    let name = match (it.major, it.minor, it.build) {
        (5, 0, _) => "Windows 2000",
        (5, 1, _) => "Windows XP",
        (5, 2, _) => "Windows Server 2003 / XP x64",
        (6, 0, _) => "Windows Vista / Server 2008",
        (6, 1, _) => "Windows 7 / Server 2008 R2",
        (6, 2, _) => "Windows 8 / Server 2012",
        (6, 3, _) => "Windows 8.1 / Server 2012 R2",
        (10, 0, 22_000..) => "Windows 11 / Server 2025",
        (10, ..) => "Windows 10 / Server 2016-2022",
        _ => "",
    };
    let numbers = format!("{}.{}.{}", it.major, it.minor, it.build);
    if name.is_empty() { numbers } else { format!("{name} ({numbers})") }
}

/// Such as `445/tcp`.
pub(super) fn port(target: Target) -> String {
    match target.transport {
        Transport::Tcp => format!("{}/tcp", target.port),
        Transport::Udp => format!("{}/udp", target.port),
        Transport::Icmp => match target.port {
            0 => "icmp echo reply".to_owned(),
            3 => "icmp unreachable".to_owned(),
            8 => "icmp echo".to_owned(),
            11 => "icmp error".to_owned(),
            _ => "icmp".to_owned(),
        },
        Transport::Other(number) => format!("ip {number}"),
    }
}

/// 80.1 % (95 % interval 79.2–81.0 %, n = 6,136).
pub(super) fn share(share: Share, lang: Lang) -> String {
    let Share { n, share, low, high, .. } = share;
    let n = crate::lang::count(n);
    let [share, low, high] = [share, low, high].map(|it| format!("{:.1}", it * 100.0));
    lang.pick(
        format!("{share}% (95% interval {low}–{high}%, n = {n})"),
        format!("{share}％（95％信頼区間 {low}～{high}％、n={n}）"),
    )
}

pub(super) fn day(at: Timestamp, zone: &TimeZone, lang: Lang) -> String {
    let local = at.to_zoned(zone.clone());
    match lang {
        Lang::En => local.strftime("%-d %B %Y").to_string(),
        Lang::Ja => local.strftime("%Y年%-m月%-d日").to_string(),
    }
}

pub(super) fn hour(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A figure of some tens as people say it.
pub(super) fn decimal(value: f64) -> String {
    if value >= 100.0 { crate::lang::count(value.round() as u64) } else { format!("{value:.1}") }
}
