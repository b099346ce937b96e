// The console's frame: who is signed in, and the sections that their roles allow.
import { useEffect, useRef, useState } from 'preact/hooks';
import { LanguageSwitch } from '../shared/frame.tsx';
import iconUrl from '../shared/icon.svg';
import { useApp, useRoute } from '../shared/hooks.ts';
import { useLocale, type Word } from '../shared/locale.ts';
import { Button, Card, Empty } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { DirectoryProvider, useDirectory } from '../record/directory.tsx';
import { AuditSearch } from './auditor/audit.tsx';
import { Patients } from './clinic/patients.tsx';
import type { Found } from './clinic/match.ts';
import { Consultations } from './consult/list.tsx';
import { Persons } from './steward/person.tsx';
import { Queue } from './steward/queue.tsx';
import { Reports } from './steward/reports.tsx';
import { C, roleWords } from './words.ts';

type Section = 'patients' | 'consultations' | 'queue' | 'persons' | 'reports' | 'audit' | 'none';

const allowed: readonly { section: Section; roles: readonly string[]; title: Word }[] = [
  { section: 'patients', roles: ['clinician', 'emergency'], title: C.patients },
  { section: 'consultations', roles: ['clinician', 'coordinator'], title: C.consultations },
  { section: 'queue', roles: ['steward'], title: C.queue },
  { section: 'persons', roles: ['steward'], title: C.persons },
  { section: 'reports', roles: ['steward'], title: C.reports },
  { section: 'audit', roles: ['auditor'], title: C.audit },
];

/** What a section may keep while another is shown; never in the address. */
export interface Desk {
  patient: Found | undefined;
  setPatient: (p: Found | undefined) => void;
  person: string | undefined;
  setPerson: (id: string | undefined) => void;
  go: (section: 'patients' | 'consultations' | 'queue' | 'persons') => void;
}

export function ConsoleApp({ signOut }: { signOut: () => void }) {
  return (
    <DirectoryProvider>
      <Inside signOut={signOut} />
    </DirectoryProvider>
  );
}

function Inside({ signOut }: { signOut: () => void }) {
  const { me } = useApp();
  const { t } = useLocale();
  const mine = allowed.filter((s) => s.roles.some((r) => me.roles.includes(r)));
  const [section, go] = useRoute<Section>(mine.length ? mine.map((s) => s.section) : ['none']);
  const [patient, setPatient] = useState<Found>();
  const [person, setPerson] = useState<string>();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    main.current?.focus();
  }, [section]);
  const desk: Desk = { patient, setPatient, person, setPerson, go };
  const title = mine.find((s) => s.section === section)?.title ?? C.title;
  return (
    <div class="console">
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>{t(W.skip)}</a>
      <TopBar signOut={signOut} />
      {mine.length > 0 && (
        <nav class="side" aria-label={t(W.menu)}>
          {mine.map((s) => (
            <a key={s.section} href={`#/${s.section}`} aria-current={s.section === section ? 'page' : undefined}>
              {t(s.title)}
            </a>
          ))}
        </nav>
      )}
      <main id="main" ref={main} tabIndex={-1} aria-label={t(title)}>
        <h1 class={section === 'patients' && patient ? 'unseen' : ''}>{t(title)}</h1>
        <View section={section} desk={desk} />
      </main>
    </div>
  );
}

function View({ section, desk }: { section: Section; desk: Desk }) {
  const { me } = useApp();
  const { t } = useLocale();
  switch (section) {
    case 'patients':
      return <Patients desk={desk} />;
    case 'consultations':
      return <Consultations />;
    case 'queue':
      return <Queue desk={desk} />;
    case 'persons':
      return <Persons desk={desk} />;
    case 'reports':
      return <Reports desk={desk} />;
    case 'audit':
      return <AuditSearch />;
    default:
      return (
        <Card>
          <Empty>{t(me.roles.includes('resident') ? C.residentHere : C.nothing)}</Empty>
          {me.roles.includes('resident') && (
            <p>
              <a href="/resident/">/resident/</a>
            </p>
          )}
        </Card>
      );
  }
}

function TopBar({ signOut }: { signOut: () => void }) {
  const { me } = useApp();
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const roles = me.roles.map((r) => (roleWords[r] ? t(roleWords[r]) : r)).join(lang === 'zh' ? '、' : ', ');
  return (
    <header class="top">
      <p class="brand">
        <img src={iconUrl} alt="" width="32" height="32" />
        {t(C.title)}
      </p>
      <p class="who">
        <span class="strong">{me.name || me.subject}</span>
        <span class="quiet-text">{[roles, directory.org(me.organization)].filter(Boolean).join(' · ')}</span>
      </p>
      <LanguageSwitch />
      <Button kind="quiet" id="sign-out" onClick={signOut}>{t(W.signOut)}</Button>
    </header>
  );
}
