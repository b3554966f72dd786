//! Tables of the file that say "exactly one of these": as they are written, and how they become values.

use std::net::IpAddr;
use std::path::PathBuf;

use schema::{Lang, WatcherClass};
use serde::Deserialize;

use super::defaults;
use super::types;
use super::types::{
    Channel, Guard, Lamp, Program, Share, Smtp, Source, Stores, Syslog, WatchedShare, Webhook, When,
};
use super::value::{Level, Period, Sample, TimeOfDay};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Protect {
    name: String,
    host: Option<String>,
    address: Option<IpAddr>,
    paths: Option<Vec<PathBuf>>,
    share: Option<Share>,
    sources: Option<Vec<String>>,
    #[serde(default)]
    files: Vec<PathBuf>,
    #[serde(default)]
    exclude: Vec<PathBuf>,
    #[serde(default = "defaults::backup")]
    backup: types::Timing,
    #[serde(default = "defaults::drill")]
    drill: types::Timing,
    sample: Option<types::Sampled>,
    #[serde(default)]
    moment: types::Moment,
    sandbox: Option<PathBuf>,
}

impl TryFrom<Protect> for types::Protect {
    type Error = &'static str;

    fn try_from(raw: Protect) -> Result<Self, Self::Error> {
        let source = match (raw.paths, raw.share, raw.sources) {
            (Some(paths), None, None) => Source::Paths(paths),
            (None, Some(share), None) => Source::Share(share),
            (None, None, Some(sources)) => Source::Stores(Stores { sources, files: raw.files }),
            _ => return Err("a protect names exactly one of paths, share and sources"),
        };
        let Protect { name, host, address, exclude, backup, drill, sample, moment, sandbox, .. } = raw;
        Ok(types::Protect { name, host, address, source, exclude, backup, drill, sample, moment, sandbox })
    }
}

/// Fields of every table that says when a job runs.
macro_rules! timed {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            every: Option<Period>,
            at: Option<TimeOfDay>,
            timeout: Option<Period>,
            #[serde(default = "defaults::retry")]
            retry: Period,
            #[serde(default = "defaults::retries")]
            retries: u32,
            $($(#[$attribute])* $field: $type,)*
        }

        impl $name {
            /// `otherwise` holds where the table names neither.
            fn timing(&self, otherwise: Option<When>) -> Result<types::Timing, &'static str> {
                let when = match (self.every, self.at, otherwise) {
                    (Some(every), None, _) => When::Every(every),
                    (None, Some(at), _) => When::DailyAt(at),
                    (None, None, Some(when)) => when,
                    _ => return Err("a job names exactly one of every and at"),
                };
                Ok(types::Timing { when, timeout: self.timeout, retry: self.retry, retries: self.retries })
            }
        }
    };
}

timed!(Timing {});
timed!(Check {
    #[serde(default = "defaults::read_data")]
    read_data: bool,
    read_within: Option<Period>,
});
timed!(Sampled { size: Sample });
timed!(Export { dir: PathBuf });

impl TryFrom<Timing> for types::Timing {
    type Error = &'static str;

    fn try_from(raw: Timing) -> Result<Self, Self::Error> {
        raw.timing(None)
    }
}

impl TryFrom<Check> for types::Check {
    type Error = &'static str;

    fn try_from(raw: Check) -> Result<Self, Self::Error> {
        let timing = raw.timing(Some(defaults::check()))?;
        Ok(types::Check { timing, read_data: raw.read_data, read_within: raw.read_within })
    }
}

impl TryFrom<Sampled> for types::Sampled {
    type Error = &'static str;

    fn try_from(raw: Sampled) -> Result<Self, Self::Error> {
        Ok(types::Sampled { timing: raw.timing(None)?, size: raw.size })
    }
}

impl TryFrom<Export> for types::Export {
    type Error = &'static str;

    fn try_from(raw: Export) -> Result<Self, Self::Error> {
        Ok(types::Export { timing: raw.timing(Some(defaults::export()))?, dir: raw.dir })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watch {
    name: String,
    class: Option<WatcherClass>,
    guard: Option<Guard>,
    share: Option<WatchedShare>,
    mail: Option<bool>,
    sensor: Option<bool>,
    logs: Option<bool>,
    exec: Option<Vec<String>>,
    user: Option<String>,
    #[serde(default)]
    read: Vec<PathBuf>,
    #[serde(default)]
    network: bool,
    #[serde(default = "defaults::lines_per_second_max")]
    lines_per_second_max: u32,
}

const ONE_OF: &str = "a watch names exactly one of guard, share, mail = true, sensor = true, logs = true and exec, and a class only with exec";

impl TryFrom<Watch> for types::Watch {
    type Error = &'static str;

    fn try_from(raw: Watch) -> Result<Self, Self::Error> {
        // Of the two that only say that they are there, both at once are none.
        let plain = match (raw.sensor, raw.logs) {
            (Some(true), None) => Some((WatcherClass::Sensor, Program::Sensor)),
            (None, Some(true)) => Some((WatcherClass::Logs, Program::Logs)),
            (None, None) => None,
            _ => return Err(ONE_OF),
        };
        let (class, program) = match (raw.guard, raw.share, raw.mail, plain, raw.exec, raw.class) {
            (Some(guard), None, None, None, None, None) => (WatcherClass::Guard, Program::Guard(guard)),
            (None, Some(share), None, None, None, None) => (WatcherClass::Share, Program::Share(share)),
            (None, None, Some(true), None, None, None) => (WatcherClass::Mail, Program::Mail),
            (None, None, None, Some(plain), None, None) => plain,
            (None, None, None, None, Some(exec), class) => {
                (class.unwrap_or(WatcherClass::External), Program::Exec(exec))
            }
            _ => return Err(ONE_OF),
        };
        let Watch { name, user, read, network, lines_per_second_max, .. } = raw;
        Ok(types::Watch { name, class, program, user, read, network, lines_per_second_max })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notify {
    name: String,
    #[serde(default = "defaults::high")]
    severity_min: Level,
    lang: Option<Lang>,
    smtp: Option<Smtp>,
    webhook: Option<Webhook>,
    syslog: Option<Syslog>,
    lamp: Option<Lamp>,
}

impl TryFrom<Notify> for types::Notify {
    type Error = &'static str;

    fn try_from(raw: Notify) -> Result<Self, Self::Error> {
        let given = [
            raw.smtp.map(Channel::Smtp),
            raw.webhook.map(Channel::Webhook),
            raw.syslog.map(Channel::Syslog),
            raw.lamp.map(Channel::Lamp),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(channel), None) = (given.next(), given.next()) else {
            return Err("a notify names exactly one of smtp, webhook, syslog and lamp");
        };
        let Notify { name, severity_min, lang, .. } = raw;
        Ok(types::Notify { name, severity_min, lang, channel })
    }
}
