//! What was acknowledged is there: after a power loss at any step, a kill at any step, an error or a lie at any step, rot in any file, and
//! whoever works on the vault at once.
//!
//! Everything that is chosen is chosen by a seed, which a failure names.

mod clock;
mod disk;
mod faults;
mod kill;
mod power;
mod rot;
mod scene;
mod together;
mod volume;
