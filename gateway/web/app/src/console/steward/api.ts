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
  undo: (api: Api, journal: string, reason: string): Promise<JournalEntry> => api.post(`${base}/journal/${encodeURIComponent(journal)}/undo`, { reason }),
  split: (api: Api, person: string, members: string[], reason: string): Promise<{ person: string }> =>
    api.post(`${base}/persons/${encodeURIComponent(person)}/split`, { members, reason }),
};
