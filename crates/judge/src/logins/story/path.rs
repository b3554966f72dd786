//! The way of somebody who is not who he says: from where a finding puts him, through log-ons that came later, machine by machine.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use schema::{AuthProtocol, Entity, Finding, Micros, SubjectRole};
use serde::{Deserialize, Serialize};

use super::{Graph, Named, Node};

const STEPS_MAX: usize = 300;
const DEPTH_MAX: u32 = 12;

/// From where the way begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// A machine or an account in a stranger's hands.
    pub node: Node,
    /// Since then.
    pub since: Micros,
}

/// One step: somebody got in at a machine from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Micros,
    /// With which account.
    pub account: Option<Node>,
    /// From there.
    pub from: Option<Node>,
    /// To there.
    pub to: Node,
    /// How.
    pub protocol: AuthProtocol,
    /// Refusals on the same way.
    pub failed: u64,
    /// Log-ons on the same way.
    pub succeeded: u64,
    /// Steps before it.
    pub depth: u32,
    /// With an account that was in the stranger's hands before. Otherwise somebody else may have worked at that machine.
    pub sure: bool,
}

impl Start {
    /// Whom a finding names as doing it, since the finding's first time.
    pub fn of(finding: &Finding, since: Micros) -> Vec<Start> {
        let actors = finding.subjects.iter().filter(|subject| subject.role == SubjectRole::Actor);
        let node = |entity: &Entity| match entity {
            Entity::Account { name } => Some(Node::Account(name.as_str().into())),
            Entity::Host { name } => Some(Node::Machine(name.as_str().into())),
            Entity::Address { address } => Some(Node::Machine(address.to_string().into())),
            _ => None,
        };
        actors.filter_map(|subject| node(&subject.entity)).map(|node| Start { node, since }).collect()
    }
}

/// The steps of the way, earliest first: from each machine that was reached, the log-ons after it was.
pub fn walk(graph: &Graph, starts: &[Start]) -> Vec<Step> {
    let links = graph.links();
    let mut by_machine = BTreeMap::<&Node, Vec<&Named<'_>>>::new();
    let mut by_account = BTreeMap::<&Node, Vec<&Named<'_>>>::new();
    for link in links.iter().filter(|link| link.link.succeeded > 0) {
        if let Some(from) = &link.from {
            by_machine.entry(from).or_default().push(link);
        }
        if let Some(account) = &link.account {
            by_account.entry(account).or_default().push(link);
        }
    }
    let mut walk = Walk::default();
    for start in starts {
        if matches!(start.node, Node::Account(_)) {
            walk.accounts.insert(start.node.clone());
        }
        walk.queue.push(Reverse((start.since, start.node.clone(), 0, true)));
    }
    while let Some(Reverse((since, node, depth, sure))) = walk.queue.pop() {
        if depth >= DEPTH_MAX || walk.steps.len() >= STEPS_MAX || !walk.visited.insert(node.clone()) {
            continue;
        }
        let ways = match node {
            Node::Machine(_) => by_machine.get(&node),
            Node::Account(_) => by_account.get(&node),
        };
        for named in ways.into_iter().flatten() {
            walk.follow(named, &node, since, depth, sure);
        }
    }
    walk.steps.sort_by(|a, b| (a.at, &a.to, &a.from, &a.account).cmp(&(b.at, &b.to, &b.from, &b.account)));
    walk.steps.dedup_by(|a, b| (a.at, &a.to, &a.from, &a.account) == (b.at, &b.to, &b.from, &b.account));
    walk.steps
}

#[derive(Default)]
struct Walk {
    queue: BinaryHeap<Reverse<(Micros, Node, u32, bool)>>,
    visited: BTreeSet<Node>,
    /// In the stranger's hands.
    accounts: BTreeSet<Node>,
    steps: Vec<Step>,
}

impl Walk {
    fn follow(&mut self, named: &Named<'_>, at_node: &Node, since: Micros, depth: u32, sure: bool) {
        let Some(at) = named.link.entry_from(since) else { return };
        let Some(to) = named.to.clone().filter(|to| named.from.as_ref() != Some(to)) else { return };
        if self.steps.len() >= STEPS_MAX {
            return;
        }
        let held = named.account.as_ref().is_none_or(|account| self.accounts.contains(account));
        // At the first machine whoever gets in is meant; further on, others work there too.
        let is_sure = sure && (held || depth == 0 || matches!(at_node, Node::Account(_)));
        if is_sure && let Some(account) = &named.account {
            self.accounts.insert(account.clone());
        }
        self.steps.push(Step {
            at,
            account: named.account.clone(),
            from: named.from.clone(),
            to: to.clone(),
            protocol: named.link.protocol,
            failed: named.link.failed,
            succeeded: named.link.succeeded,
            depth,
            sure: is_sure,
        });
        // What only may have been he is shown, and followed no further.
        if is_sure {
            self.queue.push(Reverse((at, to, depth + 1, true)));
        }
    }
}
