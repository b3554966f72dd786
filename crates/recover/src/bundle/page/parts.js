// The files of data: loaded as scripts, since a page of file:// may fetch nothing, compared with the manifest, and decrypted.

const PARTS_KEPT = 6;
const waiting = new Map();

/** What manifest.js and the files of data call. */
const chartward = {
  header: null,
  manifest(header) {
    this.header = header;
  },
  part(name, data) {
    const heard = waiting.get(document.currentScript);
    if (heard) heard(name, data);
  },
};

/** A part that cannot be used: "missing", "swapped" or "changed". */
class PartError extends Error {
  constructor(part, cause) {
    super(`${part.name}: ${cause}`);
    this.part = part;
    this.why = cause;
  }
}

function loadedScript(part) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    let said = null;
    const end = (settle, value) => {
      waiting.delete(script);
      script.remove();
      settle(value);
    };
    waiting.set(script, (name, data) => {
      said = { name, data };
    });
    script.onload = () => {
      if (!said) end(reject, new PartError(part, 'changed'));
      else if (said.name !== part.name) end(reject, new PartError(part, 'swapped'));
      else end(resolve, said.data);
    };
    script.onerror = () => end(reject, new PartError(part, 'missing'));
    script.src = part.file;
    document.head.append(script);
  });
}

/** The bytes of a part, which are those that the manifest names. */
async function wholePart(part) {
  const data = await loadedScript(part);
  let bytes;
  try {
    bytes = fromBase64(data);
  } catch {
    throw new PartError(part, 'changed');
  }
  if ((await sha256(bytes)) !== part.sha256) throw new PartError(part, 'changed');
  return bytes;
}

/** Reads parts and keeps the latest few; remembers which ones are whole and which are not. */
function partsOf(sealer, manifest, tell) {
  const texts = new Map();
  const state = { whole: new Set(), faults: new Map(), total: manifest.parts.length };
  const noted = async (part, reading) => {
    try {
      const result = await reading;
      state.whole.add(part.name);
      state.faults.delete(part.name);
      return result;
    } catch (error) {
      const fault = error instanceof PartError ? error : new PartError(part, 'changed');
      state.whole.delete(part.name);
      state.faults.set(part.name, fault);
      tell(state);
      throw fault;
    }
  };
  const text = (part) => noted(part, (async () => sealer.text(part.name, await wholePart(part)))());
  return {
    state,
    text,
    /** Charts of a part, by patient id. */
    async charts(name) {
      const part = manifest.parts.find((it) => it.name === name && it.kind === 'charts');
      if (!part) throw new PartError({ name, patients: 0 }, 'missing');
      let charts = texts.get(name);
      if (!charts) charts = new Map(JSON.parse(await text(part)));
      texts.delete(name);
      texts.set(name, charts);
      while (texts.size > PARTS_KEPT) texts.delete(texts.keys().next().value);
      return charts;
    },
    /** Looks at every part that was not looked at yet, one after the other, with rests for whoever works meanwhile. */
    async check() {
      for (const part of manifest.parts) {
        if (!state.whole.has(part.name) && !state.faults.has(part.name)) {
          await noted(part, wholePart(part)).catch(() => {});
          tell(state);
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
      }
    },
  };
}
