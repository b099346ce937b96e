// CDS Hooks 2.0: order-sign and its feedback.
import type { Encounter, ServiceRequest } from 'fhir/r4';
import type { Api, Me } from '../../shared/api.ts';
import { idOf } from '../../shared/fhir.ts';
import { isImaging, orderCode, type Item } from '../../shared/catalogue.ts';

export interface Suggestion {
  label: string;
  uuid?: string;
  actions?: { type: string; description?: string; resourceId?: string | string[] }[];
}

export interface OverrideReason {
  code: string;
  system: string;
  display: string;
}

export interface CdsCard {
  uuid: string;
  summary: string;
  detail?: string;
  indicator: 'info' | 'warning' | 'critical';
  source: { label: string };
  suggestions?: Suggestion[];
  overrideReasons?: OverrideReason[];
  links?: { label: string; url: string; type: string }[];
}

export function draftOrder(item: Item, encounter: Encounter, me: Me): ServiceRequest {
  return {
    resourceType: 'ServiceRequest',
    id: `draft-${item.code}`,
    status: 'draft',
    intent: 'order',
    category: [{ coding: [isImaging(item) ? { system: 'http://snomed.info/sct', code: '363679005', display: 'Imaging' } : { system: 'http://snomed.info/sct', code: '108252007', display: 'Laboratory procedure' }] }],
    code: orderCode(item),
    subject: { reference: encounter.subject?.reference ?? '' },
    encounter: { reference: `Encounter/${encounter.id}` },
    authoredOn: new Date().toISOString(),
    requester: { reference: `Practitioner/${me.practitioner}`, display: me.name },
  };
}

/** Asks whether results elsewhere make the orders unnecessary. */
export async function orderSign(api: Api, me: Me, encounter: Encounter, orders: readonly ServiceRequest[]): Promise<CdsCard[]> {
  const body = {
    hook: 'order-sign',
    hookInstance: crypto.randomUUID(),
    fhirServer: location.origin + '/fhir',
    context: {
      userId: `Practitioner/${me.practitioner}`,
      patientId: idOf(encounter.subject),
      encounterId: encounter.id,
      draftOrders: { resourceType: 'Bundle', type: 'collection', entry: orders.map((resource) => ({ resource })) },
    },
  };
  return (await api.post<{ cards: CdsCard[] }>('/cds-services/order-sign', body)).cards;
}

export type Feedback =
  | { outcome: 'accepted'; acceptedSuggestions: { id: string }[] }
  | { outcome: 'overridden'; overrideReason: { reason: OverrideReason; userComment?: string } };

export function sendFeedback(api: Api, card: CdsCard, feedback: Feedback): Promise<unknown> {
  return api.post('/cds-services/order-sign/feedback', { feedback: [{ card: card.uuid, ...feedback, outcomeTimestamp: new Date().toISOString() }] });
}

/** The draft that a card speaks of: the one that its suggestion deletes. */
export function orderOf(card: CdsCard): string | undefined {
  for (const action of (card.suggestions ?? []).flatMap((s) => s.actions ?? [])) {
    const id = Array.isArray(action.resourceId) ? action.resourceId[0] : action.resourceId;
    if (action.type === 'delete' && id) return idOf(id) || id;
  }
  return undefined;
}
