// What can be ordered: the items of the recognition catalogue, from the same
// file that the server compiles.
import type { CodeableConcept } from 'fhir/r4';
import codes from '../../../../../../profiles/ig/CodeSystem-hr-item.json';
import { systems } from '../../shared/fhir.ts';
import type { Word } from '../../shared/locale.ts';

export interface Item {
  code: string;
  loinc: string;
  name: Word;
  category: string;
}

interface Concept {
  code: string;
  display: string;
  designation?: { language?: string; value: string }[];
  property?: { code: string; valueCode?: string; valueString?: string }[];
}

const property = (c: Concept, name: string): string => {
  const p = c.property?.find((x) => x.code === name);
  return p?.valueCode ?? p?.valueString ?? '';
};

export const items: readonly Item[] = (codes.concept as Concept[]).map((c) => ({
  code: c.code,
  loinc: property(c, 'loinc'),
  name: [c.display, c.designation?.find((d) => d.language === 'en')?.value ?? c.display],
  category: property(c, 'category'),
}));

export const categoryWords: Record<string, Word> = {
  chemistry: ['生化', 'Chemistry'],
  immunology: ['免疫', 'Immunology'],
  haematology: ['血液', 'Haematology'],
  imaging: ['影像与电生理', 'Imaging and ECG'],
};

export function orderCode(item: Item): CodeableConcept {
  return {
    coding: [
      { system: codes.url, code: item.code, display: item.name[0] },
      { system: systems.loinc, code: item.loinc },
    ],
    text: item.name[0],
  };
}

export const isImaging = (item: Item): boolean => item.category === 'imaging';
