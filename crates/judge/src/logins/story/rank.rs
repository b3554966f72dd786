//! PageRank over accounts and the machines that they come from and go to (as LogonTracer does): what many ways lead through is looked at
//! first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Graph, Node};

const DAMPING: f64 = 0.85;
const ROUNDS_MAX: usize = 200;
const ENOUGH: f64 = 1e-12;

/// How much leads through a node; all ranks together are 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The node.
    pub node: Node,
    /// Its share.
    pub rank: f64,
}

/// Every node of the graph, the highest rank first.
pub fn ranks(graph: &Graph) -> Vec<Ranked> {
    let mut edges = BTreeSet::new();
    for named in graph.links() {
        for machine in [&named.from, &named.to].into_iter().flatten() {
            match &named.account {
                Some(account) => _ = edges.insert((account.clone(), machine.clone())),
                None => {
                    if let (Some(from), Some(to)) = (&named.from, &named.to) {
                        edges.insert((from.clone(), to.clone()));
                    }
                }
            }
        }
    }
    let nodes: BTreeSet<&Node> = edges.iter().flat_map(|(a, b)| [a, b]).collect();
    let places: BTreeMap<&Node, usize> =
        nodes.iter().enumerate().map(|(place, node)| (*node, place)).collect();
    let numbered: Vec<(usize, usize)> = edges.iter().map(|(a, b)| (places[a], places[b])).collect();
    let ranks = page_rank(nodes.len(), &numbered);
    let mut all: Vec<Ranked> =
        nodes.into_iter().zip(ranks).map(|(node, rank)| Ranked { node: node.clone(), rank }).collect();
    all.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| a.node.cmp(&b.node)));
    all
}

/// PageRank of an undirected graph, by power iteration: each node gives its rank to its neighbours in equal parts.
pub(super) fn page_rank(nodes: usize, edges: &[(usize, usize)]) -> Vec<f64> {
    if nodes == 0 {
        return Vec::new();
    }
    let mut degree = vec![0_u32; nodes];
    for (a, b) in edges {
        degree[*a] += 1;
        degree[*b] += 1;
    }
    let even = 1.0 / nodes as f64;
    let mut ranks = vec![even; nodes];
    for _ in 0..ROUNDS_MAX {
        // What nodes without neighbours hold goes to all.
        let loose: f64 =
            ranks.iter().zip(&degree).filter(|(_, degree)| **degree == 0).map(|(rank, _)| rank).sum();
        let mut next = vec![(1.0 - DAMPING) * even + DAMPING * loose * even; nodes];
        for (a, b) in edges {
            next[*b] += DAMPING * ranks[*a] / f64::from(degree[*a]);
            next[*a] += DAMPING * ranks[*b] / f64::from(degree[*b]);
        }
        let change: f64 = ranks.iter().zip(&next).map(|(old, new)| (old - new).abs()).sum();
        ranks = next;
        if change < ENOUGH {
            break;
        }
    }
    ranks
}
