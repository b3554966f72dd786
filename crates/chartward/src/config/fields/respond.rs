//! What is done about findings, and what never is.

use super::{
    DAY, ENTRIES_MAX, Field, Kind, MINUTE, NAMES, SEVERITY, Shape, TEXTS, default, optional, required,
};

pub(super) static PLAYBOOK: Shape = Shape { fields: FIELDS, one_of: &[] };

const FIELDS: &[Field] = &[
    required("name", Kind::Name, r#""ransomware""#, "Its name.", "名前。"),
    required(
        "watchers",
        Kind::List {
            of: &Kind::OneOf(&["guard", "share", "sensor", "logs", "mail", "external"]),
            min: 1,
            max: 6,
        },
        r#"["guard"]"#,
        "Classes of watchers whose findings count.",
        "対象とする監視の種類。",
    ),
    default(
        "detectors",
        Kind::List { of: &Kind::Glob, min: 1, max: ENTRIES_MAX },
        r#"["*"]"#,
        "Detectors whose findings count; `*` stands for anything, as in \"encryption.*\".",
        "対象とする検知器。\"encryption.*\" のように * が使えます。",
    ),
    default(
        "severity_min",
        SEVERITY,
        r#""high""#,
        "The least severity that counts.",
        "対象とする最小の重大度。",
    ),
    required(
        "acts",
        Kind::List { of: &Kind::Act, min: 1, max: 8 },
        r#"["snapshot_now", "lock_vault", "isolate_host"]"#,
        "What is done, in this order: names, or tables such as { act = \"isolate_host\", of = \"target\" } for the host that \
         suffers instead of the one that attacks, or { act = \"snapshot_now\", protect = \"emr\" } for one thing that is protected.",
        "行う対処。この順に行います。名前のほか、攻撃した側でなく被害側の機械を隔離する { act = \"isolate_host\", of = \"target\" } や、\
         1つの保護対象だけの { act = \"snapshot_now\", protect = \"emr\" } のような表も書けます。",
    ),
    default(
        "approval",
        Kind::OneOf(&["none", "person"]),
        r#""person""#,
        "Who must agree first: a person, or nobody once the act is armed.",
        "事前の承認。person は人が承認し、none は対処が有効なら承認なしで行います。",
    ),
    default(
        "deadline",
        Kind::Period { min: 10, max: 7 * DAY },
        r#""10m""#,
        "How long a plan waits for approval; later it may no longer be carried out.",
        "承認を待つ時間。過ぎたら実行できなくなります。",
    ),
    default(
        "lasts",
        Kind::Period { min: MINUTE, max: 30 * DAY },
        r#""4h""#,
        "How long an act holds before it is taken back by itself.",
        "対処の続く時間。過ぎたら自動で元に戻します。",
    ),
    default(
        "channels",
        NAMES,
        "[]",
        "Who is told by the act `notify`: names of `[[notify]]`.",
        "対処 notify で知らせる先。[[notify]] の名前を書きます。",
    ),
];

pub(super) static NEVER_TOUCH: Shape = Shape {
    fields: &[
        default(
            "addresses",
            Kind::List { of: &Kind::Network, min: 0, max: 10_000 },
            "[]",
            "Addresses and networks that are never blocked or isolated.",
            "遮断も隔離もしないアドレスとネットワーク。",
        ),
        default(
            "servers",
            Kind::List { of: &Kind::Address, min: 0, max: ENTRIES_MAX },
            "[]",
            "Addresses that `block_address` never holds, although they may be isolated: domain controllers, name servers, gateways. \
             This machine, its gateway and name servers, and the `address` of each `[[protect]]` belong to them anyway.",
            "block_address で遮断しないアドレス(隔離はできます)。ドメインコントローラー、DNS サーバー、ゲートウェイなどを書きます。\
             この機器自身、そのゲートウェイと DNS サーバー、[[protect]] の address は書かなくても含まれます。",
        ),
        default(
            "hosts",
            TEXTS,
            "[]",
            "Hosts that are never isolated, as `host` of `[[protect]]` and findings name them.",
            "隔離しない機械。[[protect]] の host や検知結果に出る名前で書きます。",
        ),
        default(
            "commands",
            TEXTS,
            "[]",
            "Commands whose processes are never frozen, by their name in /proc/PID/comm.",
            "停止させないコマンド。/proc/PID/comm の名前で書きます。",
        ),
        default(
            "cgroups",
            TEXTS,
            "[]",
            "Control groups that are never frozen, such as \"/system.slice/ventilator.service\".",
            "停止させないコントロールグループ。例: \"/system.slice/ventilator.service\"",
        ),
    ],
    one_of: &[],
};

/// An act written as a table.
pub(crate) static ACT: Shape = Shape {
    fields: &[
        required("act", Kind::OneOf(super::ACTS), r#""isolate_host""#, "Its name.", "名前。"),
        optional(
            "of",
            Kind::OneOf(&["actor", "target"]),
            r#""target""#,
            "For isolate_host: whose host. Default: actor.",
            "isolate_host の対象となる機械。省略時は actor です。",
        ),
        optional(
            "protect",
            Kind::Name,
            r#""emr""#,
            "For snapshot_now: what is protected. Default: all of it.",
            "snapshot_now の保護対象。省略時はすべてです。",
        ),
    ],
    one_of: &[],
};
