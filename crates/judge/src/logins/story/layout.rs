//! Nodes in columns, ordered so that lines cross seldom: always the same picture for the same graph.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const BOX_WIDTH: u32 = 168;
const BOX_HEIGHT: u32 = 34;
const COLUMN: u32 = 300;
const ROW: u32 = 58;
const MARGIN: u32 = 16;
/// Sweeps of the ordering; it hardly changes after a few.
const SWEEPS: usize = 6;

/// Where a node stands, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Where an edge runs: a curve from one point to the other, bent towards the points between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its beginning.
    pub from: (u32, u32),
    /// The two points that bend it.
    pub bends: [(u32, u32); 2],
    /// Its end.
    pub to: (u32, u32),
    /// Where its words stand.
    pub label: (u32, u32),
}

/// A whole picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawing {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Where each node stands.
    pub boxes: Vec<Place>,
    /// Where each edge runs.
    pub lines: Vec<Line>,
}

/// Places nodes by their columns, and edges between them (by the nodes' numbers).
pub(super) fn draw(columns: &[u32], edges: &[(usize, usize)]) -> Drawing {
    let rows = order(columns, edges);
    let used: BTreeMap<u32, u32> = used_columns(columns);
    let tallest = used.values().copied().collect::<std::collections::BTreeSet<_>>().len() as u32;
    let mut counts = BTreeMap::<u32, u32>::new();
    for column in columns {
        *counts.entry(*column).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    let boxes: Vec<Place> = columns
        .iter()
        .zip(&rows)
        .map(|(column, row)| Place {
            x: MARGIN + used[column] * COLUMN,
            // Short columns stand in the middle.
            y: MARGIN + row * ROW + (most - counts[column]) * ROW / 2,
            width: BOX_WIDTH,
            height: BOX_HEIGHT,
        })
        .collect();
    Drawing {
        width: MARGIN * 2 + tallest.saturating_sub(1) * COLUMN + BOX_WIDTH,
        height: MARGIN * 2 + most.saturating_sub(1) * ROW + BOX_HEIGHT,
        lines: edges.iter().enumerate().map(|(n, (a, b))| line(boxes[*a], boxes[*b], n)).collect(),
        boxes,
    }
}

/// Columns without a gap between them.
fn used_columns(columns: &[u32]) -> BTreeMap<u32, u32> {
    let used: std::collections::BTreeSet<u32> = columns.iter().copied().collect();
    used.into_iter().zip(0..).collect()
}

/// The row of each node in its column: near the middle of its neighbours' rows.
fn order(columns: &[u32], edges: &[(usize, usize)]) -> Vec<u32> {
    let mut rows = vec![0.0_f64; columns.len()];
    let mut members = BTreeMap::<u32, Vec<usize>>::new();
    for (node, column) in columns.iter().enumerate() {
        let column = members.entry(*column).or_default();
        rows[node] = column.len() as f64;
        column.push(node);
    }
    let mut neighbours = vec![Vec::new(); columns.len()];
    for (a, b) in edges {
        neighbours[*a].push(*b);
        neighbours[*b].push(*a);
    }
    for _ in 0..SWEEPS {
        for column in members.values_mut() {
            let middle = |node: &usize| {
                let near = &neighbours[*node];
                if near.is_empty() {
                    return rows[*node];
                }
                near.iter().map(|other| rows[*other]).sum::<f64>() / near.len() as f64
            };
            let mut wanted: Vec<(f64, usize)> = column.iter().map(|node| (middle(node), *node)).collect();
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            *column = wanted.into_iter().map(|(_, node)| node).collect();
            for (row, node) in column.iter().enumerate() {
                rows[*node] = row as f64;
            }
        }
    }
    rows.into_iter().map(|row| row as u32).collect()
}

/// From the right edge of one to the left edge of the other; within a column and backwards, around by the right.
fn line(a: Place, b: Place, number: usize) -> Line {
    let forward = b.x > a.x;
    let from = (a.x + a.width, a.y + a.height / 2);
    let to = if forward { (b.x, b.y + b.height / 2) } else { (b.x + b.width, b.y + b.height / 2) };
    let bend = if forward { (to.0 - from.0) / 2 } else { 60 };
    let bends = if forward {
        [(from.0 + bend, from.1), (to.0 - bend, to.1)]
    } else {
        [(from.0 + bend, from.1), (to.0 + bend, to.1)]
    };
    // Words of lines that leave one box stand at different places, so that they do not cover each other.
    let third = number as u32 % 3;
    let along = |a: u32, b: u32| (a * (5 - third) + b * (3 + third)) / 8;
    let x = if forward { along(from.0, to.0) } else { from.0.max(to.0) + bend / 2 };
    Line { from, bends, to, label: (x, along(from.1, to.1).saturating_sub(4)) }
}
