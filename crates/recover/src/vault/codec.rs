//! Sealing and compressing with contexts that are made once for each thread and kept.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};

use super::crypto::Key;
use super::id::{BlobKind, Id};
use crate::Error;

/// restic's default level.
const LEVEL: i32 = 3;
/// Largest blob of file content that is accepted; restic and this engine write at most 8 MiB.
pub(crate) const MAX_DATA: u32 = 32 << 20;
/// Largest listing of a directory: about a million entries.
pub(crate) const MAX_TREE: u32 = 512 << 20;
/// Largest index, snapshot or lock after decompression.
const MAX_UNPACKED: u64 = 256 << 20;
/// First byte of a compressed file that is not a pack (restic design, "Unpacked Data Format").
const COMPRESSED: u8 = 2;

pub(crate) fn limit(kind: BlobKind) -> u32 {
    match kind {
        BlobKind::Data => MAX_DATA,
        BlobKind::Tree => MAX_TREE,
    }
}

/// What one thread needs to turn blobs into sealed bytes and back.
pub(crate) struct Codec {
    key: Key,
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
}

/// A sealed blob, and its length before compression if it is compressed.
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) uncompressed: Option<u32>,
}

impl Codec {
    fn new(key: Key) -> Result<Codec, Error> {
        let failed = |source| Error::Engine { op: "set up compression", source };
        Ok(Codec {
            key,
            compressor: Compressor::new(LEVEL).map_err(failed)?,
            decompressor: Decompressor::new().map_err(failed)?,
            compressed: Vec::new(),
        })
    }

    /// Compresses and seals. What does not become smaller is stored as it is, where the format version allows compression at all.
    pub(crate) fn seal_blob(&mut self, plain: &[u8], compress: bool) -> Result<Sealed, Error> {
        let mut bytes = Vec::new();
        if compress {
            self.compress(plain)?;
            if self.compressed.len() < plain.len() {
                self.key.seal(&self.compressed, &mut bytes)?;
                return Ok(Sealed { bytes, uncompressed: u32::try_from(plain.len()).ok() });
            }
        }
        self.key.seal(plain, &mut bytes)?;
        Ok(Sealed { bytes, uncompressed: None })
    }

    fn compress(&mut self, plain: &[u8]) -> Result<(), Error> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        self.compressor
            .compress_to_buffer(plain, &mut self.compressed)
            .map(|_| ())
            .map_err(|source| Error::Engine { op: "compress", source })
    }

    /// The content of a blob, whose hash must be `id`, in `sealed` or in `opened`; both are overwritten. The cause of a failure is
    /// put in words.
    pub(crate) fn open_blob<'b>(
        &mut self,
        kind: BlobKind,
        id: &Id,
        sealed: &'b mut [u8],
        uncompressed: Option<u32>,
        opened: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], &'static str> {
        let plain = self.key.open(sealed).ok_or("its authentication fails")?;
        let content: &[u8] = match uncompressed {
            None => plain,
            Some(length) if length > limit(kind) => {
                return Err("it claims to be larger than any blob may be");
            }
            Some(length) => {
                opened.clear();
                opened.reserve(length as usize);
                self.decompressor
                    .decompress_to_buffer(plain, opened)
                    .map_err(|_| "it does not decompress")?;
                if opened.len() != length as usize {
                    return Err("it decompresses to another length");
                }
                opened
            }
        };
        if Id::of(content) != *id {
            return Err("its content does not match its name");
        }
        Ok(content)
    }

    /// Seals an index, a snapshot or a lock.
    pub(crate) fn seal_file(&mut self, plain: &[u8], compress: bool) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::new();
        if compress {
            self.compress(plain)?;
            let mut marked = Vec::with_capacity(self.compressed.len() + 1);
            marked.push(COMPRESSED);
            marked.extend_from_slice(&self.compressed);
            self.key.seal(&marked, &mut sealed)?;
        } else {
            self.key.seal(plain, &mut sealed)?;
        }
        Ok(sealed)
    }

    /// The text of an index, a snapshot, a lock or a config; the cause of a failure is put in words.
    pub(crate) fn open_file(&self, sealed: &mut [u8]) -> Result<Vec<u8>, &'static str> {
        let plain = self.key.open(sealed).ok_or("its authentication fails")?;
        match plain.first() {
            Some(&COMPRESSED) => decompress_file(&plain[1..]).map_err(|_| "it does not decompress"),
            Some(b'{' | b'[') => Ok(plain.to_vec()),
            _ => Err("it has an unknown encoding"),
        }
    }

    /// The plain text of a pack's header.
    pub(crate) fn open_header<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.key.open(sealed)
    }
}

fn decompress_file(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    zstd::stream::read::Decoder::new(compressed)?.take(MAX_UNPACKED + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_UNPACKED {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Contexts that are not in use.
pub(crate) struct Codecs {
    key: Key,
    idle: Mutex<Vec<Codec>>,
}

impl Codecs {
    pub(crate) fn new(key: Key) -> Codecs {
        Codecs { key, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn take(&self) -> Result<Codec, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Codec::new(self.key.clone()), Ok)
    }

    pub(crate) fn give_back(&self, codec: Codec) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(codec);
    }
}
