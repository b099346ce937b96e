// Finding a person by a card: $match with an identifier, never a search URL.
import type { Bundle, Identifier, Patient } from 'fhir/r4';
import type { Api } from '../../shared/api.ts';
import { extension } from '../../shared/fhir.ts';
import type { Word } from '../../shared/locale.ts';

/** A person as $match found them. */
export interface Found {
  /** "Patient/<person id>". */
  key: string;
  patient: Patient;
  /** match-grade, or cardGrade. */
  grade: string;
}

export interface CardType {
  /** Identifier system; "mrn" is that of the user's own institution. */
  system: string;
  word: Word;
}

export const cardTypes: readonly CardType[] = [
  { system: 'urn:oid:2.16.156.10011.1.3', word: ['居民身份证', 'Citizen id'] },
  { system: 'urn:oid:2.16.156.10011.1.19', word: ['居民健康卡', 'Health card'] },
  { system: 'https://hutong.example/sid/social-card', word: ['社会保障卡', 'Social security card'] },
  { system: 'https://hutong.example/sid/insurance-no', word: ['医保个人编号', 'Insurance number'] },
  { system: 'urn:oid:2.16.156.10011.1.2', word: ['健康档案编号', 'Health record number'] },
  { system: 'mrn', word: ['本院病案号', 'Own record number'] },
];

const grade = 'http://hl7.org/fhir/StructureDefinition/match-grade';

/** Stands for the index's grade when a person was found by their own card, and nobody else was. */
export const cardGrade = 'card';

export async function match(api: Api, patient: Patient): Promise<Found[]> {
  const body = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'resource', resource: patient },
      { name: 'count', valueInteger: 10 },
    ],
  };
  const bundle = await api.post<Bundle<Patient>>('/fhir/Patient/$match', body);
  const found = (bundle.entry ?? []).flatMap((e) =>
    e.resource ? [{ key: `Patient/${e.resource.id}`, patient: e.resource, grade: extension(e.search?.extension, grade)?.valueCode ?? '' }] : [],
  );
  return found.length === 1 && patient.identifier ? found.map((f) => ({ ...f, grade: cardGrade })) : found;
}

export const byCard = (system: string, value: string): Patient => ({ resourceType: 'Patient', identifier: [{ system, value }] });

/** System of an institution's own record numbers, from its credit code. */
export function mrnSystem(identifiers: readonly Identifier[] | undefined): string | undefined {
  const uscc = identifiers?.find((i) => i.system === 'https://hutong.example/sid/uscc')?.value;
  return uscc ? `https://hutong.example/sid/${uscc}/mrn` : undefined;
}
