// Why a glass was broken: the exchange keeps each as a Consent that permits one
// doctor for a few hours and holds the reason in the doctor's own words.
import type { AuditEvent, Consent } from 'fhir/r4';
import { matches, type Api } from '../shared/api.ts';
import { concept, extension, hasCoding, referenceKey } from '../shared/fhir.ts';

const kind = 'https://hutong.example/fhir/CodeSystem/consent-kind';

export interface Glass {
  doctor: string; // "Practitioner/x"
  from: number; // ms since the epoch
  until: number;
  reason: string;
}

function glassOf(c: Consent): Glass | undefined {
  if (!hasCoding(c.category, kind, 'break-glass')) return undefined;
  const why = extension(c.extension, 'break-glass-reason')?.valueCodeableConcept;
  const coded = why?.coding?.[0]?.display;
  const words = [coded, concept(why)].filter((x, i, all) => x && all.indexOf(x) === i);
  return {
    doctor: referenceKey(c.provision?.actor?.[0]?.reference),
    from: Date.parse(c.provision?.period?.start ?? c.dateTime ?? ''),
    until: Date.parse(c.provision?.period?.end ?? ''),
    reason: words.join('：'),
  };
}

export async function readGlasses(api: Api, patient: string, signal: AbortSignal): Promise<Glass[]> {
  const bundle = await api.search<Consent>('Consent', { patient, category: `${kind}|break-glass`, _count: 200 }, { signal });
  return matches(bundle).flatMap((c) => glassOf(c) ?? []);
}

/** The reason under which an access was made: of the same doctor, in force at that moment. */
export function reasonFor(event: AuditEvent, glasses: readonly Glass[]): string | undefined {
  const doctor = referenceKey(event.agent.find((a) => a.requestor)?.who);
  const at = Date.parse(event.recorded);
  const slack = 2000; // the event is recorded a moment before the glass is open
  return glasses.find((g) => g.doctor === doctor && at >= g.from - slack && at <= g.until)?.reason;
}

