//! The network sensor: interfaces to listen at, and values whose shape is a text.

use super::{At, Findings, Gravity, Node, Words};
use crate::config::sensor::{Hours, PortRange};

/// `IFNAMSIZ` with its closing NUL.
const NAME_BYTES_MAX: usize = 15;

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let sensor = file.table("sensor");
    let interfaces = sensor.as_ref().map(|sensor| sensor.texts("interfaces")).unwrap_or_default();
    let watches = file.tables("watch");
    let sensors: Vec<_> = watches.iter().filter(|watch| watch.get("sensor").is_some()).collect();
    if let Some(watch) = sensors.first().filter(|_| interfaces.is_empty()) {
        let what =
            Words::new("the sensor has nothing to listen at", "センサーが見るインターフェースがありません");
        let remedy = Words::new(
            "add [sensor] with interfaces = [\"eth1\"]",
            "[sensor] に interfaces = [\"eth1\"] のように書き足してください",
        );
        watch.add(found, Gravity::Error, what, remedy);
    }
    if let Some(watch) = sensors.get(1) {
        let what = Words::new(
            "there can be one sensor only; it takes several interfaces",
            "センサーは1つだけです（インターフェースは複数書けます）",
        );
        watch.add(found, Gravity::Error, what, Words::new("keep one of the two", "片方を消してください"));
    }
    for interface in &interfaces {
        let name = interface.text;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(['/', ' ', ':']) {
            unfit(
                interface,
                found,
                "write a name as `ip link` shows it",
                "`ip link` に出る名前を書いてください",
            );
        }
    }
    let Some(sensor) = sensor else { return };
    super::unique_names(&sensor.tables("contract"), found);
    for contract in sensor.tables("contract") {
        for at in contract.texts("ports").iter().filter(|at| at.text.parse::<PortRange>().is_err()) {
            unfit(
                at,
                found,
                "write ports as \"443\", \"5000-5010\" or \"udp/7070\"",
                "ポートは \"443\"、\"5000-5010\"、\"udp/7070\" のように書いてください",
            );
        }
        if let Some(at) = contract.text("hours").filter(|at| at.text.parse::<Hours>().is_err()) {
            unfit(
                &at,
                found,
                "write hours as \"09:00-17:30\"",
                "時間帯は \"09:00-17:30\" のように書いてください",
            );
        }
    }
}

fn unfit(at: &At<'_>, found: &mut Findings<'_>, en: &'static str, ja: &'static str) {
    let what =
        Words::new(format!("{:?} does not fit here", at.text), format!("{:?} はここに書けません", at.text));
    at.add(found, Gravity::Error, what, Words::new(en, ja));
}
