//! The web console: server-rendered pages, one small script, no other host.
