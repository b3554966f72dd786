// Keeps what is typed on this device until the viewer has said that it is saved.
// localStorage outlives a closed tab, IndexedDB with strict durability a browser that is killed; the newer one of the two counts.
"use strict";
(() => {
  const root = document.documentElement;
  const words = JSON.parse(document.getElementById("words").textContent);
  const form = document.getElementById("note");
  const state = document.getElementById("state");
  const unsent = document.getElementById("unsent");
  const DRAFT = "chartward-draft:", OUT = "chartward-unsent:";
  const RETRY_MS = 4000;

  // --- the two stores -------------------------------------------------------------------------------------------------------
  const opened = new Promise((resolve) => {
    const request = indexedDB.open("chartward-notes", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("kept");
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => resolve(null);
  });
  const strict = async (act) => {
    const db = await opened;
    if (!db) return null;
    return new Promise((resolve) => {
      const tx = db.transaction("kept", "readwrite", { durability: "strict" });
      const request = act(tx.objectStore("kept"));
      tx.oncomplete = () => resolve(request.result);
      tx.onerror = tx.onabort = () => resolve(null);
    });
  };
  const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };
  const look = (key) => parsed(localStorage.getItem(key) ?? "null");
  const keep = async (key, value) => {
    const stamped = { ...value, kept_at: Date.now() };
    let is_kept = false;
    try { localStorage.setItem(key, JSON.stringify(stamped)); is_kept = true; } catch { /* full or forbidden: the other store is left */ }
    if (await strict((store) => store.put(stamped, key)) !== null) is_kept = true;
    root.dataset.kept = is_kept ? stamped.kept_at : "nowhere";
    return is_kept;
  };
  const forget = async (key) => { localStorage.removeItem(key); await strict((store) => store.delete(key)); };
  const reunite = async () => {
    const keys = await strict((store) => store.getAllKeys()) ?? [];
    for (const key of keys) {
      const other = await strict((store) => store.get(key)), own = look(key);
      if (other && (!own || own.kept_at < other.kept_at)) localStorage.setItem(key, JSON.stringify(other));
    }
  };
  const keysOf = (prefix) => Object.keys(localStorage).filter((key) => key.startsWith(prefix)).sort();

  // --- the form -------------------------------------------------------------------------------------------------------------
  const say = (text, kind) => { if (state) { state.textContent = text; state.dataset.kind = kind ?? ""; } };
  const fields = () => [...form.elements].filter((field) => field.name);
  const value = (name) => (form.elements[name]?.value ?? "").trim();
  const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const two = (number) => String(number).padStart(2, "0");
  const now = () => {
    const at = new Date();
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
  };
  let id = null;
  const draftKey = () => DRAFT + form.dataset.key;
  const readForm = () => Object.fromEntries(fields().map((field) => [field.name + (field.type === "radio" ? "=" + field.value : ""),
    field.type === "checkbox" || field.type === "radio" ? field.checked : field.value]));
  const writeForm = (values) => {
    for (const field of fields()) {
      const kept = values[field.name + (field.type === "radio" ? "=" + field.value : "")];
      if (kept === undefined) continue;
      if (field.type === "checkbox" || field.type === "radio") field.checked = kept; else field.value = kept;
    }
    showKind();
  };
  const showKind = () => {
    const kind = form.querySelector("[name=kind]:checked")?.value ?? "vitals";
    for (const part of form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== kind;
  };
  const isEmpty = () => fields().every((field) => field.type === "checkbox" || field.type === "radio" || field.tagName === "SELECT"
    || field.name === "at" || field.value.trim() === (field.defaultValue ?? ""));

  const birth = (text) => {
    const digits = text.replace(/[０-９]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0)).replace(/\D/g, "");
    return digits.length === 8 ? `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}` : text;
  };
  const whom = () => {
    const data = form.dataset, checked = [], who = { name: data.name ?? "", kana: data.kana ?? "" };
    if (data.patient) {
      who.id = data.patient;
      who.id = data.patient;
      if (value("seen_id")) {
        // Zeros in front are no difference; anything else is another patient, and the viewer says so.
        const seen = value("seen_id").normalize("NFKC"), bare = (text) => text.replace(/^0+/, "");
        if (bare(seen) !== bare(data.patient)) who.id = seen;
        checked.push("id");
      }
      if (form.elements.seen_name?.checked) checked.push("name");
      if (data.birth) who.birth_date = data.birth;
      if (value("seen_birth")) { who.birth_date = birth(value("seen_birth")); checked.push("birth_date"); }
    } else {
      who.downtime_number = value("number");
      who.name = value("name"); who.kana = value("kana");
      if (who.downtime_number) checked.push("downtime_number");
      if (who.name || who.kana) checked.push("name");
      if (value("seen_birth")) { who.birth_date = birth(value("seen_birth")); checked.push("birth_date"); }
    }
    return { ...who, checked };
  };
  const number = (name, entry) => { if (value(name) !== "") entry[name] = Number(value(name)); };
  const entry = () => {
    switch (form.querySelector("[name=kind]:checked")?.value) {
      case "given": return { given: { drug: value("drug"), dose: value("dose"), route: value("route"),
        ...(value("order_number") ? { order: value("order_number") } : {}), was_given: value("was_given") !== "no", remark: value("remark") } };
      case "order": return { order: { order: value("order"), what: value("what"), directions: value("directions"), ordered_by: value("ordered_by") } };
      case "text": return { text: { text: form.elements.text.value.replace(/\r\n?/g, "\n") } };
      default: {
        const vitals = {};
        for (const name of ["temperature", "pulse", "systolic", "diastolic", "respiration", "spo2", "weight", "pain"]) number(name, vitals);
        return { vitals };
      }
    }
  };
  const note = () => ({
    id, written_at: new Date().toISOString(), at: (value("at") || now()) + ":00", author: form.dataset.author, device: "viewer", patient: whom(),
    ...(form.dataset.snapshot ? { snapshot: form.dataset.snapshot } : {}), ...(form.dataset.replaces ? { replaces: form.dataset.replaces } : {}),
    entry: entry(),
  });
  const keepDraft = () => {
    if (isEmpty()) return;
    id ??= newId();
    return keep(draftKey(), { id, values: readForm(), author: form.dataset.author, token: form.dataset.token, replaces: form.dataset.replaces ?? "" });
  };
  const clearForm = () => { form.reset(); id = null; if (form.elements.at) form.elements.at.value = now(); showKind(); };

  // --- sending --------------------------------------------------------------------------------------------------------------
  /** "saved", "refused" with words, or "later" with words. */
  const send = async ({ note, token, chart }) => {
    try {
      const answer = await fetch("/notes", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ note, token, chart }), cache: "no-store" });
      const said = await answer.json().catch(() => ({}));
      if (answer.ok && said.saved === note.id) return ["saved", ""];
      if (answer.status === 401) return ["later", words.login];
      if (answer.status === 409 || answer.status === 422) return ["refused", said.refused ?? words.refused];
      return ["later", said.failed ?? words.failed];
    } catch { return ["later", words.network]; }
  };
  let isSending = false;
  const flush = async () => {
    if (isSending) return;
    isSending = true;
    let saved = 0;
    for (const key of keysOf(OUT)) {
      const item = look(key);
      if (!item?.note) continue;
      const [outcome, why] = await send(item);
      if (outcome === "saved") { await forget(key); saved += 1; } else if (item.why !== why || item.outcome !== outcome) await keep(key, { ...item, why, outcome });
    }
    isSending = false;
    listUnsent();
    if (saved > 0) {
      // Not under the fingers of who is typing: the list is brought up to date when the form is empty.
      say(words.saved, "saved");
      if (!form || isEmpty()) location.reload();
    }
  };
  const listUnsent = () => {
    if (!unsent) return;
    const items = keysOf(OUT).map((key) => [key, look(key)]).filter(([, item]) => item?.note);
    unsent.hidden = items.length === 0;
    const list = unsent.querySelector("ul");
    list.replaceChildren(...items.map(([key, item]) => {
      const line = document.createElement("li"), who = item.note.patient, said = document.createElement("span");
      said.textContent = `${item.note.at.replace("T", " ").slice(0, 16)} ${who.id ?? who.downtime_number ?? ""} ${who.name} — ${item.line ?? ""} (${item.note.author}) `;
      const why = document.createElement("strong");
      why.textContent = item.why ?? words.sending;
      line.append(said, why);
      if (item.outcome === "refused") {
        const back = document.createElement("button");
        back.type = "button"; back.textContent = words.back;
        back.onclick = async () => { if (item.draft) await keep(DRAFT + item.key, item.draft); await forget(key); location.href = item.page; };
        line.append(" ", back);
      }
      return line;
    }));
  };
  const summary = () => {
    const kind = form.querySelector("[name=kind]:checked")?.value ?? "vitals";
    const part = [...form.querySelectorAll(`[data-kind="${kind}"] [name]`)].filter((field) => field.tagName !== "SELECT" && field.type !== "radio" && field.type !== "hidden");
    return part.map((field) => field.value.trim()).filter(Boolean).join(" / ").slice(0, 80);
  };
  const submit = async (event) => {
    event.preventDefault();
    id ??= newId();
    const key = OUT + id, item = { note: note(), token: form.dataset.token, chart: form.dataset.patient ?? null, key: form.dataset.key, page: location.pathname + location.search, line: summary() };
    item.draft = { id, values: readForm(), author: form.dataset.author, token: form.dataset.token, replaces: form.dataset.replaces ?? "" };
    if (!await keep(key, item)) say(words.nowhere, "bad"); else say(words.sending, "");
    const [outcome, why] = await send(item);
    if (outcome === "saved") {
      await forget(key); await forget(draftKey());
      clearForm();
      sessionStorage.setItem("chartward-saved", "1");
      const number = item.note.patient.downtime_number ?? "";
      location.assign(location.pathname + (form.dataset.patient ? "" : "?number=" + encodeURIComponent(number)));
      return;
    }
    if (outcome === "refused") {
      await forget(key);
      await keepDraft();
      say(why, "bad");
      return;
    }
    await keep(key, { ...item, why, outcome });
    await forget(draftKey());
    clearForm();
    say(`${words.unsaved} ${why}`, "bad");
    listUnsent();
  };

  // --- beginning ------------------------------------------------------------------------------------------------------------
  const begin = async () => {
    await reunite();
    if (form) {
      if (form.elements.at && !form.elements.at.value) form.elements.at.value = now();
      const draft = look(draftKey());
      const old = parsed(form.dataset.old ?? "null");
      if (draft?.values && (draft.replaces ?? "") === (form.dataset.replaces ?? "")) {
        id = draft.id;
        // What was written under one name is not sent under another.
        if (draft.author) { form.dataset.author = draft.author; form.dataset.token = draft.token; }
        writeForm(draft.values);
        say(words.draft.replace("{who}", draft.author ?? "").replace("{at}", new Date(draft.kept_at).toLocaleString(root.lang)), "draft");
      } else if (old) { writeForm(old); }
      form.addEventListener("input", (event) => {
        if (event.target.name === "kind") showKind();
        if (event.target.name === "choice") {
          const chosen = parsed(event.target.value || "null");
          if (chosen) for (const [name, text] of Object.entries(chosen)) form.elements[name].value = text;
        }
        keepDraft();
      });
      form.addEventListener("submit", submit);
      document.getElementById("discard")?.addEventListener("click", async () => {
        if (confirm(words.discard)) { await forget(draftKey()); clearForm(); say("", ""); }
      });
      showKind();
      root.dataset.ready = "1";
    }
    if (sessionStorage.getItem("chartward-saved")) { sessionStorage.removeItem("chartward-saved"); say(words.saved, "saved"); }
    listUnsent();
    await flush();
    setInterval(flush, RETRY_MS);
    addEventListener("online", flush);
  };
  begin();
})();
