//! From the configuration to the wall: its policy with what other parts of the configuration add.

pub(crate) mod recorded;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use act::wall::Settings;
use act::wall::gate::Gate;
use act::wall::policy::Policy;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::config::Config;
use crate::hub;

/// How long the packet filter may take over a whole policy.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a machine has to do with its wall.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) policy: Policy,
    pub(crate) gate: Gate,
    /// The state folder, where the ledger is.
    pub(crate) state: PathBuf,
    /// Of the table of bans.
    pub(crate) bans: Settings,
    pub(crate) ssh_ports: Vec<u16>,
}

impl Site {
    /// As the configuration says; nothing happens yet.
    pub(crate) fn of(config: &Config, state: &Path) -> anyhow::Result<Site> {
        let bans = hub::wall_settings(config)?;
        let mut policy = config.wall.policy();
        policy.spared = bans.never.networks().filter(|network| !network.addr().is_loopback()).collect();
        policy.reach = bans.reach.clone();
        for all in [&mut policy.spared, &mut policy.reach] {
            *all = IpNet::aggregate(all);
        }
        policy.utc_offset_seconds = config.zone().to_offset(Timestamp::now()).seconds();
        Ok(Site {
            policy,
            gate: gate(config, state),
            state: state.to_owned(),
            bans,
            ssh_ports: config.wall.ssh_ports.clone(),
        })
    }
}

/// The declared policy as it was applied.
pub(crate) fn gate(config: &Config, state: &Path) -> Gate {
    Gate::new(config.wall.command.clone(), &state.join("wall"), TIMEOUT)
}

/// A host by its address, or by its name in the configuration.
pub(crate) fn host(config: &Config, text: &str) -> anyhow::Result<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    let named = config.protect.iter().find(|protect| protect.host.as_deref() == Some(text));
    let address = named.and_then(|protect| protect.address);
    address.ok_or_else(|| {
        anyhow::anyhow!("{text} is neither an address nor a host of [[protect]]; names are not looked up")
    })
}
