//! The wall: zones, services, and who reaches whom.

use super::{COMMAND, ENTRIES_MAX, Kind, NAMES, Shape, TEXT, TEXTS, default, optional, required};

const NETWORKS: Kind = Kind::List { of: &Kind::Network, min: 0, max: ENTRIES_MAX };
const PORTS: Kind = Kind::List { of: &Kind::Text { max: 11 }, min: 0, max: ENTRIES_MAX };
const ACTION: Kind = Kind::OneOf(&["allow", "refuse", "watch"]);

pub(super) static WALL: Shape = Shape {
    fields: &[
        default(
            "command",
            COMMAND,
            r#"["nft"]"#,
            "The program that takes nftables commands on its standard input, with arguments; one that reaches the \
             hospital's gateway is possible.",
            "nftables の命令を標準入力で受け取るプログラムと引数。病院のゲートウェイにつなぐものにもできます。",
        ),
        default(
            "reachable",
            Kind::List { of: &Kind::Address, min: 0, max: ENTRIES_MAX },
            "[]",
            "Addresses that an isolated host still reaches, besides the vault and the console.",
            "隔離した機械から、保管庫とコンソールのほかに届くアドレス。",
        ),
        default(
            "look_every",
            Kind::Period { min: 1, max: 3_600 },
            r#""1m""#,
            "How often the hub looks whether what it put in force still is. What somebody took out is put back and told.",
            "有効にした遮断や隔離が残っているかを確かめる間隔。外されていれば元に戻し、知らせます。",
        ),
        default(
            "mode",
            Kind::OneOf(&["router", "bridge"]),
            r#""router""#,
            "Whether the machine forwards between networks, or stands within one network.",
            "ネットワークの間に立つルーターか、1つのネットワークの中に立つブリッジか。",
        ),
        default(
            "default",
            ACTION,
            r#""watch""#,
            "What becomes of connections that no rule allows and whose pair of zones is not named: refused, let through, or \
             let through and counted.",
            "どの規則にも当てはまらず、[[wall.pair]] にもない接続の扱い。refuse は拒否、allow は許可、watch は通して記録します。",
        ),
        default(
            "ssh_ports",
            Kind::List { of: &Kind::Integer { min: 1, max: 65_535 }, min: 0, max: 20 },
            "[22]",
            "Ports of this machine whose sessions must stay allowed: an apply that would cut one off is refused.",
            "この機器で保守に使うポート。ここへの接続を断つ変更は受け付けません。",
        ),
        optional(
            "zone",
            Kind::Tables { shape: &ZONE, max: 40 },
            "",
            "Parts of the network. What lies in none of them is the zone \"outside\"; the machine itself is \"self\".",
            "ネットワークの区画(ゾーン)。どれにも入らないものは \"outside\"、この機器自身は \"self\" です。",
        ),
        optional(
            "service",
            Kind::Tables { shape: &SERVICE, max: ENTRIES_MAX },
            "",
            "Names for ports, besides the usual ones (ssh, dns, dhcp, http, https, kerberos, dicom, ntp, rpc, netbios, ldap, smb, \
             syslog, mllp, mysql, rdp, postgres, vnc, http-alt, console, smtp, telnet, ping).",
            "ポートの名前。よく使う名前(ssh、dns、dhcp、http、https、kerberos、dicom、ntp、rpc、netbios、ldap、smb、syslog、mllp、mysql、rdp、\
             postgres、vnc、http-alt、console、smtp、telnet、ping)は書かなくても使えます。",
        ),
        optional(
            "allow",
            Kind::Tables { shape: &ALLOW, max: ENTRIES_MAX },
            "",
            "What may pass.",
            "通してよい接続。",
        ),
        optional(
            "pair",
            Kind::Tables { shape: &PAIR, max: ENTRIES_MAX },
            "",
            "What becomes of all the rest between two zones.",
            "2つのゾーンの間で、その他の接続をどう扱うか。",
        ),
        optional(
            "limit",
            Kind::Tables { shape: &LIMIT, max: ENTRIES_MAX },
            "",
            "How often each source may begin a connection.",
            "送信元ごとの新規接続の上限。",
        ),
    ],
    one_of: &[],
};

static ZONE: Shape = Shape {
    fields: &[
        required("name", Kind::Name, r#""emr""#, "Its name in rules.", "規則で使う名前。"),
        default(
            "networks",
            NETWORKS,
            "[]",
            "Its networks, IPv4 and IPv6. None: every address behind its interfaces.",
            "この区画のネットワーク(IPv4、IPv6)。省略すると、interfaces の先にあるすべてのアドレスです。",
        ),
        default(
            "interfaces",
            TEXTS,
            "[]",
            "Its interfaces. With networks, both must fit, so that a forged address is of no use.",
            "この区画のインターフェース。networks と両方を書くと、両方に合うものだけが対象となり、送信元の偽装を防げます。",
        ),
        default(
            "egress",
            Kind::OneOf(&["open", "listed"]),
            r#""open""#,
            "With \"listed\" its hosts reach outside only hosts that rules name by their addresses.",
            "\"listed\" にすると、外部へは規則にアドレスを書いた相手だけに接続できます。",
        ),
        default(
            "quarantine",
            Kind::Bool,
            "false",
            "Its hosts reach the vault, the console and the `reachable` hosts, and nobody else.",
            "true にすると、保管庫、コンソール、reachable の機器だけに接続できる隔離区画になります。",
        ),
    ],
    one_of: &[],
};

static SERVICE: Shape = Shape {
    fields: &[
        required("name", Kind::Name, r#""vendor-ris""#, "Its name in rules.", "規則で使う名前。"),
        optional("tcp", PORTS, r#"["5000-5010"]"#, "TCP ports and ranges.", "TCP のポートと範囲。"),
        optional("udp", PORTS, r#"["5000"]"#, "UDP ports and ranges.", "UDP のポートと範囲。"),
        default("ping", Kind::Bool, "false", "Echo requests as well.", "ping(エコー要求)も含めます。"),
    ],
    one_of: &[],
};

static ALLOW: Shape = Shape {
    fields: &[
        optional(
            "from",
            NAMES,
            r#"["clinic"]"#,
            "Zones that begin the connection.",
            "接続を始める側のゾーン。",
        ),
        default(
            "from_hosts",
            NETWORKS,
            "[]",
            "Only these hosts and networks of them; without zones, wherever they are.",
            "そのうち対象とする機器やネットワーク。from を省略すると、ゾーンを問いません。",
        ),
        optional(
            "to",
            NAMES,
            r#"["emr"]"#,
            "Zones that take it; \"self\" is this machine.",
            "接続を受ける側のゾーン。\"self\" はこの機器。",
        ),
        default(
            "to_hosts",
            NETWORKS,
            "[]",
            "Only these hosts and networks of them; without zones, wherever they are.",
            "そのうち対象とする機器やネットワーク。to を省略すると、ゾーンを問いません。",
        ),
        default(
            "services",
            NAMES,
            "[]",
            "Names of services; none: everything.",
            "サービスの名前。省略するとすべて。",
        ),
        optional(
            "hours",
            Kind::Text { max: 200 },
            r#""Mon-Fri 08:00-18:00, Sat 08:00-13:00""#,
            "When it may begin, in the time zone of the configuration. Default: always.",
            "接続を始めてよい曜日と時刻(設定の時間帯)。省略時はいつでも。",
        ),
        default(
            "because",
            TEXT,
            r#""""#,
            "Why, for whoever reads it in five years.",
            "理由。数年後に読む人のために書きます。",
        ),
    ],
    one_of: &[],
};

static PAIR: Shape = Shape {
    fields: &[
        required("from", Kind::Name, r#""clinic""#, "A zone.", "ゾーン。"),
        required("to", Kind::Name, r#""emr""#, "A zone, or \"self\".", "ゾーンまたは \"self\"。"),
        required("action", ACTION, r#""refuse""#, "What becomes of it.", "扱い。"),
    ],
    one_of: &[],
};

static LIMIT: Shape = Shape {
    fields: &[
        required("from", NAMES, r#"["outside"]"#, "Zones of the sources.", "送信元のゾーン。"),
        required("services", NAMES, r#"["ssh", "rdp"]"#, "Names of services.", "サービスの名前。"),
        required(
            "rate",
            Kind::Text { max: 30 },
            r#""10/minute""#,
            "New connections of each source in a second, a minute or an hour.",
            "送信元ごとの新規接続数。second、minute、hour のいずれかで書きます。",
        ),
        required(
            "burst",
            Kind::Integer { min: 1, max: 10_000 },
            "5",
            "How many at once before the rate counts.",
            "一度に許す数。これを超えると rate までに抑えます。",
        ),
    ],
    one_of: &[],
};
