// The resident's choices as FHIR Consents: each active one is a single denial,
// of one custodian's records (CST) or to one viewer (IRCP).
import type { Consent, ConsentProvisionActor } from 'fhir/r4';
import { matches, type Api } from '../shared/api.ts';
import { hasCoding, referenceKey, systems } from '../shared/fhir.ts';

export type Kind = 'source' | 'viewer';

/** One denial in force. */
export interface Limit {
  consent: Consent;
  kind: Kind;
  /** "Organization/x" or "Practitioner/y". */
  target: string;
}

const roleOf: Record<Kind, { code: string; display: string }> = {
  source: { code: 'CST', display: 'custodian' },
  viewer: { code: 'IRCP', display: 'information recipient' },
};

function kindOf(actor: ConsentProvisionActor): Kind | undefined {
  if (hasCoding([actor.role], systems.participation, 'CST')) return 'source';
  return hasCoding([actor.role], systems.participation, 'IRCP') ? 'viewer' : undefined;
}

/** The limits that a list of consents puts in force. */
function limitsOf(consents: readonly Consent[]): Limit[] {
  return consents
    .filter((c) => c.status === 'active' && c.provision?.type === 'deny')
    .flatMap((consent) =>
      (consent.provision?.actor ?? []).flatMap((actor) => {
        const kind = kindOf(actor);
        return kind ? [{ consent, kind, target: referenceKey(actor.reference) }] : [];
      }),
    );
}

export async function readLimits(api: Api, patient: string, signal?: AbortSignal): Promise<Limit[]> {
  const bundle = await api.search<Consent>('Consent', { patient, status: 'active', _count: 200 }, { signal });
  return limitsOf(matches(bundle));
}

function denial(patient: string, kind: Kind, target: string, now = new Date()): Consent {
  return {
    resourceType: 'Consent',
    status: 'active',
    scope: { coding: [{ system: systems.consentScope, code: 'patient-privacy', display: 'Privacy Consent' }] },
    category: [{ coding: [{ system: systems.loinc, code: '59284-0', display: 'Consent Document' }] }],
    patient: { reference: patient },
    dateTime: now.toISOString(),
    performer: [{ reference: patient }],
    policyRule: { coding: [{ system: systems.actCode, code: 'OPTINR', display: 'opt-in with restrictions' }] },
    provision: {
      type: 'deny',
      actor: [{ role: { coding: [{ system: systems.participation, ...roleOf[kind] }] }, reference: { reference: target } }],
    },
  };
}

/** Puts a denial in force. */
export function deny(api: Api, patient: string, kind: Kind, target: string): Promise<Consent> {
  return api.post<Consent>('/fhir/Consent', denial(patient, kind, target));
}

/** Ends a denial: the Consent stays, inactive, as a record of what was in force. */
export function lift(api: Api, limit: Limit): Promise<Consent> {
  const { meta: _meta, ...rest } = limit.consent;
  return api.put<Consent>(`/fhir/Consent/${limit.consent.id}`, { ...rest, status: 'inactive' } satisfies Consent, {
    headers: { 'If-Match': `W/"${limit.consent.meta?.versionId ?? ''}"` },
  });
}
