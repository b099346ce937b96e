// Whose record it is: the resident's own, joined from all their hospitals.
import type { Patient } from 'fhir/r4';
import { matches, type Api, type Me } from '../shared/api.ts';
import { bestCard } from '../shared/format.ts';

export interface Person {
  /** Key for searches, which means all records of the person: "Patient/<person id>". */
  key: string;
  /** The source record that the header shows and new Consents name. */
  patient: Patient;
  /** How many institutions know the person. */
  records: number;
}

/**
 * Reads the person of the login; undefined if no hospital knows them. A
 * resident's search for patients finds exactly their own records.
 */
export async function readPerson(api: Api, me: Me, signal: AbortSignal): Promise<Person | undefined> {
  if (!me.patient) return undefined;
  const bundle = await api.search<Patient>('Patient', { _count: 50 }, { signal });
  const records = matches(bundle);
  const patient = records.find((p) => hasHan(p) && p.identifier && bestCard(p.identifier)) ?? records[0];
  return patient && { key: me.patient, patient, records: bundle.total ?? records.length };
}

const hasHan = (p: Patient): boolean => (p.name ?? []).some((n) => /\p{Script=Han}/u.test(`${n.text ?? ''}${n.family ?? ''}`));
