// From the passphrase to the data key, and what is sealed with it.

const BUNDLE_FORMAT = 'chartward-bundle/1';
const ITERATIONS_MIN = 600000;
const ITERATIONS_MAX = 20000000;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
  return bytes;
}

function toBase64(bytes) {
  let raw = '';
  for (let at = 0; at < bytes.length; at += 8192) raw += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(raw);
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What this page needs and old browsers lack; empty when there is all. */
function missingFromBrowser() {
  const missing = [];
  if (!globalThis.crypto || !crypto.subtle) missing.push('WebCrypto');
  if (!globalThis.DecompressionStream) missing.push('DecompressionStream');
  return missing;
}

const gcm = (nonce, about) => ({ name: 'AES-GCM', iv: nonce, additionalData: encoder.encode(about), tagLength: 128 });

/** The data key of a bundle; it cannot be read out of the browser's keeping. */
async function sealerOf(bundle, raw) {
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
  return {
    bundle,
    async open(about, bytes) {
      return new Uint8Array(await crypto.subtle.decrypt(gcm(bytes.subarray(0, 12), about), key, bytes.subarray(12)));
    },
    async seal(about, bytes) {
      const nonce = crypto.getRandomValues(new Uint8Array(12));
      return { nonce, sealed: new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, about), key, bytes)) };
    },
    /** A part or the manifest: unpacked text. */
    async text(name, bytes) {
      return decoder.decode(await unpacked(await this.open(`${BUNDLE_FORMAT}\n${bundle}\n${name}`, bytes)));
    },
  };
}

/** The sealer of this bundle; null when the passphrase is another one. */
async function unlocked(header, passphrase) {
  const { salt, iterations, wrapped } = header.lock;
  if (!(iterations >= ITERATIONS_MIN && iterations <= ITERATIONS_MAX)) return null;
  const typed = await crypto.subtle.importKey('raw', encoder.encode(passphrase.normalize('NFKC')), 'PBKDF2', false, ['deriveKey']);
  const derivation = { name: 'PBKDF2', hash: 'SHA-256', salt: fromBase64(salt), iterations };
  const opener = await crypto.subtle.deriveKey(derivation, typed, { name: 'AES-GCM', length: 256 }, false, ['decrypt']);
  const bytes = fromBase64(wrapped);
  const about = `${BUNDLE_FORMAT}\n${header.bundle}\nkey`;
  try {
    return await sealerOf(header.bundle, await crypto.subtle.decrypt(gcm(bytes.subarray(0, 12), about), opener, bytes.subarray(12)));
  } catch {
    return null;
  }
}
