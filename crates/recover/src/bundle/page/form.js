// The form of a note, whose draft is kept at each keystroke.

const nowLocal = () => minute(new Date()).replace(' ', 'T');

/** The draft about a patient, or a new one; about somebody without a chart when `patient` is null. */
function draftFor(session, patient) {
  const key = patient ? patient.id : '';
  for (const draft of session.kept.drafts.values()) if ((draft.patient.id || '') === key) return draft;
  const whom = patient
    ? { id: patient.id, name: patient.name, kana: patient.kana, born: patient.born }
    : { id: '', name: '', kana: '', born: '', number: '' };
  return { id: drawnId(), patient: whom, kind: 'vitals', fields: {}, checked: [], at: nowLocal(), replaces: null };
}

/** A draft that says what a note said, to be put in its place. */
function draftReplacing(note) {
  const [kind, entry] = Object.entries(note.entry)[0];
  const fields = { [kind]: Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, String(value)])) };
  if (kind === 'given') fields.given.was_given = entry.was_given ? 'yes' : 'no';
  const { id = '', name, kana, birth_date: born = '', downtime_number: number = '' } = note.patient;
  return { id: drawnId(), patient: { id, name, kana, born, number }, kind, fields, checked: [], at: note.at.slice(0, 16), replaces: note.id };
}

/** The form. `leave` is called with whether a note was taken. */
function noteForm(session, draft, leave) {
  const { kept } = session;
  const status = el('p', { class: 'kept', role: 'status', id: 'draft-state' });
  const faults = el('ul', { class: 'faults', role: 'alert' });
  let saving = null;
  let again = false;
  /** Begins at once with each keystroke; what is typed while one is written is written right after it. */
  const save = () => {
    again = true;
    saving ??= (async () => {
      let kept_ = true;
      while (again) {
        again = false;
        kept_ = await kept.put('drafts', draft.id, structuredClone(draft));
      }
      saving = null;
      status.textContent = kept_ ? t(`Draft kept at ${new Date().toLocaleTimeString('ja-JP')}`, `下書きを保存しました ${new Date().toLocaleTimeString('ja-JP')}`) : t('THE DRAFT IS NOT KEPT: this browser stores nothing.', '下書きは保存されていません（このブラウザーには保存できません）。');
      status.classList.toggle('warn', !kept_);
    })();
    return saving;
  };
  const input = (value, store, attributes = {}) =>
    el('input', { type: 'text', autocomplete: 'off', value, oninput: (event) => { store(event.target.value); save(); }, ...attributes });

  const identity = () => {
    const { patient } = draft;
    const tick = (name, shown) =>
      el('label', { class: 'tick' },
        el('input', { type: 'checkbox', id: `check-${name}`, checked: draft.checked.includes(name), onchange: (event) => {
          draft.checked = event.target.checked ? [...new Set([...draft.checked, name])] : draft.checked.filter((it) => it !== name);
          save();
        } }), ' ', t(...IDENTIFIERS[name]), ' ', shown);
    const known = patient.id
      ? [tick('id', el('b', {}, patient.id)), patient.name || patient.kana ? tick('name', el('b', {}, `${patient.name} ${patient.kana}`)) : null, patient.born ? tick('birth_date', el('b', {}, patient.born)) : null]
      : [
          tick('downtime_number', input(patient.number, (value) => { patient.number = value; }, { id: 'new-number' })),
          tick('name', [input(patient.name, (value) => { patient.name = value; }, { id: 'new-name' }), ' ', t('kana', 'カナ'), ' ', input(patient.kana, (value) => { patient.kana = value; }, { id: 'new-kana' })]),
          tick('birth_date', input(patient.born, (value) => { patient.born = value; }, { id: 'new-born', type: 'date' })),
        ];
    return el('fieldset', { class: 'identity' },
      el('legend', {}, t('Compared with the patient or the wristband (two or more)', '患者さん本人・リストバンドと照合（2つ以上）')), known);
  };

  const fieldsOf = () => {
    const values = (draft.fields[draft.kind] ??= {});
    return KINDS[draft.kind].fields.map((field) => {
      const id = `field-${field.name}`;
      const store = (value) => { values[field.name] = value; };
      let control;
      if (field.choices) {
        control = el('select', { id, onchange: (event) => { store(event.target.value); save(); } },
          el('option', { value: '' }, t('choose…', '選択…')),
          field.choices.map(([name, en, ja]) => el('option', { value: name, selected: values[field.name] === name }, t(en, ja))));
      } else if (field.long) {
        control = el('textarea', { id, rows: 8, oninput: (event) => { store(event.target.value); save(); } });
        control.value = values[field.name] || '';
      } else {
        control = input(values[field.name] || '', store, { id, inputmode: 'low' in field ? 'decimal' : undefined });
      }
      return el('label', { class: field.long ? 'field wide' : 'field' }, el('span', {}, t(field.en, field.ja)), control);
    });
  };

  const body = el('div', { class: 'fields' });
  const tabs = el('div', { class: 'tabs', role: 'tablist' });
  const draw = () => {
    body.replaceChildren(...fieldsOf());
    tabs.replaceChildren(...Object.entries(KINDS).map(([kind, { en, ja }]) =>
      el('button', { type: 'button', role: 'tab', id: `kind-${kind}`, 'aria-selected': String(kind === draft.kind), onclick: () => { draft.kind = kind; draw(); save(); body.querySelector('input,select,textarea').focus(); } }, t(en, ja))));
  };
  draw();
  const take = async () => {
    const { note, faults: found } = noteOf(draft, session);
    faults.replaceChildren(...found.map((fault) => el('li', {}, fault)));
    if (found.length > 0) return;
    // The note is on the medium before its draft is gone.
    await kept.put('notes', note.id, { note, exported: null });
    await save();
    await kept.remove('drafts', draft.id);
    leave(true);
  };
  const discard = async () => {
    if (!confirm(t('Throw this draft away?', 'この下書きを破棄しますか？'))) return;
    await saving;
    await kept.remove('drafts', draft.id);
    leave(false);
  };
  return el('form', { class: 'note-form', id: 'note-form', onsubmit: (event) => { event.preventDefault(); take(); } },
    el('h2', {}, draft.replaces ? t('Note in the place of a mistaken one', '訂正の記録') : t('New note', '新しい記録'),
      el('small', {}, `${t('by', '記入者')} ${session.who}`)),
    identity(), tabs, body,
    el('label', { class: 'field' }, el('span', {}, t('When it took place', '実施・観察の日時')), input(draft.at, (value) => { draft.at = value; }, { type: 'datetime-local', id: 'note-at' })),
    faults,
    el('div', { class: 'row' },
      el('button', { type: 'submit', id: 'note-take', class: 'primary' }, t('Keep this note', '記録を確定')),
      el('button', { type: 'button', onclick: async () => { await saving; leave(false); } }, t('Later (the draft stays)', '中断（下書きは残ります）')),
      el('button', { type: 'button', onclick: discard }, t('Throw away', '破棄'))),
    status);
}
