//! Large pages for large tables: packets reach into them everywhere, and to look up where each small page lies takes as long as to read it.
//! And asking for what will be read soon.
#![allow(unsafe_code, reason = "advice about memory has no safe wrapper; this file holds nothing else")]

/// What every processor's small pages divide.
const ALIGNED: usize = 64 << 10;

/// A vector with that much room, in large pages where the kernel gives them. What is not used takes no memory, but for the rest of one
/// large page.
pub(super) fn with_room<T>(capacity: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(capacity);
    let spare = room.spare_capacity_mut();
    let start = spare.as_mut_ptr().addr();
    let from = start.next_multiple_of(ALIGNED);
    let to = (start + size_of_val(spare)) / ALIGNED * ALIGNED;
    if from < to {
        let place = spare.as_mut_ptr().cast::<libc::c_void>().wrapping_byte_add(from - start);
        // SAFETY: from `from` to `to` all belongs to the vector, and this advice changes neither its contents nor whether it may be
        // used. A kernel without large pages refuses, and nothing is lost.
        let _ = unsafe { libc::madvise(place, to - from, libc::MADV_HUGEPAGE) };
    }
    room
}

/// Bytes that come from memory together.
const LINE: usize = 64;

/// Has the processor fetch all of this, and does not wait for it. Reading it would wait: what follows can overtake a read, but not by far.
#[inline(always)]
pub(super) fn ask<T>(what: &T) {
    let at = std::ptr::from_ref(what).cast::<u8>();
    for line in (0..size_of::<T>()).step_by(LINE) {
        ask_at(at.wrapping_add(line));
    }
    ask_at(at.wrapping_add(size_of::<T>() - 1));
}

/// The same for one place in memory, whatever is there, and if nothing is.
#[inline(always)]
pub(super) fn ask_at(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it is a hint, which changes nothing and never fails, whether the address is that of something or not.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    // Other processors fetch it when it is read.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_as_much_room_as_was_asked_for_and_it_can_be_used() {
        for capacity in [0, 1, 1_000, 70_000, 3_000_000] {
            let mut room = with_room::<u64>(capacity);
            assert!(room.capacity() >= capacity);
            room.extend(0..capacity as u64);
            assert!(room.iter().copied().eq(0..capacity as u64));
        }
    }
}
