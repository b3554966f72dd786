// Downtime notes: what is asked for, what is not taken, and the signed file in which they leave.

const NOTES_FORMAT = 'chartward-notes/1';
const FIELD_MAX = 200;
const TEXT_MAX = 20000;

const number = (name, en, ja, low, high, whole) => ({ name, en, ja, low, high, whole });
const words = (name, en, ja, more = {}) => ({ name, en, ja, ...more });

/** The fields of each kind of note, in the order in which they are filled in. */
const KINDS = {
  vitals: {
    en: 'Vitals',
    ja: 'バイタル',
    fields: [
      number('temperature', 'Temperature °C', '体温 ℃', 20, 46, false),
      number('pulse', 'Pulse /min', '脈拍 /分', 0, 350, true),
      number('systolic', 'Systolic mmHg', '収縮期血圧 mmHg', 0, 350, true),
      number('diastolic', 'Diastolic mmHg', '拡張期血圧 mmHg', 0, 250, true),
      number('respiration', 'Respiration /min', '呼吸数 /分', 0, 120, true),
      number('spo2', 'SpO₂ %', 'SpO₂ %', 0, 100, true),
      number('weight', 'Weight kg', '体重 kg', 0.2, 650, false),
      number('pain', 'Pain 0–10', '痛み 0–10', 0, 10, true),
    ],
  },
  order: {
    en: 'Order',
    ja: '指示・オーダー',
    fields: [
      words('order', 'Sort', '種別', {
        choices: [
          ['prescription', 'Prescription', '処方'],
          ['injection', 'Injection', '注射'],
          ['lab', 'Laboratory', '検体検査'],
          ['examination', 'Examination', '画像・生理検査'],
          ['meal', 'Meal', '食事'],
          ['other', 'Other', 'その他'],
        ],
      }),
      words('what', 'What is ordered', '内容', { needed: true }),
      words('directions', 'Dose, times, days', '用法・用量・日数'),
      words('ordered_by', 'Ordered by (if somebody else)', '指示者（記入者と異なる場合）'),
    ],
  },
  given: {
    en: 'Medication given',
    ja: '投薬の実施',
    fields: [
      words('drug', 'Drug', '薬剤', { needed: true }),
      words('dose', 'Dose', '用量'),
      words('route', 'Route', '経路'),
      words('order', 'Order number in the chart', 'カルテのオーダー番号'),
      words('was_given', 'Given?', '実施の有無', { choices: [['yes', 'Given', '実施した'], ['no', 'Not given', '実施しなかった']] }),
      words('remark', 'Remark (reason, if not given)', '備考（実施しなかった場合はその理由）'),
    ],
  },
  text: { en: 'Free text', ja: '自由記載', fields: [words('text', 'Text', '本文', { needed: true, long: true })] },
};

const IDENTIFIERS = {
  id: ['Patient id', '患者ID'],
  name: ['Name', '氏名'],
  birth_date: ['Date of birth', '生年月日'],
  downtime_number: ['Downtime number', '停止時番号'],
};

const trimmed = (text) => (text || '').normalize('NFC').trim();

/** A line as the other side takes it, or a fault. */
function lineFault(label, text) {
  return [...text].length > FIELD_MAX || /\p{Cc}/u.test(text) ? t(`${label}: too long (200 characters)`, `${label}: 長すぎます（200文字まで）`) : null;
}

/** What a draft says, as the entry of a note, with what is wrong with it. */
function entryOf(draft) {
  const values = draft.fields[draft.kind] || {};
  const faults = [];
  const entry = {};
  for (const field of KINDS[draft.kind].fields) {
    const label = t(field.en, field.ja);
    if ('low' in field) {
      // Japanese input methods write digits full-width.
      const typed = trimmed((values[field.name] || '').normalize('NFKC')).replace(',', '.');
      if (typed === '') continue;
      const value = Number(typed);
      if (!/^\d+(\.\d+)?$/.test(typed) || (field.whole && !Number.isInteger(value))) faults.push(t(`${label}: not a number`, `${label}: 数値ではありません`));
      else if (value < field.low || value > field.high) faults.push(t(`${label}: ${field.low} to ${field.high}`, `${label}: ${field.low}～${field.high} の範囲で入力してください`));
      else entry[field.name] = value;
      continue;
    }
    const typed = field.long ? (values[field.name] || '').replace(/\r\n?/g, '\n') : trimmed(values[field.name]);
    if (field.needed && typed.trim() === '') faults.push(t(`${label}: nothing is written`, `${label}: 入力してください`));
    if (field.long) {
      if ([...typed].length > TEXT_MAX || /[^\P{Cc}\n\t]/u.test(typed)) faults.push(t(`${label}: too long (20,000 characters)`, `${label}: 長すぎます（20,000文字まで）`));
    } else {
      const fault = lineFault(label, typed);
      if (fault) faults.push(fault);
    }
    if (field.choices && !field.choices.some(([name]) => name === typed)) faults.push(t(`${label}: choose one`, `${label}: 選択してください`));
    entry[field.name] = typed;
  }
  if (draft.kind === 'vitals' && Object.keys(entry).length === 0 && faults.length === 0) faults.push(t('Nothing is written.', '何も入力されていません。'));
  if (draft.kind === 'given') {
    entry.was_given = entry.was_given === 'yes';
    if (!entry.order) delete entry.order;
    if (values.was_given === 'no' && !entry.remark) faults.push(t('Write why it was not given.', '実施しなかった理由を記入してください。'));
  }
  return { entry: { [draft.kind]: entry }, faults };
}

/** Whom a draft is about, with what is wrong with it. */
function whomOf(draft) {
  const { patient } = draft;
  const faults = [];
  const whom = { name: trimmed(patient.name), kana: trimmed(patient.kana), checked: draft.checked.filter((it) => it in IDENTIFIERS).sort() };
  if (trimmed(patient.id)) whom.id = patient.id;
  if (trimmed(patient.number)) whom.downtime_number = trimmed(patient.number);
  if (/^\d{4}-\d{2}-\d{2}$/.test(patient.born || '')) whom.birth_date = patient.born;
  const held = { id: whom.id, name: whom.name || whom.kana, birth_date: whom.birth_date, downtime_number: whom.downtime_number };
  if (!whom.id && !whom.downtime_number) faults.push(t('Write the downtime number of the form.', '停止時番号を入力してください。'));
  for (const [name, [en, ja]] of Object.entries(IDENTIFIERS)) {
    const fault = typeof held[name] === 'string' && lineFault(t(en, ja), held[name]);
    if (fault) faults.push(fault);
    if (whom.checked.includes(name) && !held[name]) faults.push(t(`${en}: it was compared and is not written here`, `${ja}: 照合済みですが、入力されていません`));
  }
  if (whom.checked.length < 2) faults.push(t('Compare two identifiers with the patient and tick them.', '患者さんと2つの識別情報を照合し、チェックを入れてください。'));
  return { whom, faults };
}

/** The note that a draft becomes, or what keeps it from being one. */
function noteOf(draft, session) {
  const [{ entry, faults }, identity] = [entryOf(draft), whomOf(draft)];
  const written = new Date();
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(draft.at) ? `${draft.at.slice(0, 16)}:00` : null;
  const all = [...identity.faults, ...faults];
  if (!at) all.push(t('Write when it took place.', '日時を入力してください。'));
  else if (Date.parse(`${at}Z`) > written.getTime() + 2 * 86400000) all.push(t('The time lies in the future.', '日時が未来になっています。'));
  const author = lineFault(t('Author', '記入者'), session.who);
  if (author) all.push(author);
  const note = { id: drawnId(), written_at: written.toISOString(), at, author: session.who, device: session.bundle, patient: identity.whom, entry };
  if (session.manifest.basis.snapshot && draft.patient.id) note.snapshot = session.manifest.basis.snapshot;
  if (draft.replaces) note.replaces = draft.replaces;
  return { note, faults: all };
}

/** One line of a note. */
function noteText(note) {
  const [kind, entry] = Object.entries(note.entry)[0];
  const said = (field) => {
    const value = entry[field.name];
    if (value === undefined || value === '') return null;
    if (field.name === 'was_given') return value ? t('given', '実施') : t('NOT given', '実施せず');
    const choice = field.choices && field.choices.find(([name]) => name === value);
    if (choice) return t(choice[1], choice[2]);
    return 'low' in field ? `${t(field.en, field.ja)} ${value}` : value;
  };
  return `${t(KINDS[kind].en, KINDS[kind].ja)}: ${KINDS[kind].fields.map(said).filter((it) => it !== null).join(' / ')}`;
}

/** The file that reconciliation reads: notes and the record of access, signed with the bundle's key. */
async function signedFile(session) {
  const { manifest, kept, bundle } = session;
  const array = (values) => toBase64(encoder.encode(JSON.stringify([...values])));
  const exported = new Date().toISOString();
  const notes = array([...kept.notes.values()].map((it) => it.note).sort((a, b) => (a.written_at < b.written_at ? -1 : 1)));
  const opened = array([...kept.opened.values()].sort((a, b) => (a.at < b.at ? -1 : 1)));
  const text = `chartward downtime notes\n${NOTES_FORMAT}\n${bundle}\n${exported}\n${notes}\n${opened}\n`;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('pkcs8', fromBase64(manifest.signing.private_key), algorithm, false, ['sign']);
  const signature = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, encoder.encode(text)));
  const file = {
    format: NOTES_FORMAT,
    bundle,
    public_key: manifest.signing.public_key,
    exported_at: exported,
    notes,
    opened,
    signature: toBase64(signature),
  };
  const stamp = exported.slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return { name: `chartward-notes-${bundle.slice(0, 8)}-${stamp}.json`, text: JSON.stringify(file) };
}
