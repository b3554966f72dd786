//! Who logs in where.

use super::{DAY, ENTRIES_MAX, Field, Kind, SOME_TEXTS, Shape, TEXT, TEXTS, default, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const NETWORKS: Kind = Kind::List { of: &Kind::Network, min: 0, max: ENTRIES_MAX };
const CONTRACTORS_MAX: usize = 100;
const DAYS: Kind =
    Kind::List { of: &Kind::OneOf(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min: 0, max: 7 };
const NUMBER: Kind = Kind::Integer { min: 2, max: 10_000 };

const FIELDS: &[Field] = &[
    default(
        "internal",
        NETWORKS,
        "[]",
        "The hospital's own networks, its public addresses too. When it is empty: the private ones. Being inside exempts nobody.",
        "病院のネットワーク（病院のグローバルアドレスも含めます）。空の場合はプライベートアドレスとします。院内であっても検知の対象です。",
    ),
    default(
        "known_scanners",
        NETWORKS,
        "[]",
        "Vulnerability scanners and monitoring: their failures are no guesses.",
        "脆弱性診断や稼働監視の機械。これらの失敗は推測攻撃とみなしません。",
    ),
    default(
        "scanner_accounts",
        TEXTS,
        "[]",
        "Accounts with which they log in; `*` stands for any letters. When it is empty: any.",
        "それらの機械が使うアカウント（`*` は任意の文字列）。空の場合はすべてです。",
    ),
    default(
        "service_accounts",
        TEXTS,
        "[]",
        "Accounts of services, such as `svc-*`: no person should use them at a screen.",
        "サービス用のアカウント（`svc-*` など）。人が画面から使うと知らせます。",
    ),
    default(
        "privileged",
        TEXTS,
        r#"["administrator", "root", "admin"]"#,
        "Accounts that may do everything; `*` stands for any letters.",
        "管理者の権限を持つアカウント（`*` は任意の文字列）。",
    ),
    default(
        "contractor",
        Kind::Tables { shape: &CONTRACTOR, max: CONTRACTORS_MAX },
        "[]",
        "What was agreed with a contractor who logs in. Nothing about it is learnt: every deviation is told.",
        "ログインする業者との取り決め。学習はせず、取り決めから外れたログインをすべて知らせます。",
    ),
    default(
        "exempt",
        Kind::Tables { shape: &EXEMPT, max: CONTRACTORS_MAX },
        "[]",
        "About whom a detector stays silent.",
        "特定の検知を知らせない相手。",
    ),
    default(
        "learn_for",
        Kind::Period { min: 0, max: 90 * DAY },
        r#""14d""#,
        "For so long after the first event it learns which account, source and machine belong together, and tells of no first-seen \
         ones. The console's page for logons shows what was learnt, and forgets it.",
        "最初の記録からこの期間は、アカウント・接続元・機械の組み合わせを学習し、初めての組を知らせません。学習内容は管理画面の\
         「ログイン」で確認・取り消しができます。",
    ),
    optional(
        "thresholds",
        Kind::Table(&THRESHOLDS),
        "",
        "Numbers that decide. docs/logins.md says where they come from.",
        "判定に使う数。根拠は docs/logins.ja.md にあります。",
    ),
];

static CONTRACTOR: Shape = Shape {
    fields: &[
        required("name", Kind::Name, r#""vendor-a""#, "Its name.", "名前。"),
        required(
            "accounts",
            SOME_TEXTS,
            r#"["vendor-a-*"]"#,
            "The accounts made for it; `*` stands for any letters.",
            "その業者のアカウント（`*` は任意の文字列）。",
        ),
        default(
            "sources",
            NETWORKS,
            "[]",
            "Where it comes from: its own addresses, or those that the VPN gives it. No other account may come from there. When it is \
             empty: anywhere.",
            "接続元のアドレス（業者のアドレス、または VPN で割り当てるアドレス）。ここから他のアカウントが使われても知らせます。空の場合は問いません。",
        ),
        default(
            "workstations",
            TEXTS,
            "[]",
            "Names of its machines, for logs that tell no address.",
            "業者の端末の名前（アドレスの記録がないログのため）。",
        ),
        default(
            "hosts",
            TEXTS,
            "[]",
            "The machines where it may log in, by name or address; `*` stands for any letters. When it is empty: any.",
            "ログインしてよい機械の名前またはアドレス（`*` は任意の文字列）。空の場合はすべてです。",
        ),
        default("days", DAYS, "[]", "Days of the week. When it is empty: any.", "曜日。空の場合は毎日です。"),
        optional(
            "hours",
            Kind::Text { max: 11 },
            r#""09:00-17:30""#,
            "Hours of the day, in the time zone of this file; past midnight where the second is before the first. Default: any.",
            "時間帯（この設定のタイムゾーン）。後の時刻が前より早ければ、翌日までとします。省略時は終日です。",
        ),
        default(
            "only_when_granted",
            Kind::Bool,
            "false",
            "It may log in only while `chartward access grant` opens its time; days and hours then say nothing.",
            "`chartward access grant` で許可した間だけログインを認めます（曜日と時間帯は使いません）。",
        ),
    ],
    one_of: &[],
};

static EXEMPT: Shape = Shape {
    fields: &[
        required(
            "detector",
            TEXT,
            r#""lateral.login_hours""#,
            "A detector's id, or a family such as `bruteforce`. Sigma rules go on speaking; a Sigma filter keeps them quiet.",
            "検知の名前、または `bruteforce` のような分類。Sigmaルールには効きません（Sigmaフィルターで除外します）。",
        ),
        optional(
            "account",
            TEXT,
            r#""oncall-*""#,
            "With this account. Default: any.",
            "アカウント。省略時はすべて。",
        ),
        optional(
            "source",
            Kind::Network,
            r#""192.0.2.40""#,
            "From there. Default: anywhere.",
            "接続元。省略時はすべて。",
        ),
        optional("host", TEXT, r#""files01""#, "At this machine. Default: any.", "機械。省略時はすべて。"),
    ],
    one_of: &[],
};

static THRESHOLDS: Shape = Shape {
    fields: &[
        default(
            "guesses",
            NUMBER,
            "10",
            "Failures from one source, or with one account, in ten minutes.",
            "10分間の失敗の数（1つの接続元、または1つのアカウント）。",
        ),
        default(
            "host_guesses",
            NUMBER,
            "30",
            "Failures at one machine in ten minutes, over all sources.",
            "10分間の失敗の数（1台の機械、全接続元の合計）。",
        ),
        default(
            "spray_accounts",
            NUMBER,
            "8",
            "Accounts that one source fails with in half an hour.",
            "30分間に1つの接続元が失敗したアカウントの数。",
        ),
        default(
            "hosts",
            NUMBER,
            "8",
            "Machines that one source fails or knocks at in ten minutes.",
            "10分間に1つの接続元が失敗または接続した機械の数。",
        ),
        default(
            "many_sources",
            NUMBER,
            "10",
            "Sources that only ever fail at one machine within a week.",
            "1週間に1台の機械で失敗だけを続けた接続元の数。",
        ),
        default("many_failures", NUMBER, "20", "Failures of those sources together.", "それらの失敗の合計。"),
        default(
            "before_success",
            NUMBER,
            "8",
            "Failures before a success that make it suspicious.",
            "成功の前にこの回数失敗していれば知らせます。",
        ),
    ],
    one_of: &[],
};
