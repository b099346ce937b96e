// The frame of a page: language, session, and the door before it.
import type { ComponentChildren } from 'preact';
import { useEffect, useErrorBoundary, useMemo, useState } from 'preact/hooks';
import { Api, type Me } from './api.ts';
import { AppContext } from './hooks.ts';
import iconUrl from './icon.svg';
import { applyLang, initialLang, keepLang, LocaleContext, translate, useLocale, type Lang, type Locale, type Word } from './locale.ts';
import { LoginError, Session, type AppConfig } from './session.ts';
import { Button, Failure, Loading } from './ui.tsx';
import { W } from './words.ts';

export interface FrameProps extends AppConfig {
  title: Word;
  /** One sentence at the door: what the page is for. */
  lead: Word;
  purpose: (me: Me) => string;
  children: (signOut: () => void) => ComponentChildren;
}

/** Everything around an app: it renders children only for a signed-in user. */
export function Frame(props: FrameProps) {
  const [lang, setLang] = useState<Lang>(initialLang);
  useEffect(() => applyLang(lang, props.title), [lang]);
  const locale = useMemo<Locale>(
    () => ({
      lang,
      t: (word, params) => translate(lang, word, params),
      switchTo: (next) => (keepLang(next), setLang(next)),
    }),
    [lang],
  );
  return (
    <LocaleContext.Provider value={locale}>
      <SignedIn {...props} />
    </LocaleContext.Provider>
  );
}

type Stage = { at: 'starting' } | { at: 'door'; error?: unknown } | { at: 'inside'; api: Api; me: Me };

function SignedIn({ clientId, path, scope, purpose, title, lead, children }: FrameProps) {
  const session = useMemo(() => new Session({ clientId, path, scope }), []);
  const [stage, setStage] = useState<Stage>({ at: 'starting' });

  useEffect(() => {
    session.onEnd = () => setStage({ at: 'door', error: new LoginError('signed_out') });
    enter(session, purpose).then(setStage, (error: unknown) => {
      session.forget();
      setStage({ at: 'door', error });
    });
  }, []);

  const signOut = () => {
    session.logout().then(
      () => setStage({ at: 'door' }),
      (error: unknown) => setStage({ at: 'door', error }),
    );
  };

  if (stage.at === 'starting') return <Opening />;
  if (stage.at === 'door') return <Door title={title} lead={lead} error={stage.error} begin={() => session.begin()} />;
  return (
    <AppContext.Provider value={{ api: stage.api, me: stage.me }}>
      <Guard>{children(signOut)}</Guard>
    </AppContext.Provider>
  );
}

/** A defect in a view is told and leaves a way on, instead of an empty page. */
function Guard({ children }: { children: ComponentChildren }) {
  const [defect, reset] = useErrorBoundary();
  if (defect === undefined) return <>{children}</>;
  return (
    <main id="main" class="door">
      <Failure error={defect} onRetry={reset} />
    </main>
  );
}

/** Completes a login that is under way, resumes one after a reload, or stays at the door. */
async function enter(session: Session, purpose: (me: Me) => string): Promise<Stage> {
  if (!(await session.complete())) {
    if (!session.resumable()) return { at: 'door' };
    session.forget(); // one try: an answer that fails ends at the door, not in a loop
    await session.begin();
    return { at: 'starting' };
  }
  const api = new Api(session);
  const me = await api.me();
  api.purpose = purpose(me);
  return { at: 'inside', api, me };
}

function Opening() {
  const { t } = useLocale();
  return (
    <div class="door">
      <div class="door-top" />
      <main id="main">
        <h1>{t(W.signingIn)}</h1>
        <Loading lines={2} />
      </main>
    </div>
  );
}

function Door({ title, lead, error, begin }: { title: Word; lead: Word; error?: unknown; begin: () => Promise<void> }) {
  const { t } = useLocale();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(error);
  const start = () => {
    setBusy(true);
    begin().catch((e: unknown) => {
      setBusy(false);
      setFailed(e);
    });
  };
  return (
    <div class="door">
      <header class="door-top">
        <LanguageSwitch />
      </header>
      <main id="main">
        <img src={iconUrl} alt="" />
        <h1>{t(title)}</h1>
        <p class="lead">{t(lead)}</p>
        {failed !== undefined && <Failure error={failed} />}
        <Button kind="primary" id="sign-in" busy={busy} onClick={start}>
          {t(W.signIn)}
        </Button>
      </main>
      <footer>{t(W.footer)}</footer>
    </div>
  );
}

/** Names the other language in that language. */
export function LanguageSwitch() {
  const { lang, t, switchTo } = useLocale();
  const other: Lang = lang === 'zh' ? 'en' : 'zh';
  return (
    <button type="button" class="button quiet" lang={other === 'zh' ? 'zh-CN' : 'en'} onClick={() => switchTo(other)}>
      {t(W.switchLang)}
    </button>
  );
}
