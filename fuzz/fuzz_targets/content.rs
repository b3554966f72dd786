//! Any bytes, whole or in stretches: looking for structure and comparing must neither panic nor read past what there is.
#![no_main]

use decode::content::{Chunk, Sample, Structure, compare, measure};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], u16, u32)| {
    let (before, after, cut, gap) = input;
    let whole = Sample::whole(before);
    let at = usize::from(cut).min(after.len());
    let (head, tail) = after.split_at(at);
    // The second stretch stands where the file's end is said to be.
    let offset = at as u64 + u64::from(gap);
    let chunks = [(0, head), (offset, tail)].into_iter().filter(|(_, bytes)| !bytes.is_empty());
    let chunks = chunks.map(|(offset, bytes)| Chunk { offset, bytes: bytes.to_vec() }).collect();
    let stretches = Sample { len: offset + tail.len() as u64, chunks };
    let found = compare(&whole, &stretches);
    assert!(found.changed <= found.compared && found.differing <= found.compared);
    let _ = Structure::of(&stretches, &found.ranges);
    let _ = measure(&stretches, &whole);
});
