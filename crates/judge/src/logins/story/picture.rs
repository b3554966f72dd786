//! What is drawn of the graph: the way of one, or what most leads through.

use std::collections::{BTreeMap, BTreeSet};

use schema::Micros;
use serde::{Deserialize, Serialize};

use super::layout::{Drawing, draw};
use super::{Graph, Node, Step, ranks};

/// Edges of one picture: more cannot be told apart.
const EDGES_MAX: usize = 80;

/// One line of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// From there.
    pub from: Node,
    /// To there.
    pub to: Node,
    /// Accounts that went that way.
    pub accounts: BTreeSet<Box<str>>,
    /// Refusals and connections.
    pub failed: u64,
    /// Log-ons.
    pub succeeded: u64,
    /// The first of them.
    pub first: Micros,
    /// The last of them.
    pub last: Micros,
    /// It belongs to the way that was asked for.
    pub marked: bool,
}

/// Nodes in columns, and the edges between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Each with its column, from the left.
    pub nodes: Vec<(Node, u32)>,
    /// Edges between them.
    pub edges: Vec<Edge>,
    /// Nodes that found no room.
    pub left_out: usize,
}

impl Picture {
    /// What most leads through: sources on the left, accounts in the middle, hosts on the right.
    pub fn overview(graph: &Graph, nodes_max: usize) -> Self {
        let order = ranks(graph);
        let shown: BTreeSet<&Node> = order.iter().take(nodes_max).map(|ranked| &ranked.node).collect();
        let mut edges = BTreeMap::<(Node, Node), Edge>::new();
        let mut columns = BTreeMap::<Node, u32>::new();
        for named in graph.links() {
            let ends = match (&named.from, &named.account, &named.to) {
                (from, Some(account), to) => {
                    vec![(from.as_ref(), Some(account)), (Some(account), to.as_ref())]
                }
                (from, None, to) => vec![(from.as_ref(), to.as_ref())],
            };
            for node in named.to.iter().filter(|node| shown.contains(node)) {
                columns.insert(node.clone(), 3);
            }
            for node in named.account.iter().filter(|node| shown.contains(node)) {
                columns.insert(node.clone(), 2);
            }
            for node in named.from.iter().filter(|node| shown.contains(node)) {
                columns.entry(node.clone()).or_insert(u32::from(!named.link.outside));
            }
            for (from, to) in ends {
                let (Some(from), Some(to)) = (from, to) else { continue };
                if from == to || !shown.contains(from) || !shown.contains(to) {
                    continue;
                }
                let edge = edges.entry((from.clone(), to.clone())).or_insert_with(|| Edge::new(from, to));
                edge.add(
                    named.link.failed + named.link.reached,
                    named.link.succeeded,
                    named.link.first,
                    named.link.last,
                );
                edge.accounts.extend(named.link.account.clone());
            }
        }
        let left_out = order.len() - shown.len();
        let mut edges: Vec<Edge> = edges.into_values().collect();
        edges.sort_by(|a, b| {
            (b.succeeded > 0, b.succeeded + b.failed).cmp(&(a.succeeded > 0, a.succeeded + a.failed))
        });
        edges.truncate(EDGES_MAX);
        Self { nodes: columns.into_iter().collect(), edges, left_out }
    }

    /// The way of one: each machine in the column of its step.
    pub fn way(steps: &[Step], nodes_max: usize) -> Self {
        let mut columns = BTreeMap::<Node, u32>::new();
        let mut edges = BTreeMap::<(Node, Node), Edge>::new();
        let mut left_out = BTreeSet::new();
        for step in steps {
            let from = step.from.clone().or_else(|| step.account.clone());
            let Some(from) = from else { continue };
            let is_new = |node: &Node| !columns.contains_key(node);
            let needed = usize::from(is_new(&from)) + usize::from(is_new(&step.to));
            if columns.len() + needed > nodes_max {
                left_out.insert(step.to.clone());
                continue;
            }
            let column = *columns.entry(from.clone()).or_insert(step.depth);
            columns.entry(step.to.clone()).or_insert(column + 1);
            let key = (from.clone(), step.to.clone());
            let edge = edges.entry(key).or_insert_with(|| Edge::new(&from, &step.to));
            edge.add(step.failed, step.succeeded, step.at, step.at);
            edge.marked |= step.sure;
            edge.accounts.extend(step.account.as_ref().map(|account| account.name().into()));
        }
        let mut edges: Vec<Edge> = edges.into_values().collect();
        edges.sort_by(|a, b| (a.first, &a.from, &a.to).cmp(&(b.first, &b.from, &b.to)));
        edges.truncate(EDGES_MAX);
        Self { nodes: columns.into_iter().collect(), edges, left_out: left_out.len() }
    }

    /// Where everything stands.
    pub fn draw(&self) -> Drawing {
        let places: BTreeMap<&Node, usize> =
            self.nodes.iter().enumerate().map(|(place, (node, _))| (node, place)).collect();
        let columns: Vec<u32> = self.nodes.iter().map(|(_, column)| *column).collect();
        let edges: Vec<(usize, usize)> = self
            .edges
            .iter()
            .filter_map(|edge| Some((*places.get(&edge.from)?, *places.get(&edge.to)?)))
            .collect();
        draw(&columns, &edges)
    }
}

impl Edge {
    fn new(from: &Node, to: &Node) -> Self {
        Self {
            from: from.clone(),
            to: to.clone(),
            accounts: BTreeSet::new(),
            failed: 0,
            succeeded: 0,
            first: Micros::MAX,
            last: Micros::MIN,
            marked: false,
        }
    }

    fn add(&mut self, failed: u64, succeeded: u64, first: Micros, last: Micros) {
        self.failed += failed;
        self.succeeded += succeeded;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
}
