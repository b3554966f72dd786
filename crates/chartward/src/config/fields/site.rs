//! The site itself: what stands at the top, console, vault, lake, viewer.

use super::{
    DAY, ENTRIES_MAX, Field, Kind, LANGUAGE, Shape, TEXT, TEXTS, bundle, default, jobs, logins, logs, mail,
    media, notify, optional, protect, recovery, required, respond, sensor, wall, watch,
};

pub(super) const ROOT: &[Field] = &[
    optional(
        "state",
        Kind::Path,
        r#""/var/lib/chartward""#,
        "Folder of the hub's own state: database, ledger, journal, lake. Default: /var/lib/chartward for root, else \
         chartward in the user's state folder.",
        "ハブ自身の状態(データベース、台帳、ジャーナル、レイク)を置くフォルダー。省略時は、root なら /var/lib/chartward、\
         それ以外は利用者の状態フォルダーの chartward です。",
    ),
    default(
        "lang",
        LANGUAGE,
        r#""ja""#,
        "Language of notices, and of the console until a user chooses another one.",
        "通知の言語。コンソールも、利用者が選び直すまではこの言語です。",
    ),
    default(
        "hospital",
        TEXT,
        r#""""#,
        "Name of the hospital, as people read it on the console and in notices.",
        "病院名。コンソールと通知に表示します。",
    ),
    optional(
        "timezone",
        Kind::Zone,
        r#""Asia/Tokyo""#,
        "Time zone of times of the day in this file. Default: the machine's.",
        "この設定に書く時刻のタイムゾーン。省略時はこの機械のものです。",
    ),
    optional(
        "console",
        Kind::Table(&Shape { fields: CONSOLE, one_of: &[] }),
        "",
        "The web console.",
        "ウェブコンソール。",
    ),
    optional(
        "vault",
        Kind::Table(&Shape { fields: VAULT, one_of: &[] }),
        "",
        "The vault that everything is backed up into. Needed as soon as something is protected.",
        "バックアップ先の保管庫。保護対象があるときは必ず書きます。",
    ),
    optional(
        "protect",
        Kind::Tables { shape: &protect::SHAPE, max: ENTRIES_MAX },
        "",
        "What is backed up and drilled.",
        "バックアップと復元訓練の対象。",
    ),
    optional(
        "media",
        Kind::Tables { shape: &media::SHAPE, max: 20 },
        "",
        "Removable media that take turns: what is out of the machine is out of an attacker's reach.",
        "交代で使う取り外し媒体。機器から取り外した媒体には、攻撃者の手が届きません。",
    ),
    optional(
        "bundle",
        Kind::Table(&bundle::SHAPE),
        "",
        "Charts on a stick, encrypted, that any browser opens; renewed after each proof. Default: none.",
        "ブラウザーで開ける、暗号化した持ち出し用カルテ。復元を実証するたびに更新します。省略時は作りません。",
    ),
    optional(
        "mail",
        Kind::Table(&mail::SHAPE),
        "",
        "The mail gateway: what becomes of phishing and of infected attachments. It runs with `mail = true` under [[watch]], or \
         by `chartward mail serve`. Default: none.",
        "メールの関所：フィッシングや危険な添付ファイルをどう扱うか。[[watch]] に mail = true と書くか、`chartward mail serve` で動かします。\
         省略時は動きません。",
    ),
    optional(
        "sensor",
        Kind::Table(&sensor::SHAPE),
        "",
        "The network sensor: what it listens at, and what the hospital says of its own network. It runs with `sensor = true` under \
         [[watch]], or by `chartward sensor`.",
        "ネットワークのセンサー：どこを見るかと、病院のネットワークについての申告。[[watch]] に sensor = true と書くか、`chartward sensor` で\
         動かします。",
    ),
    optional(
        "logins",
        Kind::Table(&logins::SHAPE),
        "",
        "Who logs in where: contractors and what was agreed with them, accounts of services, known scanners. The watcher of logs \
         judges by it.",
        "ログインについての申告：業者との取り決め、サービス用アカウント、既知の診断機器など。ログの監視が判定に使います。",
    ),
    optional(
        "logs",
        Kind::Table(&logs::SHAPE),
        "",
        "The watcher of logs: files, syslog, what collectors post, rules. It runs with `logs = true` under [[watch]], or by \
         `chartward logs`.",
        "ログの監視：ファイル、syslog、収集プログラムからの受け口、ルール。[[watch]] に logs = true と書くか、`chartward logs` で動かします。",
    ),
    optional(
        "watch",
        Kind::Tables { shape: &watch::SHAPE, max: ENTRIES_MAX },
        "",
        "Watchers: programs whose findings the hub takes in.",
        "監視プログラム。検知結果をハブが受け取ります。",
    ),
    optional(
        "playbook",
        Kind::Tables { shape: &respond::PLAYBOOK, max: ENTRIES_MAX },
        "",
        "Which findings cause which acts. An act also has to be armed on the console for each class of watcher; until \
         then it is only noted.",
        "どの検知でどの対処を行うか。対処は、さらにコンソールで監視の種類ごとに有効にするまで、記録されるだけで実行されません。",
    ),
    optional(
        "never_touch",
        Kind::Table(&respond::NEVER_TOUCH),
        "",
        "What no act ever touches, whoever asks for it.",
        "誰が求めても、決して対処の対象にしないもの。",
    ),
    optional(
        "wall",
        Kind::Table(&wall::WALL),
        "",
        "The packet filter (nftables).",
        "パケットフィルター(nftables)。",
    ),
    optional(
        "notify",
        Kind::Tables { shape: &notify::SHAPE, max: ENTRIES_MAX },
        "",
        "Channels through which people are told.",
        "人に知らせる手段。",
    ),
    optional(
        "lake",
        Kind::Table(&Shape { fields: LAKE, one_of: &[] }),
        "",
        "The lake: findings, flows and logins as Parquet files.",
        "レイク。検知、通信、ログインを Parquet ファイルで保存します。",
    ),
    optional(
        "schedule",
        Kind::Table(&jobs::SCHEDULE),
        "",
        "Jobs that belong to no single thing that is protected.",
        "個々の保護対象に属さない定期作業。",
    ),
    optional(
        "recovery",
        Kind::Tables { shape: &recovery::SHAPE, max: ENTRIES_MAX },
        "",
        "The recovery plan: what is started again after a loss, and in which order. It is sealed with every snapshot, and \
         `recovery-sheet` prints it from the vault.",
        "復旧計画:被害の後に起動するものとその順序。各スナップショットに封入され、`recovery-sheet` が保管庫から印刷します。",
    ),
    optional(
        "retention",
        Kind::Table(&jobs::RETENTION),
        "",
        "What is kept how long. Default: nothing is ever forgotten. An empty [retention] forgets by the defaults below. What is \
         kept for any reason is kept; nothing is forgotten or removed while an incident holds the vault.",
        "保存期間。省略時は何も削除しません。[retention] とだけ書けば、下の既定値で整理します。どれか1つの条件に当てはまるものは残ります。\
         インシデント対応で保管庫を固定している間は、整理も削除も行いません。",
    ),
    optional(
        "viewer",
        Kind::Table(&Shape { fields: VIEWER, one_of: &[] }),
        "",
        "The downtime viewer: charts read-only while the record system is down.",
        "停止時ビューアー。電子カルテが使えない間、カルテを閲覧専用で見せます。",
    ),
];

const CONSOLE: &[Field] = &[
    default(
        "listen",
        Kind::Listen,
        r#""127.0.0.1:8443""#,
        "Address and port.",
        "待ち受けるアドレスとポート。",
    ),
    default(
        "names",
        TEXTS,
        "[]",
        "Names and addresses under which browsers reach it; the certificate that is made carries them.",
        "ブラウザーから見た名前やアドレス。作成する証明書に入ります。",
    ),
    optional(
        "certificate",
        Kind::Path,
        r#""/etc/chartward/console.pem""#,
        "A certificate of your own, PEM. Default: one is made.",
        "病院で用意した証明書(PEM)。省略時は作成します。",
    ),
    optional(
        "key",
        Kind::Path,
        r#""/etc/chartward/console.key""#,
        "The key of that certificate, PEM, readable by its owner only.",
        "その証明書の鍵(PEM)。所有者だけが読めるファイルにします。",
    ),
    default(
        "tls",
        Kind::Bool,
        "true",
        "Whether it speaks TLS. Without it only addresses of this machine itself (loopback) are allowed.",
        "TLS を使うか。使わない場合は、この機械自身のアドレス(ループバック)でだけ待ち受けできます。",
    ),
];

const VAULT: &[Field] = &[
    required(
        "dir",
        Kind::Vault,
        r#""/mnt/vault""#,
        "Folder of the vault, or rest:https://HOST:PORT/NAME/ for a vault host.",
        "保管庫のフォルダー。保管庫ホストなら rest:https://ホスト:ポート/名前/。",
    ),
    optional(
        "key_file",
        Kind::Path,
        r#""/etc/chartward/vault.key""#,
        "File with the key for a vault host, readable by its owner only.",
        "保管庫ホストの鍵のファイル。所有者だけが読めるファイルにします。",
    ),
    optional(
        "fingerprint",
        Kind::Fingerprint,
        r#""5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f5a0f""#,
        "SHA-256 of the vault host's certificate, as `vault serve` prints it.",
        "保管庫ホストの証明書の SHA-256。`vault serve` が表示します。",
    ),
    optional(
        "ca",
        Kind::Path,
        r#""/etc/chartward/vault.pem""#,
        "PEM file of the vault host's certificate or its authority, instead of the fingerprint.",
        "fingerprint の代わりに使う、保管庫ホストの証明書または認証局の PEM ファイル。",
    ),
    required(
        "passphrase",
        Kind::Secret,
        r#"{ secret = "vault" }"#,
        "Where its passphrase is.",
        "パスフレーズの置き場所。",
    ),
    default(
        "lock_lead",
        Kind::Period { min: 0, max: 366 * DAY },
        r#""3d""#,
        "How long before a vault host stops protecting a snapshot that is still needed (the generations, the newest proven one) it \
         is an alarm.",
        "まだ必要なスナップショット(世代と、最後に実証されたもの)の書込保護が切れる、どれだけ前に警報とするか。保管庫ホストを使う場合です。",
    ),
    optional(
        "address",
        Kind::Address,
        r#""192.0.2.20""#,
        "Address of the machine that holds it: an isolated host still reaches it. Not needed where it is a disk of this \
         machine.",
        "保管庫のある機械のアドレス。隔離した機械からも届くようにします。この機械のディスクなら不要です。",
    ),
];

const LAKE: &[Field] = &[
    optional(
        "dir",
        Kind::Path,
        r#""/var/lib/chartward/lake""#,
        "Its folder. Default: `lake` in the state folder.",
        "フォルダー。省略時は状態フォルダーの lake です。",
    ),
    default(
        "retention_days",
        Kind::Integer { min: 1, max: 3_650 },
        "400",
        "Days after which a partition is removed.",
        "保存日数。過ぎたものは削除します。",
    ),
    default(
        "region",
        Kind::Name,
        r#""local""#,
        "Name of the region in the partitions (Amazon Security Lake).",
        "パーティションの region 名(Amazon Security Lake の形式)。",
    ),
    default(
        "account",
        Kind::Name,
        r#""chartward""#,
        "Name of the account in the partitions.",
        "パーティションの accountId 名。",
    ),
];

const VIEWER: &[Field] = &[default(
    "listen",
    Kind::Listen,
    r#""127.0.0.1:8444""#,
    "Address and port.",
    "待ち受けるアドレスとポート。",
)];
