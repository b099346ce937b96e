// Reading FHIR resources: the few accessors that every view needs.
import type { CodeableConcept, Coding, Extension, Meta, Observation, Quantity, Reference } from 'fhir/r4';
import { itemOf } from './catalogue.ts';
import { exactValue } from './exact.ts';
import { quantity, range } from './format.ts';
import type { Lang, Word } from './locale.ts';

const hutong = 'https://hutong.example/fhir';
const custodianTag = `${hutong}/CodeSystem/custodian`;
export const systems = {
  actReason: 'http://terminology.hl7.org/CodeSystem/v3-ActReason',
  actCode: 'http://terminology.hl7.org/CodeSystem/v3-ActCode',
  participation: 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType',
  consentScope: 'http://terminology.hl7.org/CodeSystem/consentscope',
  loinc: 'http://loinc.org',
} as const;

/** The text of a concept: the sender's own words, or the best display of its codes. */
export function concept(value: CodeableConcept | undefined): string {
  if (!value) return '';
  return value.text ?? value.coding?.find((c) => c.display)?.display ?? value.coding?.[0]?.code ?? '';
}

/** In English an English display of a code, or the catalogue's name, is preferred to the sender's Chinese text. */
export function conceptIn(lang: Lang, value: CodeableConcept | undefined): string {
  if (lang === 'zh') return concept(value);
  const latin = value?.coding?.find((c) => c.display && /^[\x20-\x7e]+$/.test(c.display))?.display;
  return latin ?? itemOf(value)?.name[1] ?? concept(value);
}

export function code(value: CodeableConcept | undefined, system?: string): string | undefined {
  return value?.coding?.find((c) => !system || c.system === system)?.code;
}

export function custodian(meta: Meta | undefined): string | undefined {
  return meta?.tag?.find((t) => t.system === custodianTag)?.code;
}

/** "Patient/1" from a reference, without base URL and version. */
export function referenceKey(reference: Reference | string | undefined): string {
  const text = typeof reference === 'string' ? reference : (reference?.reference ?? '');
  return /([A-Z]\w+\/[A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(text)?.[1] ?? text;
}

export function idOf(reference: Reference | string | undefined): string {
  return referenceKey(reference).split('/')[1] ?? '';
}

export function extension(list: readonly Extension[] | undefined, url: string): Extension | undefined {
  return list?.find((e) => e.url === url || e.url.endsWith('/' + url));
}

export function hasCoding(concepts: readonly CodeableConcept[] | undefined, system: string, value: string): boolean {
  return (concepts ?? []).some((c) => c.coding?.some((x) => x.system === system && x.code === value));
}

// --- observations ---------------------------------------------------------

export function effective(o: Observation): string | undefined {
  return o.effectiveDateTime ?? o.effectiveInstant ?? o.effectivePeriod?.end ?? o.effectivePeriod?.start ?? o.issued;
}

/** The value as sent, unit included. */
export function valueText(o: Pick<Observation, 'valueQuantity' | 'valueString' | 'valueCodeableConcept' | 'valueInteger' | 'valueBoolean' | 'valueRange' | 'valueRatio' | 'valueDateTime'>): string {
  if (o.valueQuantity) return quantity(o.valueQuantity);
  if (o.valueCodeableConcept) return concept(o.valueCodeableConcept);
  if (o.valueRange) return range(o.valueRange);
  if (o.valueRatio) return `${quantity(o.valueRatio.numerator)} / ${quantity(o.valueRatio.denominator)}`;
  return String(o.valueString ?? o.valueInteger ?? o.valueBoolean ?? o.valueDateTime ?? '');
}

export const unitOf = (q: Quantity | undefined): string => q?.unit ?? q?.code ?? '';
export const digitsOf = (q: Quantity | undefined): string => (q ? exactValue(q) : '');

export type Flag = 'high' | 'low' | 'critical' | 'abnormal' | 'normal';

const flags: Record<string, Flag> = {
  H: 'high', HU: 'high', L: 'low', LU: 'low', HH: 'critical', LL: 'critical', AA: 'critical',
  A: 'abnormal', POS: 'abnormal', DET: 'abnormal', N: 'normal', NEG: 'normal', ND: 'normal',
};

/** What the laboratory concluded; where it said nothing, what its own range says of the value. */
export function flag(o: Observation): { flag: Flag; computed: boolean } | undefined {
  for (const c of (o.interpretation ?? []).flatMap((i): Coding[] => i.coding ?? [])) {
    const known = flags[c.code ?? ''];
    if (known) return { flag: known, computed: false };
  }
  const value = o.valueQuantity?.value;
  const reference = o.referenceRange?.[0];
  const units = [reference?.low, reference?.high].map(unitOf).filter(Boolean);
  if (units.some((u) => u !== unitOf(o.valueQuantity))) return undefined; // another unit says nothing
  if (value === undefined || !reference || (reference.low?.value === undefined && reference.high?.value === undefined)) return undefined;
  if (reference.low?.value !== undefined && value < reference.low.value) return { flag: 'low', computed: true };
  if (reference.high?.value !== undefined && value > reference.high.value) return { flag: 'high', computed: true };
  return { flag: 'normal', computed: true };
}

export const flagWords: Record<Flag, Word> = {
  high: ['偏高', 'High'],
  low: ['偏低', 'Low'],
  critical: ['危急值', 'Critical'],
  abnormal: ['异常', 'Abnormal'],
  normal: ['正常', 'Normal'],
};

export const flagSigns: Record<Flag, string> = { high: '↑', low: '↓', critical: '!', abnormal: '!', normal: '✓' };

/** The same item has the same key whichever hospital measured it: LOINC first, then the sender's own code. */
export function itemKey(o: Observation): string {
  const codings = o.code.coding ?? [];
  const loinc = codings.find((c) => c.system === systems.loinc);
  const best = loinc ?? codings[0];
  return best ? `${best.system ?? ''}|${best.code ?? ''}` : (o.code.text ?? '');
}
