//! Figures for Prometheus: names and counts only, labels from closed lists or the configuration.

use std::fmt::{Display, Write};

use schema::WatcherState;

use crate::access::Permission;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Api, Needs, Route, Verb};
use crate::console::visit::Visit;

pub(super) const ROUTE: Route = Route::api(
    Verb::Get,
    "/metrics",
    Needs::May(Permission::Metrics),
    Api {
        id: "getMetrics",
        summary: "Figures in the text format of Prometheus.",
        answer: "Metrics",
        query: &[],
    },
    show,
);

/// Watchers are named by the configuration; past this many they are counted together no more.
const WATCHERS_MAX: usize = 100;

#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (String, impl Display)>) {
        let _ = writeln!(self.0, "# HELP chartward_{name} {help}\n# TYPE chartward_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(self.0, "chartward_{name}{labels} {value}");
        }
    }
}

fn label(name: &str, value: &str) -> String {
    let clean: String = value.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("{{{name}=\"{}\"}}", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A word of ours as serde writes it: `false_alarm`.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (hub, mut text) = (&visit.console.hub, Text::default());
    let shown = hub.shown();
    if let Some(promise) = &shown.promise {
        let one = |value: Option<f64>| value.map(|value| (String::new(), value));
        text.gauge(
            "rpo_seconds",
            "Age of the newest record in the newest proven snapshot.",
            one(promise.rpo_seconds),
        );
        text.gauge(
            "rto_first_chart_seconds",
            "Until a chart was read, as drilled.",
            one(promise.rto_first_chart_seconds),
        );
        text.gauge(
            "rto_full_seconds",
            "Until everything was back, as drilled.",
            one(promise.rto_full_seconds),
        );
        text.gauge(
            "proven_timestamp_seconds",
            "When that drill ended.",
            promise.proven_at.map(|at| (String::new(), at.as_second())),
        );
        text.gauge("alarms", "What speaks against the promise.", [(String::new(), promise.alarms.len())]);
    }
    let incidents = hub.state.incident_counts()?;
    text.gauge(
        "incidents",
        "Incidents by status.",
        incidents.iter().map(|(status, count)| (label("status", &word(status)), count)),
    );
    let countermeasures = hub.state.countermeasure_counts()?;
    text.gauge(
        "countermeasures",
        "Countermeasures by state.",
        countermeasures.iter().map(|(state, count)| (label("state", &word(state)), count)),
    );
    let watchers: Vec<_> = shown.watchers.iter().take(WATCHERS_MAX).collect();
    let each = |value: fn(&schema::WatcherHealth) -> u64| {
        watchers.iter().map(move |it| (label("watcher", &it.name), value(it))).collect::<Vec<_>>()
    };
    text.gauge("watcher_ready", "1 while it watches.", each(|it| u64::from(it.state == WatcherState::Ready)));
    text.gauge("watcher_lines", "Lines taken in since the hub started.", each(|it| it.lines));
    text.gauge("watcher_garbage", "Lines that were not understood.", each(|it| it.garbage));
    text.gauge("watcher_dropped", "Lines thrown away.", each(|it| it.dropped));
    text.gauge("watcher_restarts", "Times it was started again.", each(|it| it.restarts));
    Ok(Reply::text("text/plain; version=0.0.4; charset=utf-8", text.0))
}
