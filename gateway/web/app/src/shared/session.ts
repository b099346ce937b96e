// The user's session: OAuth2 authorization code with PKCE. Tokens live in this
// object and nowhere else; a reload forgets them and asks the server again,
// whose own login session answers without a new password.
import { challenge, random } from './pkce.ts';

export interface AppConfig {
  clientId: string;
  /** Path of the page, registered as redirect URI: /resident/ */
  path: string;
  scope: string;
}

interface Tokens {
  access: string;
  refresh: string | undefined;
  id: string | undefined;
  expires: number; // ms since the epoch
}

interface Pending {
  verifier: string;
  state: string;
}

interface TokenAnswer {
  access_token: string;
  refresh_token?: string;
  id_token?: string;
  expires_in?: number;
}

/** Why a login did not come about; reason is OAuth2's error code or one of ours. */
export class LoginError extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

const renewBefore = 60_000; // renew a token that ends within a minute

export class Session {
  private tokens: Tokens | undefined;
  private renewal: Promise<void> | undefined;
  /** Called when the session ends without the user's doing. */
  onEnd: () => void = () => {};

  constructor(private readonly app: AppConfig) {}

  private get pendingKey(): string {
    return `hutong.${this.app.clientId}.pending`;
  }

  private get knownKey(): string {
    return `hutong.${this.app.clientId}.known`;
  }

  private get redirectUri(): string {
    return location.origin + this.app.path;
  }

  /** Leaves for the server's login page. The promise settles only if that fails. */
  async begin(): Promise<void> {
    if (!globalThis.crypto?.subtle) throw new LoginError('insecure_context');
    const pending: Pending = { verifier: random(), state: random() };
    sessionStorage.setItem(this.pendingKey, JSON.stringify(pending));
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: this.app.clientId,
      redirect_uri: this.redirectUri,
      scope: this.app.scope,
      state: pending.state,
      aud: location.origin + '/fhir',
      ui_locales: document.documentElement.lang,
      code_challenge: await challenge(pending.verifier),
      code_challenge_method: 'S256',
    });
    location.assign('/oauth2/authorize?' + query.toString());
  }

  /**
   * Finishes a login if the address bar holds its answer: true if the user is
   * now signed in, false if there was no answer. Throws LoginError.
   */
  async complete(): Promise<boolean> {
    const query = new URLSearchParams(location.search);
    if (!query.has('code') && !query.has('error')) return false;
    history.replaceState(null, '', this.app.path);
    const pending = this.takePending();
    const error = query.get('error');
    if (error) throw new LoginError(error);
    if (!pending || pending.state !== query.get('state')) throw new LoginError('state_mismatch');
    await this.redeem({
      grant_type: 'authorization_code',
      code: query.get('code') ?? '',
      redirect_uri: this.redirectUri,
      code_verifier: pending.verifier,
    });
    sessionStorage.setItem(this.knownKey, '1');
    return true;
  }

  /** Whether this tab was signed in before a reload, so that the login can be resumed without a click. */
  resumable(): boolean {
    return sessionStorage.getItem(this.knownKey) !== null;
  }

  forget(): void {
    this.tokens = undefined;
    sessionStorage.removeItem(this.knownKey);
    sessionStorage.removeItem(this.pendingKey);
  }

  /** Revokes the tokens and ends the server's login session. */
  async logout(): Promise<void> {
    const held = this.tokens;
    this.forget();
    if (held) await this.form('/oauth2/revoke', { token: held.refresh ?? held.access }).catch(() => undefined);
    const end = await this.form('/oauth2/logout', held?.id ? { id_token_hint: held.id } : {}).catch(() => undefined);
    if (end && !end.ok && end.status >= 500) throw new LoginError('server_error');
  }

  /** A valid access token. Throws LoginError when the session is over. */
  async token(): Promise<string> {
    if (this.tokens && this.tokens.expires - Date.now() < renewBefore && this.tokens.refresh) await this.renew();
    if (!this.tokens) throw new LoginError('signed_out');
    return this.tokens.access;
  }

  /** Gets a new access token now; concurrent callers share one renewal. */
  renew(): Promise<void> {
    this.renewal ??= this.redeem({ grant_type: 'refresh_token', refresh_token: this.tokens?.refresh ?? '' })
      .catch((error: unknown) => {
        this.tokens = undefined;
        this.onEnd();
        throw error;
      })
      .finally(() => {
        this.renewal = undefined;
      });
    return this.renewal;
  }

  private async redeem(grant: Record<string, string>): Promise<void> {
    const answer = await this.form('/oauth2/token', grant);
    if (!answer.ok) throw new LoginError(await oauthReason(answer));
    const body = (await answer.json()) as TokenAnswer;
    this.tokens = {
      access: body.access_token,
      refresh: body.refresh_token ?? this.tokens?.refresh,
      id: body.id_token ?? this.tokens?.id,
      expires: Date.now() + (body.expires_in ?? 300) * 1000,
    };
  }

  private form(path: string, fields: Record<string, string>): Promise<Response> {
    const body = new URLSearchParams({ ...fields, client_id: this.app.clientId });
    return fetch(path, { method: 'POST', body, cache: 'no-store', credentials: 'same-origin', redirect: 'manual' });
  }

  private takePending(): Pending | undefined {
    const text = sessionStorage.getItem(this.pendingKey);
    sessionStorage.removeItem(this.pendingKey);
    return text ? (JSON.parse(text) as Pending) : undefined;
  }
}

async function oauthReason(answer: Response): Promise<string> {
  try {
    const body = (await answer.json()) as { error?: string };
    return body.error ?? `http_${answer.status}`;
  } catch {
    return `http_${answer.status}`;
  }
}
