// The public API with the user's token: JSON in, JSON out, failures as
// ApiError with the issues of the server's OperationOutcome.
import type { Bundle, OperationOutcome, OperationOutcomeIssue, FhirResource } from 'fhir/r4';
import { parseExact } from './exact.ts';
import type { Session } from './session.ts';

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly issues: readonly OperationOutcomeIssue[],
  ) {
    super(`HTTP ${status}`);
  }
}

/** Who the server says the user is: GET /api/me. */
export interface Me {
  subject: string;
  name: string;
  roles: string[];
  organization?: string;
  organizationName?: string;
  practitioner?: string;
  /** Key of the person whose record a resident may read: "Patient/<id>". */
  patient?: string;
}

export type Query = Record<string, string | number | readonly string[] | undefined>;

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** v3 PurposeOfUse, in place of the session's own. */
  purpose?: string | undefined;
  headers?: Record<string, string> | undefined;
}

export class Api {
  constructor(
    private readonly session: Session,
    /** v3 PurposeOfUse sent with every request that names no other; unknown until /api/me has told the roles. */
    public purpose?: string,
  ) {}

  me(): Promise<Me> {
    return this.get<Me>('/api/me');
  }

  get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.send<T>('GET', path, undefined, options);
  }

  post<T>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return this.send<T>('POST', path, body, options);
  }

  /** A text that is not JSON, such as a report as CSV. */
  async text(path: string, options: RequestOptions = {}): Promise<string> {
    const answer = await this.answered('GET', path, undefined, options);
    return answer.text();
  }

  put<T>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return this.send<T>('PUT', path, body, options);
  }

  search<T extends FhirResource>(type: string, query: Query, options: RequestOptions = {}): Promise<Bundle<T>> {
    return this.get<Bundle<T>>(`/fhir/${type}${queryString(query)}`, options);
  }

  private async send<T>(method: string, path: string, body: unknown, options: RequestOptions): Promise<T> {
    const answer = await this.answered(method, path, body, options);
    const text = await answer.text();
    return (text ? parseExact(text) : undefined) as T;
  }

  private async answered(method: string, path: string, body: unknown, options: RequestOptions): Promise<Response> {
    let answer = await this.once(method, path, body, options);
    if (answer.status === 401) {
      await this.session.renew();
      answer = await this.once(method, path, body, options);
    }
    if (!answer.ok) throw new ApiError(answer.status, await issuesOf(answer));
    return answer;
  }

  private async once(method: string, path: string, body: unknown, options: RequestOptions): Promise<Response> {
    const fhir = path.startsWith('/fhir');
    const headers: Record<string, string> = {
      Accept: fhir ? 'application/fhir+json' : 'application/json',
      Authorization: `Bearer ${await this.session.token()}`,
      'Accept-Language': document.documentElement.lang,
      ...options.headers,
    };
    const purpose = options.purpose ?? this.purpose;
    if (purpose) headers['X-Purpose-Of-Use'] = purpose;
    if (body !== undefined) headers['Content-Type'] = fhir ? 'application/fhir+json' : 'application/json';
    try {
      return await fetch(path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        cache: 'no-store',
        credentials: 'same-origin',
        signal: options.signal ?? null,
      });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError(0, []);
    }
  }
}

export function queryString(query: Query): string {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue;
    for (const one of Array.isArray(value) ? value : [value]) pairs.append(name, String(one));
  }
  const text = pairs.toString();
  return text ? '?' + text : '';
}

/** Path and query of a Bundle link, so that a proxy's other host name does no harm. */
export function linkOf(bundle: Bundle, relation: string): string | undefined {
  const url = bundle.link?.find((l) => l.relation === relation)?.url;
  if (!url) return undefined;
  const parsed = new URL(url, location.origin + '/fhir/');
  return parsed.pathname + parsed.search;
}

/** The matches of a searchset, without its includes and outcomes. */
export function matches<T extends FhirResource>(bundle: Bundle<T>): T[] {
  return (bundle.entry ?? []).flatMap((e) => (e.resource && (e.search?.mode ?? 'match') === 'match' ? [e.resource] : []));
}

async function issuesOf(answer: Response): Promise<readonly OperationOutcomeIssue[]> {
  try {
    const outcome = (await answer.json()) as OperationOutcome;
    return outcome.issue ?? [];
  } catch {
    return [];
  }
}
