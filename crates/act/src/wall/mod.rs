//! The packet filter: one nftables table of our own, `inet chartward`, and nothing outside it.
//!
//! **What is judged.** Packets on the input, forward and output hooks at priority −10: behind connection tracking (−200) and
//! destination NAT (−100), so that a packet carries the address of the host it really goes to, and before the usual filter
//! rules (0), so that no rule of the machine's own firewall can let through what is banned. A drop in one table is final and an
//! accept in ours is not: other tables lose nothing.
//!
//! **In which order.** Allow, ban, isolation, outbound block, established: a banned address loses its established connections too, an allowed
//! one is never cut off. Allowing goes by address, not by packet: a banned address reaches an allowed one no more than others.
//!
//! **Sessions that stand.** A ban ends them for good: the kernel forgets their connections, this machine's own sockets are closed,
//! other servers get a reset with their next packet, and what is left of them is reset when the ban is over ([`Cut`]).
//!
//! **What it does not see.** Packets that pass in hardware or through a `flowtable` of another table, packets of a bridge
//! (family `bridge`), and traffic between two hosts of one switch, which never comes here.

mod cut;
pub mod gate;
mod listing;
pub mod policy;
mod program;
mod ruleset;
pub mod sessions;
mod surroundings;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Error, NeverTouch};
pub use cut::Cut;
use program::{Output, run};
use ruleset::{Set, change, ended, remove_from, table};
pub use surroundings::name_servers;

/// Times that a change is tried anew with what is in force by then.
const LOOKS_MAX: u32 = 3;

/// What a wall is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program that changes the packet filter and the words before its own arguments: `["nft"]`,
    /// `["ip", "netns", "exec", NAME, "nft"]`, `["ssh", "gateway", "nft"]`.
    pub command: Vec<String>,
    /// Who is never cut off: the `allow` set.
    pub never: NeverTouch,
    /// What an isolated host still reaches: the vault, the console and the named hosts.
    pub reach: Vec<IpNet>,
    /// Addresses that each set holds at most, for IPv4 and for IPv6.
    pub size_max: u32,
    /// How long one call of the program may take.
    pub timeout: Duration,
}

impl Settings {
    /// The local `nft` with bounds that a gateway of a hospital never comes near.
    pub fn local(never: NeverTouch, reach: Vec<IpNet>) -> Self {
        Self {
            command: vec!["nft".to_owned()],
            never,
            reach,
            size_max: 65_536,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What the wall does to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Barrier {
    /// Everything from and to it is dropped.
    Ban,
    /// Everything from and to it is dropped, but for what it may still reach.
    Isolate,
    /// Everything that it begins itself is dropped, also what it began before; who connects to it is answered.
    Egress,
}

impl Barrier {
    /// All of them, hardest first.
    pub const ALL: [Barrier; 3] = [Barrier::Ban, Barrier::Isolate, Barrier::Egress];
}

/// What is in force against one of two hosts, so that the first one cannot begin a connection to the second.
pub fn barred<'a>(
    standing: &'a [InForce],
    settings: &Settings,
    source: IpAddr,
    destination: IpAddr,
) -> Option<&'a InForce> {
    let is_spared = |address: IpAddr| settings.never.holds_address(address).is_some();
    let is_reached = |address: IpAddr| settings.reach.iter().any(|network| network.contains(&address));
    standing.iter().find(|known| {
        let is_source = known.address == source && !is_spared(source);
        let is_destination = known.address == destination && !is_spared(destination);
        match known.barrier {
            Barrier::Ban => is_source || is_destination,
            Barrier::Isolate => {
                (is_source && !is_reached(destination)) || (is_destination && !is_reached(source))
            }
            Barrier::Egress => is_source && !is_reached(destination),
        }
    })
}

/// One address that the kernel says is cut off now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InForce {
    /// What is done to it.
    pub barrier: Barrier,
    /// The address.
    pub address: IpAddr,
    /// How long it still holds, in whole seconds; `None`: until somebody takes it out.
    pub remaining: Option<Duration>,
}

/// Everything in the table that only [`Wall::ensure`] and [`Wall::rebuild`] change: chains, rules, allowed and reachable
/// addresses. Two that are not equal mean that somebody else changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(Vec<String>);

/// What the kernel says about the table at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// In order of barrier and address.
    pub in_force: Vec<InForce>,
    /// All the rest of it.
    pub shape: Shape,
}

/// The table `inet chartward` of one machine. The value holds no state: the kernel does, so that a hub that was killed finds
/// everything in force again.
#[derive(Debug, Clone)]
pub struct Wall {
    settings: Settings,
}

impl Wall {
    /// Nothing happens yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Makes the table, or brings its rules and its allowed and reachable addresses up to date. Bans and isolations that are in
    /// force stay so, without a gap. One transaction.
    pub fn ensure(&self) -> Result<(), Error> {
        self.apply("make the table inet chartward", &self.table())
    }

    fn table(&self) -> String {
        let never: Vec<IpNet> = self.settings.never.networks().collect();
        table(&self.settings.reach, &never, &self.settings.never.spared.addresses(), self.settings.size_max)
    }

    /// Makes the table anew, whatever somebody made of it, with these addresses in force. One transaction: nobody is let through
    /// in between. Unlike [`Wall::ensure`] it forgets what stands in the table and is not named here.
    pub fn rebuild(&self, standing: &[InForce]) -> Result<(), Error> {
        let mut script = String::from("add table inet chartward\ndelete table inet chartward\n");
        script.push_str(&self.table());
        for barrier in Barrier::ALL {
            let of = standing.iter().filter(|known| known.barrier == barrier);
            let of: Vec<_> = of.map(|known| (known.address, known.remaining)).collect();
            script.push_str(&change(barrier, &of));
            if barrier == Barrier::Ban {
                script.push_str(&ended(&of));
            }
        }
        self.apply("make the table inet chartward anew", &script)
    }

    /// Bans addresses for some time, or until [`Wall::unban`]. All of them in one transaction: after an error none of them is.
    /// An address that is banned already is banned anew for the new time. Their sessions end; see [`Cut`].
    pub fn ban(&self, addresses: &[(IpAddr, Option<Duration>)]) -> Result<Cut, Error> {
        if let Some(entry) =
            addresses.iter().find_map(|(address, _)| self.settings.never.spared.holds(*address))
        {
            return Err(Error::NeverTouch { entry });
        }
        self.raise(Barrier::Ban, addresses)?;
        let addresses: Vec<IpAddr> = addresses.iter().map(|(address, _)| address.to_canonical()).collect();
        Ok(cut::cut(&self.settings, &addresses))
    }

    /// Takes bans back. An address that is not banned stays so; sessions from before the ban stay ended, new ones begin.
    pub fn unban(&self, addresses: &[IpAddr]) -> Result<(), Error> {
        self.lower(Barrier::Ban, addresses)
    }

    /// Isolates hosts, as [`Wall::ban`] bans.
    pub fn isolate(&self, addresses: &[(IpAddr, Option<Duration>)]) -> Result<(), Error> {
        self.raise(Barrier::Isolate, addresses)
    }

    /// Takes isolations back, as [`Wall::unban`] takes back bans.
    pub fn release(&self, addresses: &[IpAddr]) -> Result<(), Error> {
        self.lower(Barrier::Isolate, addresses)
    }

    /// Keeps hosts from beginning connections, as [`Wall::ban`] bans: those that send a worm's traffic.
    pub fn block_egress(&self, addresses: &[(IpAddr, Option<Duration>)]) -> Result<(), Error> {
        self.raise(Barrier::Egress, addresses)
    }

    /// Takes that back, as [`Wall::unban`] takes back bans.
    pub fn unblock_egress(&self, addresses: &[IpAddr]) -> Result<(), Error> {
        self.lower(Barrier::Egress, addresses)
    }

    /// What the kernel says is in force, in order of barrier and address. An error when our table is not there or has lost a
    /// chain (somebody flushed the rules): then nothing is, and [`Wall::ensure`] is due.
    pub fn in_force(&self) -> Result<Vec<InForce>, Error> {
        self.look().map(|look| look.in_force)
    }

    /// What the kernel says about the whole table, with the errors of [`Wall::in_force`].
    pub fn look(&self) -> Result<Look, Error> {
        let output = self.nft(&["-j", "list", "table", "inet", "chartward"], "")?;
        if !output.is_success {
            return Err(self.refused("list the table inet chartward", &output));
        }
        listing::parse(&output.stdout)
    }

    /// Takes the whole table away; everybody is let through again as far as this table is concerned.
    pub fn remove(&self) -> Result<(), Error> {
        self.apply(
            "remove the table inet chartward",
            "add table inet chartward\ndelete table inet chartward\n",
        )
    }

    fn raise(&self, barrier: Barrier, addresses: &[(IpAddr, Option<Duration>)]) -> Result<(), Error> {
        for (address, _) in addresses {
            if let Some(entry) = self.settings.never.holds_address(*address) {
                return Err(Error::NeverTouch { entry });
            }
        }
        if addresses.is_empty() {
            return Ok(());
        }
        const OPERATION: &str = "put addresses into the packet filter";
        let script = change(barrier, addresses);
        if barrier == Barrier::Ban {
            // A full list of what has ended must keep nobody from being banned.
            let with_ended = [script.as_str(), &ended(addresses)].concat();
            if self.apply(OPERATION, &with_ended).is_ok() {
                return Ok(());
            }
        }
        let cause = match self.apply(OPERATION, &script) {
            Ok(()) => return Ok(()),
            Err(cause) => cause,
        };
        // The kernel's word for a full set ("too many open files") comes in the language of wherever the program runs, so it
        // is counted instead.
        let Ok(standing) = self.in_force() else { return Err(cause) };
        for set in Set::of(barrier) {
            let mut held: Vec<IpAddr> = addresses.iter().map(|(address, _)| address.to_canonical()).collect();
            held.extend(standing.iter().filter(|known| known.barrier == barrier).map(|known| known.address));
            held.retain(|address| set.takes(*address));
            held.sort_unstable();
            held.dedup();
            if held.len() > self.settings.size_max as usize {
                return Err(Error::WallFull { set: set.name().to_owned(), size_max: self.settings.size_max });
            }
        }
        Err(cause)
    }

    fn lower(&self, barrier: Barrier, addresses: &[IpAddr]) -> Result<(), Error> {
        const OPERATION: &str = "take addresses out of the packet filter";
        let mut held: Vec<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
        held.sort_unstable();
        held.dedup();
        // What is not in force cannot be deleted, and a ban may end by itself between the look and the change.
        let mut tries = 0;
        while !held.is_empty() {
            match self.apply(OPERATION, &remove_from(barrier, &held)) {
                Err(error) if tries == LOOKS_MAX => return Err(error),
                Err(_) => tries += 1,
                Ok(()) => break,
            }
            let standing = self.in_force()?;
            let stands = |address: &IpAddr| {
                standing.iter().any(|known| known.barrier == barrier && known.address == *address)
            };
            held.retain(stands);
        }
        Ok(())
    }

    fn apply(&self, operation: &'static str, script: &str) -> Result<(), Error> {
        let output = self.nft(&["-f", "-"], script)?;
        if output.is_success { Ok(()) } else { Err(self.refused(operation, &output)) }
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<Output, Error> {
        run(&self.settings.command, arguments, input, self.settings.timeout)
            .map_err(|source| Error::PacketFilterProgram { command: self.settings.command.join(" "), source })
    }

    fn refused(&self, operation: &'static str, output: &Output) -> Error {
        Error::PacketFilter { operation, command: self.settings.command.join(" "), answer: output.answer() }
    }
}
