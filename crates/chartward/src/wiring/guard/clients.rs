//! Clients of Samba's: who they are in words, and a door that stays shut for those who were cut off.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use act::NeverTouch;
use act::client::{self, Refusal};
use crossbeam_channel::{Sender, bounded};
use jiff::Timestamp;
use observe::files::{Actor, Client, Connection, Servers, Stat, Touch};

use super::report::CutOff;
use super::{Guard, Report, Response, Settings};

/// A new connection has to agree on a dialect, log in and open the share first, which takes several times as long.
const LOOK: Duration = Duration::from_millis(3);
/// Ahead of the server that would let the client in; nothing of this thread's takes long.
const NICE: i32 = -15;
const ENDS_WITHIN: Duration = Duration::from_secs(2);

const ENDED_MAX: usize = 256;
/// Later its id may be another process's.
const HEARD_OF_WITHIN: Duration = Duration::from_secs(5);

/// Processes that were ended at the door, with the address that each served.
type Ended = Arc<Mutex<VecDeque<(i32, IpAddr, Instant)>>>;

/// Keeps clients out: their new connections are ended before they can do anything.
#[derive(Debug)]
pub(super) struct Door {
    state: PathBuf,
    refused: Arc<Mutex<BTreeSet<IpAddr>>>,
    ended: Ended,
    never: NeverTouch,
    /// Refusals that the state folder has not taken yet.
    unwritten: Vec<Refusal>,
    /// Wakes the thread, which is only there once somebody was refused; dropped, it ends.
    wake: Option<Sender<()>>,
}

impl Door {
    /// Who was refused before the guard started stays so, unless it may only look.
    pub(super) fn new(settings: &Settings) -> Self {
        let mut door = Self {
            state: settings.state.clone(),
            refused: Arc::default(),
            ended: Arc::default(),
            never: settings.never.clone(),
            unwritten: Vec::new(),
            wake: None,
        };
        if settings.response == Response::Armed {
            client::refused(&settings.state).iter().for_each(|refusal| door.refuse(refusal.address));
        }
        door
    }

    pub(super) fn refuses(&self, address: IpAddr) -> bool {
        self.refused.lock().is_ok_and(|refused| refused.contains(&address))
    }

    /// Somebody is refused.
    pub(super) fn is_shut(&self) -> bool {
        self.refused.lock().is_ok_and(|refused| !refused.is_empty())
    }

    /// Whom a process served that was ended at the door: what it did before is heard of when it is gone.
    pub(super) fn ended(&self, pid: i32) -> Option<IpAddr> {
        let ended = self.ended.lock().ok()?;
        let is_it =
            |(known, _, at): &&(i32, IpAddr, Instant)| *known == pid && at.elapsed() < HEARD_OF_WITHIN;
        ended.iter().rev().find(is_it).map(|(_, address, _)| *address)
    }

    fn refuse(&mut self, address: IpAddr) {
        if let Ok(mut refused) = self.refused.lock() {
            refused.insert(address);
        }
        let watch = || watch(Arc::clone(&self.refused), Arc::clone(&self.ended), self.never.clone());
        let _ = self.wake.get_or_insert_with(watch).try_send(());
    }

    /// Lets in whom a person has released.
    pub(super) fn renew(&mut self) {
        let state = &self.state;
        self.unwritten.retain(|refusal| client::refuse(state, refusal).is_err());
        let waits = |address: &IpAddr| self.unwritten.iter().any(|refusal| refusal.address == *address);
        if let Ok(mut refused) = self.refused.lock() {
            refused.retain(|address| waits(address) || client::is_refused(state, *address));
        }
    }
}

fn watch(refused: Arc<Mutex<BTreeSet<IpAddr>>>, ended: Ended, never: NeverTouch) -> Sender<()> {
    let (send, woken) = bounded::<()>(1);
    let work = move || {
        let mut servers = Servers::default();
        // Of this thread only; where it may not, it is as quick as others.
        let _ = rustix::process::setpriority_process(None, NICE);
        while woken.recv().is_ok() {
            loop {
                let Some(shut) = refused.lock().ok().map(|refused| refused.clone()) else { return };
                if shut.is_empty() {
                    break;
                }
                let unwanted = |connection: &Connection| shut.contains(&connection.address);
                for connection in servers.connections().into_iter().filter(unwanted) {
                    let Ok(mut ended) = ended.lock() else { return };
                    ended.push_back((connection.pid, connection.address, Instant::now()));
                    let surplus = ended.len().saturating_sub(ENDED_MAX);
                    ended.drain(..surplus);
                    drop(ended);
                    client::end(connection.pid, connection.start_ticks, &never, Duration::ZERO);
                }
                match woken.recv_timeout(LOOK) {
                    Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
                    Ok(()) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                }
            }
        }
    };
    // Without it their opens are denied all the same.
    let _ = thread::Builder::new().name("door".into()).spawn(work);
    send
}

impl Guard {
    /// The never-touch list names the address that this actor works from.
    pub(super) fn spared_client(&self, actor: Actor) -> bool {
        let client = self.lineage.client(actor);
        client.is_some_and(|client| client::spared(&self.settings.never, client.address).is_some())
    }

    /// From now on this client is not served.
    pub(super) fn refuse(
        &mut self,
        client: Client,
        because: &str,
        now: Timestamp,
        tell: &mut dyn FnMut(Report),
    ) -> Result<PathBuf, act::Error> {
        let user = self.user_of(client);
        let refusal = Refusal { address: client.address, user, because: because.to_owned(), at: now };
        let path = client::refuse(&self.settings.state, &refusal);
        if path.is_err() {
            self.door.unwritten.push(refusal.clone());
        }
        self.door.refuse(client.address);
        let Refusal { address, user, because, at } = refusal;
        tell(Report::CutOff(CutOff { address, user, because, at }));
        path
    }

    /// Ends what serves a client that is refused, without waiting: its process stands in an answered open at most.
    pub(super) fn show_out(&self, actor: Actor) {
        if actor.is_client() {
            for (pid, start_ticks) in self.lineage.members(actor).iter().copied() {
                client::end(pid, start_ticks, &self.settings.never, Duration::ZERO);
            }
        }
    }

    /// Ends the connections of the clients among `actors` and waits until their processes have let go of every file.
    pub(super) fn end_connections(&self, actors: &[Actor]) {
        for actor in actors.iter().filter(|actor| actor.is_client()) {
            for (pid, start_ticks) in self.lineage.members(*actor).iter().copied() {
                let lives = Stat::of(pid).is_some_and(|stat| stat.start_ticks == start_ticks);
                if lives {
                    client::end(pid, start_ticks, &self.settings.never, ENDS_WITHIN);
                }
            }
        }
    }

    /// Its account: as Samba tells, else as the machine knows the user that the server acts as.
    pub(super) fn user_of(&self, client: Client) -> Option<String> {
        let name = self.lineage.client_name(client).map(|name| name.user).filter(|user| !user.is_empty());
        name.or_else(|| account(client.uid))
    }

    /// The client in words; `None` for an actor of this machine.
    pub(super) fn client_words(&self, actor: Actor) -> Option<String> {
        let client = self.lineage.client(actor)?;
        let user =
            self.user_of(client).map_or_else(|| format!("uid {}", client.uid), |user| format!("user {user}"));
        let machine = self.lineage.client_name(client).map(|name| name.machine);
        let machine = machine.filter(|machine| !machine.is_empty() && *machine != client.address.to_string());
        let machine = machine.map(|machine| format!(", machine {machine}")).unwrap_or_default();
        Some(format!("Samba client {} ({user}{machine})", client.address))
    }

    /// Everything that these actors did, in the order of time; of a file that several of them touched the first original and the
    /// last whereabouts.
    pub(super) fn take_all(&mut self, actors: &[Actor], now: Timestamp) -> Vec<Touch> {
        let mut touches: Vec<Touch> =
            actors.iter().flat_map(|actor| self.tracker.take(*actor, now)).collect();
        touches.sort_by_key(|touch| (touch.at, touch.file));
        let mut merged: Vec<Touch> = Vec::with_capacity(touches.len());
        for touch in touches {
            match merged.iter_mut().find(|known| known.key() == touch.key()) {
                Some(first) => first.join(touch),
                None => merged.push(touch),
            }
        }
        merged
    }
}

fn account(uid: u32) -> Option<String> {
    let accounts = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let mut fields = accounts.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
