// The identity API (mpi/rest/API.md) as the steward's views use it.
import type { Patient } from 'fhir/r4';
import { queryString, type Api } from '../../shared/api.ts';
import type { Lang } from '../../shared/locale.ts';

/** A text in both languages, as the API sends it. */
export type Both = Record<'zh-CN' | 'en', string>;
export const pick = (lang: Lang, text: Both): string => text[lang === 'zh' ? 'zh-CN' : 'en'];

export interface Reason {
  code: string;
  text: Both;
}

export interface Side {
  patient: string;
  person: string;
  organization: string;
  name: string;
  gender: string;
  birthDate: string;
}

export interface Decision {
  decision: 'link' | 'reject';
  by: string;
  reason: string;
  at: string;
  journal: string;
  /** Who confirmed it, where two people decided. */
  second?: string;
}

export interface QueueItem {
  id: string;
  status: 'open' | 'done';
  kind: string;
  risk: 'high' | 'medium' | 'low';
  probability: number;
  created: string;
  reasons: Reason[];
  a: Side;
  b: Side;
  decision: Decision | null;
  /** Waits for a second person. */
  proposal?: string;
}

/** A join or an undo that a second steward must confirm. */
export interface Proposal {
  id: string;
  status: 'pending' | 'confirmed' | 'declined' | 'moot';
  action: 'decide-link' | 'link' | 'undo';
  risk: 'high' | 'medium' | 'low';
  rules: Reason[];
  a?: Side;
  b?: Side;
  by: string;
  reason: string;
  at: string;
  second?: string;
  because?: string;
  ended?: string;
  own: boolean;
  explanation?: Explanation;
  entry?: JournalEntry;
}

/** What a request that waits answers (202). */
export interface Waits {
  proposal?: Proposal;
}

export interface Duplicates {
  organization: string;
  person: string;
  patients: string[];
  since: string;
}

export interface Overlay {
  id: string;
  organization: string;
  patient: string;
  version: number;
  by: number;
  at: string;
  before: string;
  after: string;
  reasons: Reason[];
}

export interface Count {
  organization: string;
  duplicates: number;
  records: number;
  overlays: number;
}

export interface Page<T> {
  items: T[];
  next?: string;
}

export interface Field {
  field: string;
  label: Both;
  a: string;
  b: string;
  level: string;
  weight: number;
  words: Both;
}

export interface Explanation {
  probability: number;
  weight: number;
  grade: string;
  verdict: string;
  rules: Reason[];
  fields: Field[];
  model: string;
  samePerson: boolean;
}

export interface QueueDetail extends QueueItem {
  explanation: Explanation;
  persons: Record<'a' | 'b', { person: string; members: string[] }>;
}

export interface QueuePage {
  items: QueueItem[];
  open: number;
  done: number;
  next?: string;
}

export interface Member {
  patient: string;
  organization: string;
  name: string;
  gender: string;
  birthDate: string;
  active: boolean;
}

export interface Link {
  a: string;
  b: string;
  reasons: Reason[];
  probability: number;
  by: string;
}

export interface JournalEntry {
  id: string;
  at: string;
  actor: string;
  action: string;
  reason: string;
  rules: Reason[];
  patients: string[];
  before: { person: string; members: string[] }[];
  after: { person: string; members: string[] }[];
  undoOf: string;
  undoneBy: string;
  canUndo: boolean;
  second?: string;
  secondReason?: string;
}

export interface PersonView {
  person: string;
  members: Member[];
  golden: Patient;
  sources: Record<string, string>;
  links: Link[];
  journal: JournalEntry[];
}

const base = '/api/identity';

export const identity = {
  queue: (api: Api, status: 'open' | 'done', after: string | undefined, signal?: AbortSignal): Promise<QueuePage> =>
    api.get(`${base}/queue${queryString({ status, limit: 50, after })}`, { signal }),
  item: (api: Api, id: string, signal?: AbortSignal): Promise<QueueDetail> => api.get(`${base}/queue/${encodeURIComponent(id)}`, { signal }),
  decide: (api: Api, id: string, decision: 'link' | 'reject', reason: string): Promise<QueueDetail> =>
    api.post(`${base}/queue/${encodeURIComponent(id)}`, { decision, reason }),
  person: (api: Api, id: string, signal?: AbortSignal): Promise<PersonView> => api.get(`${base}/persons/${encodeURIComponent(id)}`, { signal }),
  undo: (api: Api, journal: string, reason: string): Promise<Waits> => api.post(`${base}/journal/${encodeURIComponent(journal)}/undo`, { reason }),
  link: (api: Api, person: string, patient: string, reason: string): Promise<Waits> => api.post(`${base}/persons/${encodeURIComponent(person)}/link`, { patient, reason }),
  explain: (api: Api, a: string, b: string): Promise<Explanation> => api.get(`${base}/explain${queryString({ a, b })}`),
  proposals: (api: Api, status: 'pending' | 'done', after: string | undefined, signal?: AbortSignal): Promise<Page<Proposal>> =>
    api.get(`${base}/proposals${queryString({ status, limit: 50, after })}`, { signal }),
  proposal: (api: Api, id: string, signal?: AbortSignal): Promise<Proposal> => api.get(`${base}/proposals/${encodeURIComponent(id)}`, { signal }),
  second: (api: Api, id: string, decision: 'confirm' | 'decline', reason: string): Promise<Proposal> =>
    api.post(`${base}/proposals/${encodeURIComponent(id)}`, { decision, reason }),
  summary: (api: Api, signal?: AbortSignal): Promise<{ organizations: Count[] }> => api.get(`${base}/reports/summary`, { signal }),
  duplicates: (api: Api, organization: string, after: string | undefined, signal?: AbortSignal): Promise<Page<Duplicates>> =>
    api.get(`${base}/reports/duplicates${queryString({ organization, limit: 50, after })}`, { signal }),
  overlays: (api: Api, organization: string, after: string | undefined, signal?: AbortSignal): Promise<Page<Overlay>> =>
    api.get(`${base}/reports/overlays${queryString({ organization, limit: 50, after })}`, { signal }),
  csv: (api: Api, report: 'duplicates' | 'overlays', organization: string): Promise<string> =>
    api.text(`${base}/reports/${report}${queryString({ organization, format: 'csv' })}`, { headers: { Accept: 'text/csv' } }),
  split: (api: Api, person: string, members: string[], reason: string): Promise<{ person: string }> =>
    api.post(`${base}/persons/${encodeURIComponent(person)}/split`, { members, reason }),
};
