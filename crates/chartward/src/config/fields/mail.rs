//! The mail gateway.

use super::{DAY, ENTRIES_MAX, Field, Kind, SOME_TEXTS, Shape, TEXT, TEXTS, default, optional};
use crate::wiring::mail::policy::Action;

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const ACTION: Kind = Kind::OneOf(&Action::NAMES);
const NETWORKS: Kind = Kind::List { of: &Kind::Network, min: 0, max: ENTRIES_MAX };

const FIELDS: &[Field] = &[
    default(
        "listen",
        TEXT,
        r#""inet:8891@127.0.0.1""#,
        "Where the mail server (Postfix) finds it: `inet:PORT@127.0.0.1` or `unix:/PATH`. Only this machine can reach it.",
        "メールサーバー（Postfix）からの接続先。`inet:ポート@127.0.0.1` か `unix:/パス`。同じ機械からだけ接続できます。",
    ),
    default(
        "phishing",
        ACTION,
        r#""watch""#,
        "What becomes of mail that poses as somebody else: `watch` only tells, `tag` delivers it with a mark, `quarantine` holds it \
         back, `reject` refuses it.",
        "なりすましメールの扱い。`watch` は記録だけ、`tag` は印を付けて配送、`quarantine` は隔離、`reject` は受け取り拒否です。",
    ),
    default(
        "malicious",
        ACTION,
        r#""watch""#,
        "What becomes of mail that carries what runs or infects.",
        "実行・感染のおそれがあるファイルが付いたメールの扱い。",
    ),
    default(
        "suspicious",
        ACTION,
        r#""watch""#,
        "What becomes of mail that should be looked at twice.",
        "注意して確認すべきメールの扱い。",
    ),
    default(
        "unreadable",
        ACTION,
        r#""watch""#,
        "What becomes of mail that is broken beyond reading.",
        "壊れていて検査できないメールの扱い。",
    ),
    default(
        "on_failure",
        Kind::OneOf(&["accept", "tempfail"]),
        r#""accept""#,
        "What becomes of mail when something fails here: it goes on (`accept`), or its sender is asked to try later (`tempfail`). \
         Postfix has its own word for a gateway that is down: milter_default_action.",
        "検査そのものが失敗したときの扱い。`accept` は配送、`tempfail` は送信側に再送を求めます。関所が停止しているときの扱いは、\
         Postfix の milter_default_action で決めます。",
    ),
    default(
        "dns",
        TEXT,
        r#""system""#,
        "Who is asked about senders (SPF, DKIM, DMARC, ARC): `system`, the address of a name server, or `off`.",
        "送信元の確認（SPF・DKIM・DMARC・ARC）で問い合わせる先。`system`、ネームサーバーのアドレス、または `off`。",
    ),
    default(
        "relays",
        NETWORKS,
        "[]",
        "Machines that pass on others' mail, such as a gateway in front of this one: their address says nothing about the sender.",
        "ほかのメールを中継する機械（手前のゲートウェイなど）。そのアドレスは送信元の確認に使いません。",
    ),
    default(
        "trust_authserv_ids",
        TEXTS,
        "[]",
        "Servers whose Authentication-Results are believed for mail that a relay passed on, by the name that they sign with.",
        "中継されたメールについて、Authentication-Results を信用するサーバー（サーバー自身が書く名前で指定）。",
    ),
    optional(
        "brands",
        Kind::Path,
        r#""/etc/chartward/brands.toml""#,
        "Further names to protect: the hospital itself, its vendors. Written like the list that comes with the program.",
        "保護する名前の追加（病院自身や取引先）。付属の一覧と同じ書き方です。",
    ),
    optional(
        "weighing",
        Kind::Path,
        r#""/etc/chartward/mail-policy.toml""#,
        "Reasons to raise, lower or silence, and senders to allow: the file that `chartward mail policy` and the console change (see \
         docs/mail.md). Default: mail/policy.toml in the state folder.",
        "判定理由の重みの増減・停止と、許可する送信元。`chartward mail policy` とコンソールが変更するファイルです（docs/mail.ja.md を参照）。省略時は\
         状態フォルダーの mail/policy.toml。",
    ),
    optional(
        "clamd",
        TEXT,
        r#""/run/clamav/clamd.ctl""#,
        "Where ClamAV's clamd answers: its socket's path, or an address of this machine with its port. Not asked when it is absent.",
        "ClamAV の clamd の接続先（ソケットのパス、またはこの機械のアドレスとポート）。省略すると問い合わせません。",
    ),
    default(
        "quarantine_keep",
        Kind::Period { min: DAY, max: 366 * DAY },
        r#""30d""#,
        "How long mail is held in quarantine.",
        "隔離したメールの保管期間。",
    ),
    default(
        "quarantine_max",
        Kind::Size { min: 1 << 20, max: 1 << 44 },
        r#""2 GiB""#,
        "The most that it takes: then the oldest goes, but none of the last day; if that is not enough, senders are asked to try later.",
        "隔離に使う容量の上限。超えると古いものから消えますが、1日以内のものは消さず、入りきらなければ送信側に再送を求めます。",
    ),
    default(
        "release_to",
        TEXT,
        r#""127.0.0.1:25""#,
        "The mail server that takes released mail: `ADDRESS:PORT`, or the path of a sendmail program.",
        "隔離から解放したメールを渡すメールサーバー。`アドレス:ポート` か、sendmail プログラムのパス。",
    ),
    default(
        "banner",
        Kind::Bool,
        "false",
        "Whether tagged mail gets a warning at its top.",
        "印を付けて配送するメールの本文の先頭に、警告文を入れるか。",
    ),
    default(
        "subject_prefix",
        TEXT,
        r#""""#,
        "Stands before the subject of tagged mail.",
        "印を付けて配送するメールの件名の前に付ける文字。",
    ),
    default(
        "contact",
        TEXT,
        r#""""#,
        "Whom a sender may call whose mail is rejected, and the staff after `mail notice`. In ASCII, as mail servers understand nothing \
         else.",
        "受け取りを拒否された送信者と、お知らせ（mail notice）を読む職員のための連絡先。英数字で書きます（メールサーバー間では英数字しか\
         伝わりません）。",
    ),
    optional(
        "departments",
        Kind::Named { of: &SOME_TEXTS, max: ENTRIES_MAX },
        r#"{ "内科" = ["naika@hospital.example", "naika-*"], "検査科" = ["@lab.hospital.example"] }"#,
        "Who belongs to which department, for the counts of the training notice: an address, `@DOMAIN`, or the beginning of addresses \
         with `*`. The closest one counts. Default: all count together.",
        "職員向けのお知らせで件数を数える部署と、その宛先。アドレス、`@ドメイン`、または `*` で終わるアドレスの先頭を書きます。最も詳しく一致する\
         部署に数えます。省略時は全体でまとめて数えます。",
    ),
    default(
        "message_max",
        Kind::Size { min: 1 << 20, max: 1 << 30 },
        r#""64 MiB""#,
        "The longest mail that is examined. Not below Postfix's message_size_limit.",
        "検査するメールの長さの上限。Postfix の message_size_limit より小さくしないでください。",
    ),
];
