// What the browser keeps of this bundle, encrypted with the data key: notes, drafts, and who opened which chart.

const STORES = ['notes', 'drafts', 'opened', 'seen'];

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function database(bundle) {
  const opening = indexedDB.open(`chartward-${bundle}`, 1);
  opening.onupgradeneeded = () => STORES.forEach((store) => opening.result.createObjectStore(store));
  return asked(opening);
}

const aboutKept = (bundle, store, id) => `chartward-kept/1\n${bundle}\n${store}\n${id}`;

/** Everything of one store that the key opens, by id; the rest is counted. */
async function readAll(db, sealer, store) {
  const objects = db.transaction(store).objectStore(store);
  const [ids, values] = await Promise.all([asked(objects.getAllKeys()), asked(objects.getAll())]);
  const read = { values: new Map(), unread: 0 };
  for (const [at, id] of ids.entries()) {
    try {
      const { nonce, sealed } = values[at];
      const bytes = await sealer.open(aboutKept(sealer.bundle, store, id), new Uint8Array([...nonce, ...sealed]));
      read.values.set(id, JSON.parse(decoder.decode(bytes)));
    } catch {
      read.unread += 1;
    }
  }
  return read;
}

/**
 * The keeping of one bundle. Without a database everything stays in memory, and `trouble` says so; nothing that was typed is refused
 * because of that.
 */
async function keeping(sealer, former) {
  const kept = { trouble: null, lasting: null, unread: 0, notes: new Map(), drafts: new Map(), opened: new Map(), seen: new Map() };
  let db = null;
  let last = Promise.resolve();
  const fail = (error) => {
    kept.trouble = error && error.name ? error.name : 'Error';
    partsTold();
  };
  const change = (store, act) => {
    const step = async () => {
      if (!db) return false;
      // On the medium before it is called saved, also against a power cut.
      const transaction = db.transaction(store, 'readwrite', { durability: 'strict' });
      const done = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
        transaction.onerror = () => reject(transaction.error);
      });
      act(transaction.objectStore(store));
      await done;
      return true;
    };
    return step;
  };
  const queued = (step) => {
    last = last.then(step).catch((error) => {
      fail(error);
      return false;
    });
    return last;
  };
  /** Whether it lies on the medium now. */
  kept.put = (store, id, value) => {
    kept[store].set(id, value);
    return queued(async () => {
      const record = await sealer.seal(aboutKept(sealer.bundle, store, id), encoder.encode(JSON.stringify(value)));
      return change(store, (objects) => objects.put(record, id))();
    });
  };
  kept.remove = (store, id) => {
    kept[store].delete(id);
    return queued(change(store, (objects) => objects.delete(id)));
  };
  kept.clear = (store) => {
    kept[store].clear();
    return queued(change(store, (objects) => objects.clear()));
  };
  kept.settled = () => last;
  /** What another tab of the same browser has written meanwhile. */
  kept.refresh = () =>
    queued(async () => {
      for (const store of db ? ['notes', 'opened'] : []) {
        for (const [id, value] of (await readAll(db, sealer, store)).values) kept[store].set(id, value);
      }
      return true;
    });
  try {
    db = await database(sealer.bundle);
    db.onclose = () => {
      db = null;
      fail(new DOMException('', 'ClosedError'));
    };
    // Another tab that removes the database must not wait for this one for ever.
    db.onversionchange = () => db && db.close();
    for (const store of STORES) {
      const read = await readAll(db, sealer, store);
      kept[store] = read.values;
      kept.unread += read.unread;
    }
    await takenOver(kept, former);
  } catch (error) {
    fail(error);
  }
  try {
    kept.lasting = (await navigator.storage.persisted()) || (await navigator.storage.persist());
  } catch {
    kept.lasting = false;
  }
  return kept;
}

/** Notes and records that this browser holds of bundles that this one took the place of. */
async function takenOver(kept, former) {
  // A browser that does not tell makes an empty one, which is removed again below.
  const names = indexedDB.databases ? (await indexedDB.databases()).map((it) => it.name) : null;
  for (const { bundle, key } of former) {
    if (names && !names.includes(`chartward-${bundle}`)) continue;
    const [db, sealer] = [await database(bundle), await sealerOf(bundle, fromBase64(key))];
    let whole = true;
    for (const store of ['notes', 'drafts', 'opened']) {
      const read = await readAll(db, sealer, store);
      whole = whole && read.unread === 0;
      for (const [id, value] of read.values) {
        if (!kept[store].has(id)) whole = (await kept.put(store, id, value)) && whole;
      }
    }
    db.close();
    if (whole) indexedDB.deleteDatabase(`chartward-${bundle}`);
  }
}
