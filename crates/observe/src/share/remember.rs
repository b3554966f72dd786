//! What files held before: samples in a bounded store.

use std::collections::{HashMap, VecDeque};

use decode::content::{Kind, Sample};

/// Samples by the file's number, the oldest given up first.
#[derive(Debug)]
pub(super) struct Samples {
    kept: HashMap<u64, Sample>,
    order: VecDeque<u64>,
    bytes: usize,
    bytes_max: usize,
}

impl Samples {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn get(&self, file: u64) -> Option<&Sample> {
        self.kept.get(&file)
    }

    /// Takes a sample as what the file held, unless it holds together as nothing while an earlier one did: then the earlier one stays,
    /// so that the loss is seen as often as it is measured.
    pub(super) fn keep(&mut self, file: u64, sample: Sample) {
        let has_structure = |sample: &Sample| Kind::of(sample).family().is_some();
        if self.kept.get(&file).is_some_and(|old| has_structure(old) && !has_structure(&sample)) {
            return;
        }
        self.bytes += size(&sample);
        if let Some(old) = self.kept.insert(file, sample) {
            self.bytes -= size(&old);
        } else {
            self.order.push_back(file);
        }
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= self.kept.remove(&oldest).as_ref().map_or(0, size);
        }
    }
}

fn size(sample: &Sample) -> usize {
    sample.chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_not_taken_for_the_original_and_room_is_bounded() {
        let mut samples = Samples::new(10_000);
        let text = Sample::whole(b"MSH|^~\\&|HIS");
        samples.keep(1, text.clone());
        samples.keep(1, Sample::whole(&[0; 12]));
        assert_eq!(samples.get(1), Some(&text));
        for file in 2..200 {
            samples.keep(file, Sample::whole(&[b'a'; 1000]));
        }
        assert!(samples.len() < 12 && samples.get(1).is_none() && samples.get(199).is_some());
        assert!(samples.bytes <= 10_000);
    }
}
