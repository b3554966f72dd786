//! From what people write to what `act` takes.

use std::collections::BTreeMap;

use act::notify;
use act::playbook;

use super::types::{Approval, Channel, NeverTouch, Playbook, SmtpTls, Transport};
use super::value::Secret;

impl Secret {
    /// The name under which the hub looks it up: of the sealed store, or the path of a file, which begins with a slash as no
    /// name does.
    pub(crate) fn lookup(&self) -> String {
        match self {
            Secret::Secret(name) => name.clone(),
            Secret::File(path) => path.display().to_string(),
        }
    }
}

impl From<&Playbook> for playbook::Playbook {
    fn from(from: &Playbook) -> Self {
        let seconds = |period: super::Period| u64::try_from(period.0.as_secs()).unwrap_or_default();
        playbook::Playbook {
            name: from.name.clone(),
            classes: from.watchers.clone(),
            detectors: from.detectors.clone(),
            severity_min: from.severity_min.0,
            acts: from.acts.clone(),
            approval: match from.approval {
                Approval::None => playbook::Approval::None,
                Approval::Person => playbook::Approval::Person,
            },
            deadline_seconds: seconds(from.deadline),
            lasts_seconds: Some(seconds(from.lasts)),
            channels: from.channels.clone(),
        }
    }
}

impl super::types::Media {
    /// Whose turn it is when, in the zone of the configuration.
    pub(crate) fn rotation(&self, zone: jiff::tz::TimeZone) -> recover::media::Rotation {
        recover::media::Rotation {
            name: self.name.clone(),
            sets: self.sets.clone(),
            turn_days: self.turn_days,
            at: self.at.0,
            overdue_after: self.overdue.0,
            zone,
        }
    }
}

impl From<&Channel> for notify::Channel {
    fn from(from: &Channel) -> Self {
        match from.clone() {
            Channel::Smtp(smtp) => notify::Channel::Smtp {
                server: smtp.server,
                port: smtp.port,
                from: smtp.from,
                to: smtp.to,
                tls: match smtp.tls {
                    SmtpTls::Starttls => notify::Tls::Starttls,
                    SmtpTls::Tls => notify::Tls::Tls,
                    SmtpTls::None => notify::Tls::None,
                },
                ca: smtp.ca,
                user: smtp.user,
                secret: smtp.password.map(|secret| secret.lookup()),
            },
            Channel::Webhook(webhook) => notify::Channel::Webhook {
                url: webhook.url,
                secret: webhook.signing_key.map(|secret| secret.lookup()),
                headers: BTreeMap::new(),
            },
            Channel::Syslog(syslog) => notify::Channel::Syslog {
                address: syslog.address.to_string(),
                transport: match syslog.transport {
                    Transport::Udp => notify::Transport::Udp,
                    Transport::Tcp => notify::Transport::Tcp,
                },
                facility: notify::Facility::default(),
                app_name: "chartward".to_owned(),
            },
            Channel::Lamp(lamp) => {
                notify::Channel::Lamp { url: lamp.url, method: lamp.method, lights: lamp.lights }
            }
        }
    }
}

impl NeverTouch {
    /// As `act` takes it. Addresses of hosts, and the hub's own process ids, are told to it later.
    pub(crate) fn for_act(&self) -> act::NeverTouch {
        let mut never = act::NeverTouch::of_commands(self.commands.clone());
        never.networks = self.addresses.iter().map(|network| network.0.into()).collect();
        never.hosts.clone_from(&self.hosts);
        never.cgroups.clone_from(&self.cgroups);
        never
    }
}
