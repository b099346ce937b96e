// The items of the recognition catalogue: what can be ordered, and the English
// names of results that a laboratory named only in Chinese. vite.config.ts
// makes the rows from the file that the server compiles too.
import type { CodeableConcept } from 'fhir/r4';
import { rows, system } from 'virtual:catalogue';
import type { Word } from './locale.ts';

const loincSystem = 'http://loinc.org';

export interface Item {
  code: string;
  loinc: string;
  name: Word;
  category: string;
}

export const items: readonly Item[] = rows.map(([code, loinc, zh, en, category]) => ({ code, loinc, name: [zh, en], category }));

const byCode = new Map(items.flatMap((i) => [[`${system}|${i.code}`, i] as const, [`${loincSystem}|${i.loinc}`, i] as const]));

/** The item that a concept names, by its catalogue or LOINC code. */
export function itemOf(concept: CodeableConcept | undefined): Item | undefined {
  for (const c of concept?.coding ?? []) {
    const found = byCode.get(`${c.system}|${c.code}`);
    if (found) return found;
  }
  return undefined;
}

export const categoryWords: Record<string, Word> = {
  chemistry: ['生化', 'Chemistry'],
  immunology: ['免疫', 'Immunology'],
  haematology: ['血液', 'Haematology'],
  imaging: ['影像与电生理', 'Imaging and ECG'],
};

export function orderCode(item: Item): CodeableConcept {
  return {
    coding: [
      { system, code: item.code, display: item.name[0] },
      { system: loincSystem, code: item.loinc },
    ],
    text: item.name[0],
  };
}

export const isImaging = (item: Item): boolean => item.category === 'imaging';
