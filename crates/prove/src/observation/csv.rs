use std::fmt::Write;

use schema::telescope::QuarterReport;

use super::Services;
use super::words::port;

/// The table of ports, and after an empty line the hours: fields as RFC 4180 has them, in English, for programs.
pub fn csv(report: &QuarterReport, services: &Services) -> String {
    let mut out = String::from(
        "rank,previous_rank,port,service,packets,packet_share,sources,destinations,top_family,top_family_share,low,high,n\r\n",
    );
    for row in &report.ports {
        let system = row.systems.first();
        let family = system.map_or_else(String::new, |it| format!("{:?}", it.family).to_lowercase());
        let share = system.map_or_else(
            || ",,,".to_owned(),
            |it| format!("{:.4},{:.4},{:.4},{}", it.share.share, it.share.low, it.share.high, it.share.n),
        );
        let previous = row.previous_rank.map_or_else(String::new, |rank| rank.to_string());
        let service = quoted(services.name(row.target));
        let _ = write!(
            out,
            "{},{previous},{},{service},{},{:.5},{},{},{family},{share}\r\n",
            row.rank,
            port(row.target),
            row.packets,
            row.packet_share,
            row.sources,
            row.destinations,
        );
    }
    out.push_str("\r\nhour,port,packets,sources\r\n");
    for row in &report.ports {
        for (place, (packets, sources)) in row.hourly.iter().zip(&row.hourly_sources).enumerate() {
            let at = report.begins.as_second() + place as i64 * 3600;
            if let (Some(packets), Some(sources), Ok(at)) =
                (packets, sources, jiff::Timestamp::from_second(at))
            {
                let _ = write!(out, "{at},{},{packets},{sources}\r\n", port(row.target));
            }
        }
    }
    out
}

/// A name that a spreadsheet would take for a formula is kept from being one.
fn quoted(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\n', '\r']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}
