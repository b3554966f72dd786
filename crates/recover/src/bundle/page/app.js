// The screens: the door, the list, the chart, one's own notes.

const LISTED_MAX = 100;
const app = document.getElementById('app');
/** Everything that is decrypted hangs on this; locking throws it away. */
let session = null;
/** What is on the screen: draws itself again when the language changes. */
let screen = null;
let screenName = '';
let lastTouch = Date.now();

const busy = (text) => app.replaceChildren(el('p', { class: 'door', role: 'status' }, text));

function show(name, draw) {
  screenName = name;
  screen = draw;
  document.documentElement.lang = lang;
  app.replaceChildren(...draw());
}

const languages = () =>
  el('button', { type: 'button', id: 'lang', lang: lang === 'ja' ? 'en' : 'ja', onclick: () => { lang = lang === 'ja' ? 'en' : 'ja'; show(screenName, screen); } }, t('日本語', 'English'));

// The door.

function door(message = '') {
  show('door', () => {
    const missing = missingFromBrowser();
    const header = chartward.header;
    const trouble = [
      missing.length > 0 && t(`This browser is too old: it lacks ${missing.join(', ')}.`, `このブラウザーは古いため開けません（${missing.join('、')} がありません）。`),
      !header && t('The file manifest.js is missing or damaged: the bundle cannot be opened. Use another copy.', 'manifest.js がないか、壊れているため開けません。別のコピーを使用してください。'),
      header && header.format !== BUNDLE_FORMAT && t('The bundle has a format that this page cannot read.', 'このバンドルの形式には対応していません。'),
    ].filter(Boolean);
    const who = el('input', { id: 'who', autocomplete: 'off', required: true, maxlength: 100, value: session && session.who });
    const passphrase = el('input', { id: 'passphrase', type: 'password', autocomplete: 'off', required: true, maxlength: 1000 });
    const submit = (event) => {
      event.preventDefault();
      enter(who.value.normalize('NFC').replace(/\p{Cc}/gu, ' ').trim(), passphrase.value);
    };
    return [
      el('form', { class: 'door', id: 'door', onsubmit: submit },
        el('h1', {}, t('Charts while the record system is down', '電子カルテ停止中のカルテ参照')),
        trouble.map((text) => el('p', { class: 'warn', role: 'alert' }, text)),
        message && el('p', { class: 'warn', role: 'alert', id: 'door-message' }, message),
        el('label', {}, el('span', {}, t('Your name (it stands on your notes, and in the record of who opened which chart)', 'あなたの氏名（記録と閲覧履歴に残ります）')), who),
        el('label', {}, el('span', {}, t('Passphrase of this medium', 'この媒体のパスフレーズ')), passphrase),
        el('p', {}, el('button', { type: 'submit', class: 'primary', id: 'enter', disabled: trouble.length > 0 }, t('Open', '開く')), ' ', languages()),
        header && el('p', { class: 'soft' }, t('Made ', '作成 '), minute(new Date(header.made_at)), ' · ', header.bundle.slice(0, 8))),
    ];
  });
  const first = document.getElementById('who');
  if (first) first.focus();
}

async function enter(who, passphrase) {
  if (!who || !passphrase) return;
  busy(t('Opening…', '開いています…'));
  const header = chartward.header;
  const sealer = await unlocked(header, passphrase).catch(() => null);
  if (!sealer) return door(t('The passphrase does not open this bundle. Nothing was opened.', 'パスフレーズが違うため、開けませんでした。'));
  let manifest;
  try {
    manifest = JSON.parse(await sealer.text('manifest', fromBase64(header.manifest)));
  } catch {
    return door(t('The passphrase is right, and manifest.js is damaged or was replaced. Use another copy.', 'パスフレーズは正しいですが、manifest.js が壊れているか、差し替えられています。別のコピーを使用してください。'));
  }
  const begun = { who, bundle: header.bundle, manifest, selected: 0, query: '', ward: null, chart: null };
  begun.parts = partsOf(sealer, manifest, partsTold);
  begun.kept = await keeping(sealer, manifest.former);
  const indexes = manifest.parts.filter((part) => part.kind === 'index');
  const texts = await Promise.all(indexes.map((part) => begun.parts.text(part).catch(() => '')));
  begun.index = readIndex(texts);
  begun.wards = wardsOf(begun.index);
  const seen = begun.kept.seen.get('edition');
  begun.older = Boolean(seen && seen.edition > manifest.edition);
  if (!begun.older) begun.kept.put('seen', 'edition', { edition: manifest.edition });
  session = begun;
  lastTouch = Date.now();
  home();
  begun.parts.check();
}

// What stands on every page.

function bar(...more) {
  return el('div', { class: 'bar' },
    more,
    el('span', { class: 'grow' }, session.who),
    el('button', { type: 'button', id: 'own', onclick: ownNotes }, t(`Notes (${session.kept.notes.size})`, `記録（${session.kept.notes.size}）`)),
    languages(),
    el('button', { type: 'button', id: 'lock', onclick: () => lock('') }, t('Lock', 'ロック')));
}

const basisOf = () => session.manifest.basis[lang];

/** What is wrong with the bundle or the browser, as long as it is. */
function warnings() {
  const { parts, kept, manifest } = session;
  const faults = [...parts.state.faults.values()];
  const causes = {
    missing: t('missing', '見つかりません'),
    swapped: t('another part lies in its place', '別の部分と入れ替わっています'),
    changed: t('damaged or replaced', '壊れているか、差し替えられています'),
  };
  const says = [];
  if (faults.length > 0) {
    const lost = faults.filter(({ part }) => part.kind === 'charts').reduce((sum, { part }) => sum + part.patients, 0);
    const unlisted = faults.filter(({ part }) => part.kind === 'index').reduce((sum, { part }) => sum + part.patients, 0);
    says.push(t(`This bundle is not whole: ${faults.length} of ${parts.state.total} files cannot be used.`, `このバンドルは完全ではありません。${parts.state.total}個のうち${faults.length}個のファイルを使用できません。`));
    if (lost > 0) says.push(t(`The charts of ${lost} patients cannot be shown.`, `${lost}名の患者のカルテを表示できません。`));
    if (unlisted > 0) says.push(t(`${unlisted} patients are missing from the list.`, `${unlisted}名の患者が一覧に表示されません。`));
    for (const { part, why } of faults.slice(0, 5)) says.push(`${part.file || part.name} — ${causes[why]}`);
    says.push(t('Use another copy. (If the bundle was renewed just now, lock and open it again.)', '別のコピーを使用してください（更新した直後であれば、ロックして開き直してください）。'));
  }
  if (session.older) says.push(t('A later edition of this bundle was opened on this device before: this one is older.', 'この端末では、より新しい版が以前に開かれています。これは古い版です。'));
  if (manifest.unread > 0) says.push(t(`${manifest.unread} records or folders could not be read at the export: a patient may be missing here.`, `作成時に${manifest.unread}件の記録・フォルダーを読めませんでした。一覧にない患者がいる可能性があります。`));
  if (kept.unread > 0) says.push(t(`${kept.unread} entries that this browser keeps cannot be decrypted.`, `このブラウザーに保存された${kept.unread}件を復号できません。`));
  if (kept.trouble) says.push(t('THIS BROWSER KEEPS NOTHING: notes are lost when the page is closed. Export them before, or write on paper.', 'このブラウザーには保存できません。ページを閉じると記録は失われます。閉じる前に書き出すか、紙に記入してください。'));
  const hints = [];
  if (!kept.trouble && !kept.lasting) hints.push(t('Notes are kept on this device, encrypted; the browser may clear them (private window, full disk, settings): export them often.', '記録はこの端末に暗号化して保存されますが、ブラウザーが消去する場合があります（プライベートウィンドウ、空き容量不足、設定）。こまめに書き出してください。'));
  return el('div', { id: 'warnings' },
    says.length > 0 && el('div', { class: 'warn', role: 'alert' }, says.map((text) => el('div', {}, text))),
    hints.map((text) => el('p', { class: 'whole' }, text)));
}

function wholeLine() {
  const { whole, faults, total } = session.parts.state;
  const looked = whole.size + faults.size;
  const text = looked < total ? t(`Looking through the files: ${looked} of ${total}`, `ファイルを確認中: ${looked}/${total}`) : t(`All ${total} files were looked through: ${faults.size} cannot be used.`, `全${total}ファイルを確認しました: 使用できないもの ${faults.size}`);
  return el('p', { class: 'whole', id: 'whole' }, text);
}

/** A part was looked at, or the browser kept something not: what is said of it is said anew, without drawing over what is being typed. */
function partsTold() {
  if (!session) return;
  const before = document.getElementById('warnings');
  if (before) before.replaceWith(warnings());
  const whole = document.getElementById('whole');
  if (whole) whole.replaceWith(wholeLine());
}

const basisList = () => {
  const { proven, origin } = session.manifest.basis;
  return el('ul', { class: proven ? 'home-basis' : 'home-basis unproven', title: origin }, basisOf().map((line) => el('li', {}, line)));
};

// The list.

function home() {
  session.chart = null;
  show('home', () => {
    const search = el('input', {
      class: 'search', id: 'search', type: 'search', autocomplete: 'off', value: session.query,
      placeholder: t('Id, name, kana, birth date, ward', '患者ID・氏名・カナ・生年月日・病棟'),
      'aria-label': t('Search', '検索'),
      oninput: (event) => { session.query = event.target.value; session.ward = null; session.selected = 0; list(); },
    });
    const found = el('div', { id: 'found' });
    const list = () => found.replaceChildren(...listed(list));
    list();
    return [
      bar(el('button', { type: 'button', id: 'unknown', onclick: () => newPatient() }, t('Note: no chart', 'カルテのない患者の記録'))),
      warnings(),
      el('h1', {}, t('Charts while the record system is down', '電子カルテ停止中のカルテ参照')),
      basisList(), search, found, wholeLine(),
    ];
  });
  document.getElementById('search').focus();
}

/** What is in the list now: those that fit, else a ward, else the wards. */
function listed(again) {
  const { query, ward, wards, index } = session;
  const wardButtons = el('div', { class: 'wards', id: 'wards' }, [...wards].map(([name, lines]) =>
    el('button', { type: 'button', 'aria-pressed': String(name === ward), onclick: () => { session.ward = name; session.query = ''; document.getElementById('search').value = ''; session.selected = 0; again(); } }, `${name} (${lines.length})`)));
  let lines = [];
  if (query.trim()) lines = searched(index, query);
  else if (ward !== null) lines = wards.get(ward) || [];
  else return [el('p', { class: 'soft' }, t(`${index.lines.length} patients. Type to search, or choose a ward.`, `患者 ${index.lines.length} 名。検索するか、病棟を選んでください。`)), wardButtons];
  session.found = lines;
  session.selected = Math.min(session.selected, Math.max(0, Math.min(lines.length, LISTED_MAX) - 1));
  const sexes = { m: t('male', '男'), f: t('female', '女'), o: t('other', 'その他') };
  const rows = lines.slice(0, LISTED_MAX).map((at, row) => {
    const patient = patientAt(index, at);
    return el('tr', { 'aria-selected': String(row === session.selected), 'data-row': row, onclick: () => openChart(patient) },
      el('td', {}, el('b', {}, patient.id)), el('td', {}, el('b', {}, patient.name || '–'), ' ', el('span', { class: 'soft' }, patient.kana)),
      el('td', {}, patient.born || '–'), el('td', {}, sexes[patient.sex] || ''), el('td', {}, placeOf(patient)),
      el('td', { class: 'gone' }, patient.hasChart ? '' : t('chart not read', 'カルテ読取不可')));
  });
  const more = lines.length - LISTED_MAX;
  return [
    wardButtons,
    el('p', { class: 'soft', id: 'count' }, t(`${lines.length} found`, `${lines.length} 名`)),
    lines.length === 0 ? el('p', { class: 'none' }, t('Nobody fits. That somebody is not listed does not mean that there is no chart of them.', '該当する患者がいません（一覧にないことは、カルテがないことを意味しません）。')) : el('table', { class: 'found' }, el('tbody', {}, rows)),
    more > 0 && el('p', { class: 'none' }, t(`${more} more: type more letters.`, `ほか ${more} 名。文字を追加して絞り込んでください。`)),
  ].filter(Boolean);
}

function select(step) {
  const rows = [...document.querySelectorAll('.found tr')];
  if (rows.length === 0) return;
  session.selected = Math.max(0, Math.min(rows.length - 1, session.selected + step));
  rows.forEach((row, at) => row.setAttribute('aria-selected', String(at === session.selected)));
  rows[session.selected].scrollIntoView({ block: 'nearest' });
}

// The chart.

/** Written down before anything is shown. */
async function noteAccess(patient, what) {
  await session.kept.put('opened', drawnId(), { at: new Date().toISOString(), who: session.who, patient: patient.id, what });
}

async function openChart(patient) {
  const now = session;
  busy(t('Opening the chart…', 'カルテを開いています…'));
  await noteAccess(patient, 'read');
  let pieces = null;
  let fault = null;
  try {
    pieces = (await now.parts.charts(patient.part)).get(patient.id) || null;
  } catch (error) {
    fault = error;
  }
  // It may have been locked meanwhile.
  if (session !== now) return;
  session.chart = { patient, pieces, fault, form: null };
  const draft = [...session.kept.drafts.values()].find((it) => it.patient.id === patient.id);
  if (draft) session.chart.form = draft;
  chartScreen();
}

function chartScreen() {
  show('chart', () => {
    const { patient, pieces, form } = session.chart;
    const holder = el('div', { id: 'chart' });
    if (pieces) {
      // Our own renderer's text, authenticated; the policy of the page runs no script that a record might hold.
      holder.innerHTML = pieces.map((piece) => (typeof piece === 'string' ? piece : piece[lang === 'ja' ? 1 : 0])).join('');
      const basis = holder.querySelector('.basis');
      const lines = basisOf().map((line, at) => el('p', { class: at === 1 && !session.manifest.basis.proven ? 'unproven' : undefined }, line));
      basis.prepend(...lines);
      basis.title = session.manifest.basis.origin;
      basis.classList.toggle('unproven', !session.manifest.basis.proven);
    } else {
      holder.append(
        el('h1', {}, patient.name, ' ', el('span', { class: 'id' }, `ID ${patient.id}`)), basisList(),
        el('p', { class: 'warn', role: 'alert', id: 'no-chart' }, t('This chart cannot be shown: its part of the bundle is missing, damaged or was replaced, or it could not be read at the export. That says nothing about what is in it.', 'このカルテを表示できません。該当するファイルがないか、壊れているか、差し替えられています。または作成時に読めませんでした。記録がないという意味ではありません。')));
    }
    const foot = [patient.name, `ID ${patient.id}`, ...basisOf()].join(' · ');
    const own = [...session.kept.notes.values()].filter(({ note }) => note.patient.id === patient.id);
    return [
      bar(
        el('button', { type: 'button', id: 'back', onclick: home }, t('← List', '← 一覧')),
        el('button', { type: 'button', id: 'note', class: 'primary', onclick: () => beginNote(patient) }, t('Write a note (n)', '記録する (n)')),
        el('button', { type: 'button', id: 'print', onclick: () => print() }, t('Print', '印刷'))),
      warnings(),
      form && noteForm(session, form, () => { session.chart.form = null; chartScreen(); }),
      own.length > 0 && el('section', { class: 'own-notes' }, el('h2', {}, t('Notes written on this device', 'この端末で記入した記録')), noteList(own)),
      el('article', { class: 'chart' },
        el('table', { class: 'frame', role: 'presentation' }, el('tfoot', {}, el('tr', {}, el('td', {}, foot))), el('tbody', {}, el('tr', {}, el('td', {}, holder))))),
    ].filter(Boolean);
  });
  if (!session.chart.form) window.scrollTo(0, 0);
}

function beginNote(patient) {
  session.chart.form = draftFor(session, patient);
  chartScreen();
  document.getElementById('note-form').scrollIntoView();
}

/** Somebody who is in no chart: a downtime number instead of an id. */
function newPatient(draft = draftFor(session, null)) {
  session.chart = null;
  show('new', () => [
    bar(el('button', { type: 'button', id: 'back', onclick: home }, t('← List', '← 一覧'))),
    warnings(),
    el('h1', {}, draft.patient.id ? `ID ${draft.patient.id} ${draft.patient.name}` : t('A patient without a chart', 'カルテのない患者')),
    noteForm(session, draft, ownNotes),
  ]);
}

// One's own notes.

function noteList(notes) {
  const replaced = new Set([...session.kept.notes.values()].map(({ note }) => note.replaces).filter(Boolean));
  const sorted = [...notes].sort((a, b) => (a.note.written_at < b.note.written_at ? 1 : -1));
  return el('ul', { class: 'own' }, sorted.map(({ note, exported }) =>
    el('li', { 'data-note': note.id, class: replaced.has(note.id) ? 'replaced' : undefined },
      el('b', {}, note.at.slice(0, 16).replace('T', ' ')), ` ${note.patient.id || note.patient.downtime_number} ${note.patient.name} — `,
      el('pre', { class: 'text' }, noteText(note)),
      el('span', { class: 'soft' }, note.author, ' · ', exported ? t('exported', '書き出し済み') : t('not exported yet', '未書き出し'), note.replaces ? t(' · replaces an earlier note', '・前の記録を訂正') : ''),
      ' ', replaced.has(note.id) ? null : el('button', { type: 'button', onclick: () => replaceNote(note) }, t('Replace', '訂正')))));
}

async function replaceNote(note) {
  const draft = draftReplacing(note);
  await session.kept.put('drafts', draft.id, draft);
  newPatient(draft);
}

async function ownNotes() {
  const now = session;
  await now.kept.refresh();
  if (session !== now) return;
  session.chart = null;
  show('own', () => {
    const { kept } = session;
    const open = [...kept.notes.values()].filter((it) => !it.exported).length;
    return [
      bar(el('button', { type: 'button', id: 'back', onclick: home }, t('← List', '← 一覧'))),
      warnings(),
      el('section', { class: 'own-notes' },
        el('h2', {}, t('Notes written on this device', 'この端末で記入した記録'), el('small', {}, t(`${kept.notes.size} notes, ${open} not exported yet`, `${kept.notes.size}件（未書き出し ${open}件）`))),
        el('div', { class: 'row' },
          el('button', { type: 'button', class: 'primary', id: 'export', onclick: exportNotes }, t('Export as a signed file', '署名付きファイルに書き出す')),
          el('button', { type: 'button', id: 'forget', onclick: forget }, t('Remove from this device…', 'この端末から消去…'))),
        el('p', { class: 'kept', role: 'status', id: 'export-state' }, t('The file holds patients\' data in the clear: bring it to the hub on the stick and delete it from this device.', '書き出したファイルは暗号化されていません。媒体で統合担当へ渡し、この端末からは削除してください。')),
        noteList(kept.notes.values()),
        kept.drafts.size > 0 && el('h2', {}, t('Drafts', '下書き')),
        el('ul', { class: 'own' }, [...kept.drafts.values()].map((draft) =>
          el('li', {}, `${draft.patient.id || draft.patient.number || '–'} ${draft.patient.name} `, el('button', { type: 'button', onclick: () => newPatient(draft) }, t('Go on', '続ける')))))),
    ];
  });
}

async function exportNotes() {
  const { kept } = session;
  await kept.refresh();
  const entries = [...kept.notes];
  const { name, text } = await signedFile(session);
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  const exported = new Date().toISOString();
  for (const [id, { note }] of entries) await kept.put('notes', id, { note, exported });
  await ownNotes();
  document.getElementById('export-state').textContent = t(`${name}: ${entries.length} notes were handed to the browser. Look whether the file is there.`, `${name}: ${entries.length}件の記録を書き出しました。ファイルがあることを確認してください。`);
}

async function forget() {
  const { kept } = session;
  const open = [...kept.notes.values()].some((it) => !it.exported) || kept.drafts.size > 0;
  const ask = open ? t('Some notes are NOT EXPORTED. Remove everything from this device all the same?', '書き出していない記録があります。それでもこの端末からすべて消去しますか？') : t('Remove all notes and the record of access from this device? Only do so when they were taken over.', 'この端末から記録と閲覧履歴をすべて消去しますか？統合が済んでいる場合に限り実行してください。');
  if (!confirm(ask) || (open && !confirm(t('Really? They cannot be brought back.', '本当に消去しますか？元に戻せません。')))) return;
  for (const store of ['notes', 'drafts', 'opened']) await kept.clear(store);
  ownNotes();
}

// Locking.

/** Throws everything decrypted away with the page. What the browser could not keep stays behind a curtain instead. */
async function lock(message) {
  if (!session) return;
  const { kept } = session;
  await kept.settled();
  const wouldBeLost = kept.trouble && [...kept.notes.values()].some((it) => !it.exported);
  if (wouldBeLost || (kept.trouble && kept.drafts.size > 0)) return curtain();
  session = null;
  app.replaceChildren();
  location.hash = `${message}.${lang}`;
  location.reload();
}

function curtain() {
  if (document.querySelector('.curtain')) return;
  const passphrase = el('input', { type: 'password', autocomplete: 'off' });
  const said = el('p', { class: 'warn', role: 'alert' }, t('Locked. This browser keeps nothing, so unexported notes are still in memory: do not close this page.', 'ロック中です。このブラウザーには保存できないため、未書き出しの記録はメモリー上にあります。ページを閉じないでください。'));
  const form = el('form', { class: 'door', onsubmit: async (event) => {
    event.preventDefault();
    if (await unlocked(chartward.header, passphrase.value).catch(() => null)) { lastTouch = Date.now(); shade.remove(); } else passphrase.value = '';
  } }, said, el('label', {}, el('span', {}, t('Passphrase of this medium', 'この媒体のパスフレーズ')), passphrase), el('button', { type: 'submit', class: 'primary' }, t('Open', '開く')));
  const shade = el('div', { class: 'curtain' }, form);
  document.body.append(shade);
}

setInterval(() => {
  if (session && Date.now() - lastTouch > session.manifest.lock_after_seconds * 1000) lock('idle');
}, 1000);
for (const name of ['keydown', 'pointerdown', 'pointermove', 'wheel', 'touchstart']) {
  addEventListener(name, () => { lastTouch = Date.now(); }, { passive: true, capture: true });
}
addEventListener('beforeprint', () => { if (session && session.chart) noteAccess(session.chart.patient, 'printed'); });
addEventListener('beforeunload', (event) => {
  if (session && session.kept.trouble && (session.kept.drafts.size > 0 || [...session.kept.notes.values()].some((it) => !it.exported))) event.preventDefault();
});
// A page that the browser brings back from its cache holds what was decrypted.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

// The keyboard.

addEventListener('keydown', (event) => {
  if (!session || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('.curtain')) return;
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  const inSearch = event.target.id === 'search';
  if (event.key === '/' && !typing) {
    event.preventDefault();
    home();
  } else if (event.key === 'Escape') {
    event.preventDefault();
    if (screenName === 'home') { session.query = ''; session.ward = null; home(); } else if (session.chart && session.chart.form) { session.chart.form = null; chartScreen(); } else home();
  } else if (screenName === 'home' && (inSearch || !typing) && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
    event.preventDefault();
    select(event.key === 'ArrowDown' ? 1 : -1);
  } else if (screenName === 'home' && event.key === 'Enter' && (inSearch || event.target === document.body)) {
    const row = document.querySelectorAll('.found tr')[session.selected];
    if (row) row.click();
  } else if (screenName === 'chart' && event.key === 'n' && !typing) {
    event.preventDefault();
    beginNote(session.chart.patient);
  }
});

addEventListener('DOMContentLoaded', () => {
  const [message, spoken] = location.hash.slice(1).split('.');
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  const first = spoken || (chartward.header && chartward.header.lang);
  if (first === 'ja' || first === 'en') lang = first;
  door(message === 'idle' ? t('Locked after a time without use. Drafts and notes are kept.', '一定時間操作がなかったため、ロックしました。下書きと記録は保存されています。') : '');
});
