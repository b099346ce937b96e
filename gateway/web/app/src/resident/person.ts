// Whose record it is: the resident's own, joined from all their hospitals.
import type { Patient } from 'fhir/r4';
import { matches, type Api, type Me } from '../shared/api.ts';
import { idOf } from '../shared/fhir.ts';

export interface Person {
  /** Key for searches: "Patient/<person id>". */
  key: string;
  /** The source record that the header shows. */
  patient: Patient | undefined;
  /** How many institutions know the person. */
  records: number;
}

/** Reads the person of the login; undefined if the account has no record. */
export async function readPerson(api: Api, me: Me, signal: AbortSignal): Promise<Person | undefined> {
  if (!me.patient) return undefined;
  const id = idOf(me.patient);
  const bundle = await api.search<Patient>('Patient', { _id: id, _count: 50 }, { signal });
  const patients = matches(bundle);
  return { key: me.patient, patient: patients.find((p) => p.id === id) ?? patients[0], records: bundle.total ?? patients.length };
}
