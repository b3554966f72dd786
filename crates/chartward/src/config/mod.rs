//! `chartward.toml`: what it may hold, and what is wrong with the one at hand.
