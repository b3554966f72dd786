//! `eol.windows`: machines whose Windows gets no security updates any more. A weak spot (OCSF 2002), no attack.
//!
//! By how reliable it is: the version in a server's NTLM challenge; SMB 1's own words; the build of a Remote Desktop client, which free
//! clients make up; and the look of SYNs, which tells Windows 2000, XP and Server 2003 apart from nothing newer, with a number only.

use std::net::IpAddr;

use schema::{
    Attack, FindingClass, Micros, NtlmStep, RdpSight, Severity, Side, Sight, SmbSight, SynFamily,
    SystemVersion, Tactic,
};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "eol.windows",
    title: "A machine runs a Windows that gets no updates any more",
    title_ja: "サポートが終了したWindowsが使われている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const HOSTS_MAX: usize = 16_384;
/// SYNs of that look before it is said, without any of another.
const SYNS_MIN: u64 = 2;
/// A day of this table: what had ended by then is told of older captures too.
const TABLE: Micros = 1_767_225_600_000_000; // 2026-01-01

fn attacks() -> Vec<Attack> {
    vec![attack("T1210", "Exploitation of Remote Services", Tactic::LateralMovement)]
}

/// Builds, what they are, and the last day of updates for the longest-supported edition (Microsoft's lifecycle pages).
const BUILDS: &[(u16, &str, &str)] = &[
    (2195, "Windows 2000", "2010-07-13"),
    (2600, "Windows XP", "2014-04-08"),
    (3790, "Windows Server 2003 / XP x64", "2015-07-14"),
    (6000, "Windows Vista", "2017-04-11"),
    (6001, "Windows Vista / Server 2008", "2020-01-14"),
    (6002, "Windows Vista / Server 2008", "2020-01-14"),
    (6003, "Windows Server 2008", "2020-01-14"),
    (7600, "Windows 7 / Server 2008 R2", "2020-01-14"),
    (7601, "Windows 7 / Server 2008 R2", "2020-01-14"),
    (9200, "Windows 8 / Server 2012", "2023-10-10"),
    (9600, "Windows 8.1 / Server 2012 R2", "2023-10-10"),
    (10240, "Windows 10 1507", "2025-10-14"),
    (10586, "Windows 10 1511", "2018-04-10"),
    (14393, "Windows 10 1607 / Server 2016", "2027-01-12"),
    (15063, "Windows 10 1703", "2019-10-08"),
    (16299, "Windows 10 1709 / Server 1709", "2020-10-13"),
    (17134, "Windows 10 1803 / Server 1803", "2021-05-11"),
    (17763, "Windows 10 1809 / Server 2019", "2029-01-09"),
    (18362, "Windows 10 1903 / Server 1903", "2020-12-08"),
    (18363, "Windows 10 1909 / Server 1909", "2022-05-10"),
    (19041, "Windows 10 2004", "2021-12-14"),
    (19042, "Windows 10 20H2", "2023-05-09"),
    (19043, "Windows 10 21H1", "2022-12-13"),
    (19044, "Windows 10 21H2", "2032-01-13"),
    (19045, "Windows 10 22H2", "2025-10-14"),
    (22000, "Windows 11 21H2", "2024-10-08"),
    (22621, "Windows 11 22H2", "2025-10-14"),
    (22631, "Windows 11 23H2", "2026-11-10"),
];

/// How it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Challenge,
    Smb1,
    RdpClient,
    Syn,
}

/// SYNs of machines inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Syns {
    hosts: Table<IpAddr, Looks>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Looks {
    old: Trail,
    newer: u64,
}

impl Default for Syns {
    fn default() -> Self {
        Self { hosts: Table::new(HOSTS_MAX) }
    }
}

impl Syns {
    pub(crate) fn evicted(&self) -> u64 {
        self.hosts.evicted()
    }

    /// Takes in what machines say of themselves.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        match view.sight() {
            Sight::Opened { syn: Some(family), .. } if view.client_inside => self.syn(*family, view, tell),
            Sight::Ntlm(ntlm) if ntlm.step == NtlmStep::Challenge && view.server_inside => {
                say_version(Sign::Challenge, view.server(), ntlm.version, view, tell);
            }
            Sight::Smb(SmbSight::System { side: Side::Server, version }) if view.server_inside => {
                say_version(Sign::Smb1, view.server(), Some(*version), view, tell);
            }
            Sight::Rdp(RdpSight::Build { build }) if view.client_inside => {
                if let Some(row) = u16::try_from(*build).ok().and_then(|build| ended(build, view.at())) {
                    say(Sign::RdpClient, view.client(), row, Trail::of(view.event), tell);
                }
            }
            _ => {}
        }
    }

    fn syn(&mut self, family: SynFamily, view: &View<'_>, tell: &mut Tell<'_>) {
        if family != SynFamily::Nt5 {
            if let Some(looks) = self.hosts.get_mut(&view.client()) {
                looks.newer += 1;
            }
            return;
        }
        let looks = self.hosts.slot(view.client());
        looks.old.add(view.event);
        if looks.old.count >= SYNS_MIN && looks.newer * 10 <= looks.old.count {
            let row = (0, "Windows 2000, XP or Server 2003", "2015-07-14");
            say(Sign::Syn, view.client(), row, looks.old, tell);
        }
    }
}

type Row = (u16, &'static str, &'static str);

/// The row of a build whose updates have ended.
fn ended(build: u16, at: Micros) -> Option<Row> {
    let row = BUILDS.iter().find(|row| row.0 == build)?;
    let end: jiff::civil::Date = row.2.parse().ok()?;
    let end = end.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond();
    (end < at.max(TABLE)).then_some(*row)
}

fn say_version(
    sign: Sign,
    host: IpAddr,
    version: Option<SystemVersion>,
    view: &View<'_>,
    tell: &mut Tell<'_>,
) {
    let Some(version) = version else { return };
    // Samba says 6.1 with build 0: the build alone is Microsoft's.
    let Some(row) = ended(version.build, view.at()) else { return };
    let fits = match version.build {
        ..5000 => version.major == 5,
        5000..10_000 => version.major == 6,
        _ => version.major == 10,
    };
    if fits {
        say(sign, host, row, Trail::of(view.event), tell);
    }
}

fn say(sign: Sign, host: IpAddr, row: Row, trail: Trail, tell: &mut Tell<'_>) {
    let (build, name, end) = row;
    let severity = match (sign, build) {
        (Sign::Challenge | Sign::Smb1, ..6000) => Severity::High,
        (Sign::Challenge | Sign::Smb1, 6000..10_000) => Severity::Medium,
        (Sign::Challenge | Sign::Smb1 | Sign::RdpClient, _) => Severity::Low,
        (Sign::Syn, _) => Severity::Informational,
    };
    let saying = Saying::new(&ENTRY, host, None, trail)
        .victim()
        .about(u64::from(build))
        .severity(severity)
        .class(FindingClass::Vulnerability)
        .pause(DAY)
        // Told once a day, however often it is seen.
        .size(1);
    tell.say(saying, || {
        let count = trail.count;
        let [en, ja] = match sign {
            Sign::Challenge => [
                format!("Its own NTLM challenge says build {build}: very reliable"),
                format!("機器自身のNTLMチャレンジがビルド{build}を示しています（信頼度: 高）"),
            ],
            Sign::Smb1 => [
                format!("It says so itself in SMB 1 (build {build}): reliable"),
                format!("SMB 1で自らビルド{build}と名乗っています（信頼度: 高）"),
            ],
            Sign::RdpClient => [
                format!("Its Remote Desktop client says build {build}: moderate, free clients make this up"),
                format!("リモートデスクトップのクライアントがビルド{build}を示しています（信頼度: 中。偽の値を送るソフトもあります）"),
            ],
            Sign::Syn => [
                format!("{count} connection requests look so and hardly any otherwise: low confidence, look at the machine"),
                format!("接続要求{count}件の特徴から推定しました（信頼度: 低。機器の確認が必要です）"),
            ],
        };
        Words::new(
            [
                format!("{host} runs {name}, which gets no updates any more"),
                format!("{host} はサポートが終了した {name} を使っています"),
            ],
            attacks(),
        )
        .because(en, ja)
        .because(format!("Updates ended on {end}"), format!("更新プログラムの提供終了日: {end}"))
    });
}
