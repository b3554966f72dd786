//! What the observation network reports: values that the judge computes and others print.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Micros, SynFamily, SystemVersion, Transport};

/// What a packet that reached an unused address was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// It asks: a SYN, a datagram, an echo request.
    Scan,
    /// It answers what nobody here asked: somebody else is attacked with forged sources.
    Backscatter,
    /// Neither: ACK, FIN, NULL and the like.
    Other,
}

/// A calendar quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quarter {
    /// The year.
    pub year: i16,
    /// 1 to 4.
    pub quarter: i8,
}

impl Quarter {
    /// Reads `2018Q3`.
    pub fn parse(text: &str) -> Option<Quarter> {
        let (year, quarter) = text.split_once(['Q', 'q'])?;
        let it = Quarter { year: year.parse().ok()?, quarter: quarter.parse().ok()? };
        ((1970..=9000).contains(&it.year) && (1..=4).contains(&it.quarter)).then_some(it)
    }

    /// The one before.
    #[must_use]
    pub fn before(self) -> Quarter {
        match self.quarter {
            1 => Quarter { year: self.year - 1, quarter: 4 },
            _ => Quarter { quarter: self.quarter - 1, ..self },
        }
    }

    /// Its first day, and the first day after it.
    pub fn days(self) -> (Date, Date) {
        let first = |it: Quarter| jiff::civil::date(it.year, it.quarter * 3 - 2, 1);
        let next = match self.quarter {
            4 => Quarter { year: self.year + 1, quarter: 1 },
            _ => Quarter { quarter: self.quarter + 1, ..self },
        };
        (first(self), first(next))
    }
}

impl std::fmt::Display for Quarter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}Q{}", self.year, self.quarter)
    }
}

/// A share with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many of them.
    pub count: u64,
    /// Of how many.
    pub n: u64,
    /// Their quotient, 0 to 1.
    pub share: f64,
    /// Lower end of the 95 % interval (Wilson 1927; with the sketches' error where counts are estimates).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A destination: a port of TCP or UDP, a type of ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The port.
    pub port: u16,
    /// What carries it.
    pub transport: Transport,
}

/// A line of the table of ports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortRow {
    /// From 1, by packets.
    pub rank: u32,
    /// In the quarter before; `None` when nothing was seen of it, or nothing was observed then.
    pub previous_rank: Option<u32>,
    /// What was reached for.
    pub target: Target,
    /// Packets.
    pub packets: u64,
    /// Of all scanning packets to ports.
    pub packet_share: f64,
    /// Packets in the quarter before.
    pub previous_packets: u64,
    /// Different sources.
    pub sources: u64,
    /// Different addresses of ours that were reached for.
    pub destinations: u64,
    /// Sources by what their SYN looks like, the largest first. A source that showed several counts in each.
    pub systems: Vec<SystemShare>,
    /// Sources whose system the responder heard, by version.
    pub confirmed: Vec<ConfirmedShare>,
    /// Packets of each hour from the quarter's beginning; `None` where nothing was observed.
    pub hourly: Vec<Option<u64>>,
    /// Different sources of each hour.
    pub hourly_sources: Vec<Option<u64>>,
    /// The largest value of the DShield trend figure, and the day.
    pub trend: Option<Trend>,
}

/// Sources of one family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SystemShare {
    /// The family that the SYN looks like.
    pub family: SynFamily,
    /// Of the sources of this port that sent a SYN.
    pub share: Share,
}

/// Sources that told the responder a version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConfirmedShare {
    /// What they said: 5.2.3790 is Server 2003.
    pub version: SystemVersion,
    /// Of the sources that said any.
    pub share: Share,
}

/// √((S−s)²/s + (T−t)²/t): sources and targets of a day against the means of the 30 days before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The day.
    pub day: Date,
    /// The figure.
    pub figure: f64,
    /// S.
    pub sources: u64,
    /// s.
    pub sources_mean: f64,
    /// T.
    pub targets: u64,
    /// t.
    pub targets_mean: f64,
}

/// A port was reached for by many more sources than at that hour of other weeks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Surge {
    /// Which.
    pub target: Target,
    /// When it began, as far as the sums tell.
    pub onset: Timestamp,
    /// When it was certain enough.
    pub detected: Timestamp,
    /// When it had ended or become usual; `None` while it goes on at the end of the observation.
    pub until: Option<Timestamp>,
    /// Sources an hour before it, at the same hours of the week.
    pub usual: f64,
    /// Sources an hour in its first week, or as much as there was of it.
    pub during: f64,
    /// Families that grew: the share of NT5 among the sources of its first week.
    pub systems: Option<SystemShare>,
}

/// What the surge test is worth, by simulation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SurgeTest {
    /// The threshold h.
    pub threshold: f64,
    /// The step that it looks for.
    pub step: f64,
    /// False alarms in a year of one port.
    pub false_alarms_per_port_year: f64,
    /// Mean delay at that step, in hours.
    pub delay_hours: f64,
    /// Ports that were tested.
    pub ports: u32,
    /// Hours that had enough weeks before them to be tested, over all ports.
    pub hours: u64,
}

/// Answers that nobody here asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackscatterRow {
    /// The port that the answer comes from: what is under attack.
    pub target: Target,
    /// Packets.
    pub packets: u64,
    /// Different senders: the attacked.
    pub sources: u64,
}

/// One sensor's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorCoverage {
    /// Its name.
    pub sensor: String,
    /// Hours that it saw more than half of.
    pub hours_observed: u64,
    /// Hours of the quarter so far.
    pub hours: u64,
    /// The longest gaps, at most 20: from, to.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// How many gaps there were.
    pub gap_count: u64,
    /// Packets that were counted.
    pub packets: u64,
    /// Packets that could not be decoded, or that the kernel dropped.
    pub lost: u64,
    /// Packets of ports that were counted together for want of room.
    pub folded: u64,
}

/// The whole quarter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarterReport {
    /// Which.
    pub quarter: Quarter,
    /// Its time zone, by IANA's name or offset.
    pub zone: String,
    /// When its first hour begins.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Scanning packets, to ports and by ICMP.
    pub scan_packets: u64,
    /// Different scanning sources.
    pub scan_sources: u64,
    /// Packets by ICMP among them.
    pub icmp_packets: u64,
    /// Packets that neither ask nor answer.
    pub other_packets: u64,
    /// The ports, the most reached for first.
    pub ports: Vec<PortRow>,
    /// Whether anything was observed in the quarter before.
    pub has_previous: bool,
    /// Surges that began in this quarter, in order of time.
    pub surges: Vec<Surge>,
    /// What finding or not finding them means.
    pub surge_test: SurgeTest,
    /// Answers that nobody asked for: packets.
    pub backscatter_packets: u64,
    /// Different attacked senders.
    pub backscatter_sources: u64,
    /// By attacked port.
    pub backscatter: Vec<BackscatterRow>,
    /// The sensors.
    pub sensors: Vec<SensorCoverage>,
    /// Standard error of every count of different sources above `exact_below`.
    pub relative_error: f64,
    /// Counts of different addresses up to here are exact.
    pub exact_below: u64,
}

/// Who is written to about sources in their network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Network {
    /// The network's addresses, such as `192.0.2.0/24`.
    pub prefix: String,
    /// Whose it is.
    pub name: String,
    /// Where complaints go; empty when nothing says.
    pub email: String,
}

/// What one address did, as it stands in a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterEvidence {
    /// The address.
    pub source: IpAddr,
    /// Its first packet.
    pub first: Micros,
    /// Its last packet.
    pub last: Micros,
    /// What it reached for, with the packets.
    pub targets: Vec<(Target, u64)>,
    /// What it said of its own system, if it spoke with the responder.
    pub said: Vec<SystemVersion>,
}

/// A document for people: printed as HTML and as PDF from the same blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Article {
    /// Its title.
    pub title: String,
    /// The line below it.
    pub subtitle: String,
    /// At the foot of each page.
    pub foot: String,
    /// What it consists of.
    pub blocks: Vec<ArticleBlock>,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum ArticleBlock {
    /// A heading.
    Heading {
        /// Its text.
        text: String,
    },
    /// A paragraph.
    Text {
        /// Its text.
        text: String,
    },
    /// A table.
    Table {
        /// Shares of the width, one for each column.
        widths: Vec<f32>,
        /// Titles of the columns.
        head: Vec<String>,
        /// The rows, with as many cells.
        rows: Vec<Vec<String>>,
        /// Columns with figures: set to the right.
        right: Vec<bool>,
    },
    /// Lines over time.
    Plot(ArticlePlot),
}

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArticlePlot {
    /// What it shows.
    pub title: String,
    /// Marks of the horizontal axis: place (0 to 1) and text.
    pub marks: Vec<(f32, String)>,
    /// The lines; points are equally far apart, `None` is a gap.
    pub lines: Vec<ArticleLine>,
    /// Vertical marks inside: place (0 to 1) and text.
    pub events: Vec<(f32, String)>,
}

/// One line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArticleLine {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<Option<f32>>,
}
