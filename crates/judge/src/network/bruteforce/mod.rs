//! Who guesses passwords.

pub(crate) mod kerberos;
pub(crate) mod ldap_ntlm;
pub(crate) mod logons;
pub(crate) mod rdp;
pub(crate) mod smb;
pub(crate) mod ssh;
