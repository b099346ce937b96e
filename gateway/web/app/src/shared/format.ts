// Dates, names, cards and quantities as people of either language write them.
import type { Age, HumanName, Identifier, Period, Quantity, Range } from 'fhir/r4';
import { exactValue } from './exact.ts';
import type { Lang } from './locale.ts';

/** One civil time for the whole country; a record shows the hospital's clock wherever it is read. */
const zone = 'Asia/Shanghai';

const dayFormat: Record<Lang, Intl.DateTimeFormat> = {
  zh: new Intl.DateTimeFormat('zh-CN', { timeZone: zone, year: 'numeric', month: 'long', day: 'numeric' }),
  en: new Intl.DateTimeFormat('en-GB', { timeZone: zone, year: 'numeric', month: 'short', day: 'numeric' }),
};
const timeFormat = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
const englishMonths = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sept', 'Oct', 'Nov', 'Dec'];

/** The day of a FHIR date or dateTime: 2026年11月22日, 22 Nov 2026. Keeps the precision it was given. */
export function day(lang: Lang, value: string | undefined): string {
  if (!value) return '';
  const [, year, month, dayOfMonth, time] = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?(T.*)?$/.exec(value) ?? [];
  if (!year) return value;
  if (time) return dayFormat[lang].format(new Date(value));
  if (!month) return lang === 'zh' ? `${year}年` : year;
  const m = Number(month);
  if (!dayOfMonth) return lang === 'zh' ? `${year}年${m}月` : `${englishMonths[m - 1]} ${year}`;
  return lang === 'zh' ? `${year}年${m}月${Number(dayOfMonth)}日` : `${Number(dayOfMonth)} ${englishMonths[m - 1]} ${year}`;
}

/** Day and time of a dateTime or instant: 2026年11月22日 17:49. */
export function moment(lang: Lang, value: string | undefined): string {
  if (!value?.includes('T')) return day(lang, value);
  return `${day(lang, value)} ${timeFormat.format(new Date(value))}`;
}

/** Year and month for a timeline's heading. */
export function monthOf(lang: Lang, value: string | undefined): string {
  return value ? day(lang, value.slice(0, 7)) : '';
}

export function period(lang: Lang, value: Period | undefined): string {
  const from = day(lang, value?.start);
  const to = day(lang, value?.end);
  if (!from || !to || from === to) return from || to;
  return lang === 'zh' ? `${from} 至 ${to}` : `${from} – ${to}`;
}

/** Whole years between a birth date and a day (today by default). */
export function age(birthDate: string | undefined, now = new Date()): number | undefined {
  if (!birthDate) return undefined;
  const born = new Date(birthDate);
  const years = now.getFullYear() - born.getFullYear();
  const before = now.getMonth() < born.getMonth() || (now.getMonth() === born.getMonth() && now.getDate() < born.getDate());
  return before ? years - 1 : years;
}

const representation = 'http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation';

function isPinyin(name: HumanName): boolean {
  const marked = name.extension?.find((e) => e.url === representation)?.valueCode;
  return marked ? marked === 'SYL' : /^[\x20-\x7e]+$/.test(nameText(name));
}

function nameText(name: HumanName): string {
  if (name.text) return name.text;
  const given = (name.given ?? []).join('');
  const latin = /^[\x20-\x7e]*$/.test((name.family ?? '') + given);
  return latin ? [...(name.given ?? []), name.family].filter(Boolean).join(' ') : (name.family ?? '') + given;
}

/** The name in use: characters in Chinese, pinyin beside them in English when the record has it. */
export function humanName(lang: Lang, names: readonly HumanName[] | undefined): string {
  const current = (names ?? []).filter((n) => n.use !== 'old');
  const han = current.find((n) => !isPinyin(n));
  const pinyin = current.find(isPinyin);
  if (lang === 'en' && pinyin && han) return `${nameText(pinyin)} (${nameText(han)})`;
  const best = han ?? pinyin;
  return best ? nameText(best) : '';
}

/** 张* for 张三, Z**** S** for Zhang San: the beginning and as many stars as characters follow (ID-15). */
export function maskName(name: string, family?: string): string {
  return name.replace(/\p{Script=Han}+|[A-Za-z]+/gu, (part) => {
    const keep = family && part.startsWith(family) && family.length < part.length ? family.length : 1;
    return part.slice(0, keep) + '*'.repeat(Math.max(1, part.length - keep));
  });
}

/** 110105********002X: six first, four last; shorter numbers keep two and two (ID-15). */
export function maskCard(value: string): string {
  const [head, tail] = value.length >= 15 ? [6, 4] : [2, 2];
  if (value.length <= head + tail) return '*'.repeat(value.length);
  return value.slice(0, head) + '*'.repeat(value.length - head - tail) + value.slice(-tail);
}

/** The cards that identify a person everywhere, best first. */
const cardOrder = [
  'urn:oid:2.16.156.10011.1.3',
  'urn:oid:2.16.156.10011.1.19',
  'https://hutong.example/sid/social-card',
  'urn:oid:2.16.156.10011.1.2',
];

export function bestCard(identifiers: readonly Identifier[] | undefined): Identifier | undefined {
  const current = (identifiers ?? []).filter((i) => i.use !== 'old' && i.value);
  for (const system of cardOrder) {
    const found = current.find((i) => i.system === system);
    if (found) return found;
  }
  return current[0];
}

export function quantity(q: Quantity | Age | undefined): string {
  if (!q || q.value === undefined) return '';
  return [`${q.comparator ?? ''}${exactValue(q)}`, q.unit ?? q.code].filter(Boolean).join(' ');
}

export function range(r: { low?: Quantity; high?: Quantity; text?: string } | Range | undefined): string {
  if (!r) return '';
  if ('text' in r && r.text) return r.text;
  const low = r.low ? exactValue(r.low) : '';
  const high = r.high ? exactValue(r.high) : '';
  if (low && high) return `${low} – ${high}`;
  if (low) return `≥ ${low}`;
  return high ? `≤ ${high}` : '';
}

/** How many units of something, with thousands separators. */
export function count(lang: Lang, n: number): string {
  return n.toLocaleString(lang === 'zh' ? 'zh-CN' : 'en-GB');
}
