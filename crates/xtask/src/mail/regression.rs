//! Logistic regression on features that are there or not, held down by L2 and kept within each feature's bounds.
//!
//! Coordinate descent with Newton steps: deterministic, a few hundred features, no library needed.

use judge::mail::features;

/// One mail as it is learnt from.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) features: &'a [usize],
    pub(super) is_phish: bool,
    pub(super) share: f64,
}

/// What was learnt.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) bias: f64,
    pub(super) weights: Vec<f64>,
}

impl Model {
    pub(super) fn score(&self, features: &[usize]) -> f64 {
        self.bias + features.iter().filter_map(|&place| self.weights.get(place)).sum::<f64>()
    }
}

const ROUNDS: usize = 200;
const ENOUGH: f64 = 1e-5;

pub(super) fn fit(rows: &[Row], hold: f64) -> Model {
    let bounds: Vec<(f64, f64)> = features().map(|feature| feature.bounds).collect();
    let mut weights: Vec<f64> = bounds.iter().map(|&(low, high)| 0.0_f64.clamp(low, high)).collect();
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); bounds.len()];
    for (at, row) in rows.iter().enumerate() {
        row.features.iter().for_each(|&place| columns[place].push(at));
    }
    let mut bias = 0.0;
    let mut scores: Vec<f64> =
        rows.iter().map(|row| row.features.iter().map(|&place| weights[place]).sum()).collect();
    let everywhere: Vec<usize> = (0..rows.len()).collect();
    for _ in 0..ROUNDS {
        let mut moved: f64 = 0.0;
        let step = newton(rows, &scores, &everywhere, 0.0, 0.0);
        bias += step;
        scores.iter_mut().for_each(|score| *score += step);
        moved = moved.max(step.abs());
        for (place, column) in columns.iter().enumerate() {
            let (low, high) = bounds[place];
            if column.is_empty() || low == high {
                continue;
            }
            let step = newton(rows, &scores, column, hold, weights[place]);
            let next = (weights[place] + step).clamp(low, high);
            let step = next - weights[place];
            weights[place] = next;
            column.iter().for_each(|&at| scores[at] += step);
            moved = moved.max(step.abs());
        }
        if moved < ENOUGH {
            break;
        }
    }
    Model { bias, weights }
}

/// The step for one weight; held to one unit, so that it cannot overshoot.
fn newton(rows: &[Row], scores: &[f64], column: &[usize], hold: f64, weight: f64) -> f64 {
    let (mut slope, mut bend) = (hold * weight, hold + 1e-6);
    for &at in column {
        let (row, chance) = (&rows[at], 1.0 / (1.0 + (-scores[at]).exp()));
        slope += row.share * (chance - f64::from(u8::from(row.is_phish)));
        bend += row.share * chance * (1.0 - chance);
    }
    (-slope / bend).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str) -> usize {
        features().position(|feature| feature.id == id).unwrap()
    }

    #[test]
    fn what_tells_phish_from_ham_gets_weight_and_what_does_not_gets_none() {
        let (tells, common) = (place("link.shortener"), place("text.payment"));
        let (phish, ham) = (vec![tells, common], vec![common]);
        let rows: Vec<Row> = (0..400)
            .map(|at| Row {
                features: if at % 4 == 0 { &phish } else { &ham },
                is_phish: at % 4 == 0,
                share: 1.0,
            })
            .collect();
        let model = fit(&rows, 1.0);
        assert!(model.weights[tells] > 1.5, "{}", model.weights[tells]);
        assert!(model.weights[common].abs() < 0.5, "{}", model.weights[common]);
        assert!(model.score(&phish) > 0.0 && model.score(&ham) < 0.0);
    }

    #[test]
    fn weights_keep_within_their_bounds_whatever_is_counted() {
        let place = place("html.only");
        let (with, without) = (vec![place], vec![]);
        let rows: Vec<Row> = (0..400)
            .map(|at| Row {
                features: if at % 2 == 0 { &with } else { &without },
                is_phish: at % 2 == 0,
                share: 1.0,
            })
            .collect();
        let model = fit(&rows, 0.01);
        let bounds = features().nth(place).unwrap().bounds;
        assert_eq!(model.weights[place], bounds.1);
    }
}
