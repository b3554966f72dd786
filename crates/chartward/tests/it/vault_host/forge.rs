//! An attacker with root on the client has the passphrase, so whatever it writes is authentic.

use aes::cipher::{Array, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128, Aes256};
use base64::Engine;
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use poly1305::Poly1305;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The repository's own key, as `restic cat masterkey` shows it.
pub(super) struct Master {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    base64::prelude::BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

pub(super) fn name_of(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

impl Master {
    pub(super) fn read(text: &str) -> Master {
        let key: Value = serde_json::from_str(text).unwrap();
        Master {
            encrypt: bytes(&key["encrypt"]),
            mac_k: bytes(&key["mac"]["k"]),
            mac_r: bytes(&key["mac"]["r"]),
        }
    }

    pub(super) fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let iv = [7; 16];
        let mut text = plain.to_vec();
        let core: CtrCore<Aes256, Ctr128BE> =
            CtrCore::inner_iv_init(Aes256::new(&self.encrypt.into()), &Array::from(iv));
        StreamCipherCoreWrapper::from_core(core).apply_keystream(&mut text);
        let mut nonce = Array::from(iv);
        Aes128::new(&self.mac_k.into()).encrypt_block(&mut nonce);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&nonce);
        let tag = Poly1305::new(&key.into()).compute_unpadded(&text);
        [&iv[..], &text, &tag[..]].concat()
    }
}
