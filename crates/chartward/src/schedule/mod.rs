//! When backups, drills, exports and checks are due, and which were missed.
