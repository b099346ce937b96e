// Failures in words: what happened, what to do, and what the server said.
import { ApiError } from './api.ts';
import type { Word } from './locale.ts';
import { LoginError } from './session.ts';
import { W } from './words.ts';

export interface Explained {
  message: Word;
  /** The server's own words, one per issue: "text (element)". */
  details: readonly string[];
  /** Whether the same request may succeed if it is sent again. */
  retry: boolean;
}

const loginWords: Record<string, Word> = {
  insecure_context: W.errInsecure,
  access_denied: W.errDenied,
  state_mismatch: W.errState,
  invalid_grant: W.errState,
  signed_out: W.errEnded,
};

const statusWords: Record<number, Word> = {
  0: W.errNetwork,
  400: W.errInvalid,
  401: W.errEnded,
  403: W.errForbidden,
  404: W.errNotFound,
  409: W.errClash,
  410: W.errNotFound,
  412: W.errConflict,
  422: W.errInvalid,
  429: W.errBusy,
  503: W.errBusy,
  504: W.errBusy,
};

export function explain(error: unknown): Explained {
  if (error instanceof LoginError) return { message: loginWords[error.reason] ?? W.errLogin, details: [], retry: false };
  if (!(error instanceof ApiError)) return { message: W.errServer, details: [], retry: true };
  const { status } = error;
  return {
    message: statusWords[status] ?? W.errServer,
    details: error.issues.map((issue) => {
      const text = issue.details?.text ?? issue.diagnostics ?? issue.code;
      const where = issue.expression?.join(', ');
      return where ? `${text} (${where})` : text;
    }),
    retry: status === 0 || status >= 429,
  };
}
