// /api/consultations as the views use it (gateway/consult).
import { type Api } from '../../shared/api.ts';

export type Move = 'consent' | 'request' | 'accept' | 'return' | 'reject' | 'schedule' | 'check-in' | 'opinion' | 'sign' | 'decide' | 'archive' | 'cancel';

export interface Consultation {
  id: string;
  state: string;
  stateText: [zh: string, en: string];
  reason?: string;
  patient: string;
  priority: string;
  question: string;
  invitingOrg: string;
  inviting: string;
  invitedOrg: string;
  role?: string;
  consultant?: string;
  documents: string[];
  start?: string;
  end?: string;
  checkedIn?: string[];
  opinion?: string;
  decision?: string;
  decisionText?: string;
  authoredOn: string;
  modified: string;
  answerBy?: string;
  overdue: boolean;
  moves: Move[] | null;
}

export interface Draft {
  patient: string;
  invitedOrg: string;
  priority: string;
  question: string;
  documents: string[];
}

/** What comes with a move; which members count follows from the move. */
export interface MoveInput {
  reason?: string;
  signature?: { by: string; method: string; feeTold: boolean };
  role?: string;
  start?: string;
  end?: string;
  opinion?: string;
  decision?: string;
  text?: string;
}

const base = '/api/consultations';

export const consultations = {
  list: async (api: Api, signal?: AbortSignal): Promise<Consultation[]> => (await api.get<{ consultations: Consultation[] }>(base, { signal })).consultations,
  get: (api: Api, id: string, signal?: AbortSignal): Promise<Consultation> => api.get(`${base}/${id}`, { signal }),
  draft: (api: Api, draft: Draft): Promise<Consultation> => api.post(base, draft),
  move: (api: Api, id: string, move: Move, input: MoveInput): Promise<Consultation> => api.post(`${base}/${id}/${move}`, input),
  proof: (api: Api, id: string): Promise<{ valid: boolean }> => api.get(`${base}/${id}/proof`),
};

/** The pathway of a consultation that goes well. */
export const pathway = ['drafted', 'consented', 'requested', 'accepted', 'scheduled', 'in-progress', 'opinion-drafted', 'signed', 'decided', 'archived'] as const;
