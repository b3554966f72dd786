//! Who may do what: accounts, one-time codes, roles, sessions, tokens, the sealed store.
