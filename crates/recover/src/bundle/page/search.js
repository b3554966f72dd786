// Who is looked for: the same rules as on the server.

// What is taken for one another, each with the form that stands for both.
const SMALL = 'ァアィイゥウェエォオッツャヤュユョヨヮワヵカヶケ';
const VARIANTS = '髙高﨑崎嵜崎邊辺邉辺齋斉齊斉斎斉澤沢濱浜濵浜廣広嶋島嶌島眞真櫻桜德徳惠恵國国龍竜瀨瀬榮栄𠮷吉';
const PLAIN = new Map();
for (const pairs of [[...SMALL], [...VARIANTS]]) for (let at = 0; at < pairs.length; at += 2) PLAIN.set(pairs[at], pairs[at + 1]);

/** Hiragana, half-width and small kana as katakana, full-width as ASCII, old forms of kanji as the new ones, no spaces, no case. */
function folded(text) {
  let out = '';
  for (const char of text.normalize('NFKC')) {
    if (/\p{White_Space}/u.test(char)) continue;
    const code = char.codePointAt(0);
    const kana = code >= 0x3041 && code <= 0x3096 ? String.fromCodePoint(code + 0x60) : char;
    out += PLAIN.get(kana) ?? kana.toLowerCase();
  }
  return out;
}

/** Lines of all index parts, each with the part in which the chart lies. */
function readIndex(texts) {
  const lines = [];
  const parts = [];
  for (const text of texts) {
    let part = '';
    for (const line of text.split('\n')) {
      if (line.startsWith('\u0001')) part = line.slice(1);
      else if (line) {
        lines.push(line);
        parts.push(part);
      }
    }
  }
  return { lines, parts };
}

/** The patient of one line. */
function patientAt(index, at) {
  const [id, name, kana, born, sex, ward, room, bed, chart, ...folds] = index.lines[at].split('\t');
  return { id, name, kana, born, sex, ward, room, bed, hasChart: chart === '', folds, part: index.parts[at] };
}

const placeOf = (patient) => [patient.ward, patient.room, patient.bed].filter(Boolean).join('-');

// Eras by all their names, with the year before their first.
const ERAS = [[['明治', '明', 'm'], 1867], [['大正', '大', 't'], 1911], [['昭和', '昭', 's'], 1925], [['平成', '平', 'h'], 1988], [['令和', '令', 'r'], 2018]];

/** The first and the last day that a folded text means, as numbers `YYYYMMDD`; null where it means none. */
function bornBetween(text) {
  let before = null;
  let rest = text;
  for (const [names, year] of ERAS) {
    const name = names.find((candidate) => text.startsWith(candidate));
    if (name === undefined) continue;
    before = year;
    rest = text.slice(name.length);
    break;
  }
  const eraInWords = before !== null && text.codePointAt(0) > 127;
  rest = rest.replace('元', '1');
  const yearSign = rest.includes('年');
  const plain = rest.replace(/日+$/, '').replace(/[年月/\-−ー]/g, '.').replace(/\.+$/, '');
  let parts = plain.split('.');
  if (before === null && /^\d{8}$/.test(plain)) parts = [plain.slice(0, 4), plain.slice(4, 6), plain.slice(6)];
  if (before !== null && /^\d{6}$/.test(plain)) parts = [plain.slice(0, 2), plain.slice(2, 4), plain.slice(4)];
  if (parts.length > 3 || !parts.every((part) => /^\d{1,4}$/.test(part))) return null;
  let [year, month, day] = parts.map(Number);
  if (before !== null && year >= 1 && year <= 99) year += before;
  else if (before !== null || year < 1850 || year > 2199) return null;
  const base = year * 10000;
  if (month === undefined) return yearSign || eraInWords ? [base, base + 9999] : null;
  if (month < 1 || month > 12) return null;
  if (day === undefined) return [base + month * 100, base + month * 100 + 99];
  const real = day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
  return real ? [base + month * 100 + day, base + month * 100 + day] : null;
}

/** Numbers of the lines that fit every word. */
function searched(index, query) {
  const whole = folded(query);
  // 昭和48年 4月 5日 is one date and not three words.
  const words = bornBetween(whole) ? [whole] : query.split(/\p{White_Space}+/u).filter(Boolean).map(folded);
  const days = words.map(bornBetween);
  const found = [];
  for (let at = 0; at < index.lines.length; at += 1) {
    const line = index.lines[at];
    // Cheap first: most lines hold a word nowhere.
    if (!words.every((word, which) => days[which] !== null || line.includes(word))) continue;
    const { born, folds } = patientAt(index, at);
    const number = Number(born.replaceAll('-', ''));
    const [id, name, kana, ward] = folds;
    const fits = (word, which) =>
      id.includes(word) || name.includes(word) || kana.includes(word) || (ward !== '' && ward === word) ||
      (days[which] !== null && number >= days[which][0] && number <= days[which][1]);
    if (words.every(fits)) found.push(at);
  }
  return found;
}

/** Wards with the numbers of the lines of those who lie there, by room and bed. */
function wardsOf(index) {
  const wards = new Map();
  for (let at = 0; at < index.lines.length; at += 1) {
    const ward = index.lines[at].split('\t', 6)[5];
    if (!ward) continue;
    if (!wards.has(ward)) wards.set(ward, []);
    wards.get(ward).push(at);
  }
  const place = (at) => {
    const { room, bed, id } = patientAt(index, at);
    return `${room}\t${bed}\t${id}`;
  };
  for (const lines of wards.values()) lines.sort((a, b) => place(a).localeCompare(place(b), 'ja', { numeric: true }));
  return new Map([...wards].sort(([a], [b]) => a.localeCompare(b, 'ja', { numeric: true })));
}
