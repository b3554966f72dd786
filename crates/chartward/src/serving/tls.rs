//! The certificate that a server of ours makes for itself: one self-signed leaf, its key readable by its owner only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Browsers refuse server certificates that hold for longer than 398 days.
const VALID_DAYS: i64 = 397;
/// Programs compare the certificate with a copy that somebody carried to them, so it is to stay as it is.
const PINNED_DAYS: i64 = 3650;
const RENEW_DAYS_BEFORE: i64 = 30;

/// What stands beside the certificate, so that nobody has to take it apart to know when to renew it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct About {
    names: Vec<String>,
    not_after: Date,
}

/// A certificate with its key, ready to serve with.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, as browsers show it: upper-case pairs with colons.
    pub(crate) fingerprint: String,
}

/// The identity of a state folder; made at the first run, and anew when it ends within 30 days or the names changed.
pub(crate) fn identity(state_dir: &Path, names: &[String], now: Timestamp) -> anyhow::Result<Identity> {
    identity_for(state_dir, names, now, VALID_DAYS)
}

/// As [`identity`], for clients that are programs: it holds for ten years.
pub(crate) fn pinned_identity(
    state_dir: &Path,
    names: &[String],
    now: Timestamp,
) -> anyhow::Result<Identity> {
    identity_for(state_dir, names, now, PINNED_DAYS)
}

fn identity_for(state_dir: &Path, names: &[String], now: Timestamp, days: i64) -> anyhow::Result<Identity> {
    let folder = state_dir.join("tls");
    let today = now.to_zoned(TimeZone::UTC).date();
    let wanted = |about: &About| {
        about.names == names && today < about.not_after.saturating_sub(RENEW_DAYS_BEFORE.days())
    };
    if about(&folder).filter(wanted).is_none() {
        make(&folder, names, today, days)
            .with_context(|| format!("make the certificate in {}", folder.display()))?;
    }
    load(&folder).with_context(|| {
        format!("read the certificate in {}; remove that folder to have it made anew", folder.display())
    })
}

fn about(folder: &Path) -> Option<About> {
    serde_json::from_slice(&fs::read(folder.join("about.json")).ok()?).ok()
}

fn make(folder: &Path, names: &[String], today: Date, days: i64) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let not_after = today.saturating_add(days.days());
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Chartward");
    let midnight = |day: Date| {
        date_time_ymd(i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    // A day back, for a browser on a machine whose clock is late.
    params.not_before = midnight(today.saturating_sub(1.days()));
    params.not_after = midnight(not_after);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // What says until when it holds comes last: a run that was killed in between makes all of it anew.
    let _ = fs::remove_file(folder.join("about.json"));
    put(&folder.join("key.pem"), key.serialize_pem().as_bytes())?;
    put(&folder.join("certificate.pem"), certificate.pem().as_bytes())?;
    put(&folder.join("about.json"), &serde_json::to_vec(&About { names: names.to_vec(), not_after })?)
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let partial: PathBuf = path.with_extension("partial");
    let _ = fs::remove_file(&partial);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(fs::rename(&partial, path)?)
}

fn load(folder: &Path) -> anyhow::Result<Identity> {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let digest = Sha256::digest(certificate.as_ref());
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), fingerprint: pairs.join(":") })
}

/// For programs that hand logs over: a certificate of the hospital's, else one of our own for ten years; where an authority is given,
/// only those with a certificate of it may come.
pub(crate) fn intake(
    given: Option<&(PathBuf, PathBuf)>,
    client_ca: Option<&Path>,
    folder: &Path,
) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate, key) = match given {
        Some((certificate, key)) => (certificate.clone(), key.clone()),
        None => {
            let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let names = [name.trim(), "localhost"].map(str::to_owned).to_vec();
            pinned_identity(folder, &names, Timestamp::now())?;
            (folder.join("tls/certificate.pem"), folder.join("tls/key.pem"))
        }
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("read the certificate {}", certificate.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(&key).with_context(|| format!("read the key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for authority in CertificateDer::pem_file_iter(path)
                .with_context(|| format!("read the authority {}", path.display()))?
            {
                roots.add(authority?)?;
            }
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_certificate_is_kept_until_it_ends_or_the_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let at = |time: &str, list: &[&str]| {
            identity(dir.path(), &names(list), time.parse().unwrap()).unwrap().fingerprint
        };
        let first = at("2026-03-01T00:00:00Z", &["localhost", "127.0.0.1"]);
        assert_eq!(first.len(), 32 * 3 - 1);
        assert_eq!(at("2027-02-01T00:00:00Z", &["localhost", "127.0.0.1"]), first);
        let renewed = at("2027-03-04T00:00:00Z", &["localhost", "127.0.0.1"]);
        assert_ne!(renewed, first);
        assert_ne!(at("2027-03-04T00:00:00Z", &["emr.hospital.example"]), renewed);
        let key = dir.path().join("tls/key.pem");
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
