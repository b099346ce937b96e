// The resident's page: who it is about, five views, a tab bar within thumb's reach.
import type { Patient } from 'fhir/r4';
import { useEffect, useRef, useState } from 'preact/hooks';
import { LanguageSwitch } from '../shared/frame.tsx';
import { age, bestCard, humanName, maskCard, maskName } from '../shared/format.ts';
import { useApp, useLoad, useRoute } from '../shared/hooks.ts';
import { useLocale, type Word } from '../shared/locale.ts';
import { Button, Card, Empty, Show } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { DirectoryProvider } from '../record/directory.tsx';
import { Results } from '../record/results.tsx';
import { Allergies, Conditions, LastVisits, Medications } from '../record/summary.tsx';
import { Timeline } from '../record/visits.tsx';
import { R } from '../record/words.ts';
import { AccessLog } from './access.tsx';
import { Icon, type IconName } from './icons.tsx';
import { readPerson, type Person } from './person.ts';
import { Sharing } from './sharing.tsx';
import { T } from './words.ts';

const views = ['summary', 'results', 'visits', 'access', 'sharing'] as const satisfies readonly IconName[];
type View = (typeof views)[number];

export function ResidentApp({ signOut }: { signOut: () => void }) {
  const { api, me } = useApp();
  const { t } = useLocale();
  const person = useLoad((signal) => readPerson(api, me, signal), [me.patient]);
  const [view, go] = useRoute<View>(views);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    main.current?.focus();
  }, [view]);
  return (
    <DirectoryProvider>
      <div class="phone">
        <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>{t(W.skip)}</a>
        <Header person={person.data} signOut={signOut} />
        <main id="main" ref={main} tabIndex={-1} aria-label={t(T[view])}>
          <Show of={person} lines={6}>
            {(found) => (found ? <Page view={view} person={found} go={go} /> : <Card><Empty>{t(T.noPatient)}</Empty></Card>)}
          </Show>
        </main>
        <nav class="tabs" aria-label={t(W.menu)}>
          {views.map((v) => (
            <a key={v} href={`#/${v}`} aria-current={v === view ? 'page' : undefined}>
              <Icon name={v} />
              <span>{t(T[v])}</span>
            </a>
          ))}
        </nav>
      </div>
    </DirectoryProvider>
  );
}

function Page({ view, person, go }: { view: View; person: Person; go: (v: View) => void }) {
  const { t } = useLocale();
  const patient = person.key;
  switch (view) {
    case 'results':
      return <Results patient={patient} />;
    case 'visits':
      return (
        <Card title={t(R.visits)}>
          <Timeline patient={patient} />
        </Card>
      );
    case 'access':
      return <AccessLog patient={patient} />;
    case 'sharing':
      return <Sharing person={person} />;
    default:
      return (
        <div class="summary">
          <Allergies patient={patient} />
          <Conditions patient={patient} />
          <Medications patient={patient} />
          <LastVisits patient={patient} more={<Button kind="quiet" onClick={() => go('visits')}>{t(R.allVisits)}</Button>} />
        </div>
      );
  }
}

const sexWords: Partial<Record<NonNullable<Patient['gender']>, Word>> = { male: T.male, female: T.female };

/** Name and card, masked until their owner asks to see them. */
function Header({ person, signOut }: { person: Person | undefined; signOut: () => void }) {
  const { me } = useApp();
  const { t, lang } = useLocale();
  const [open, setOpen] = useState(false);
  const patient = person?.patient;
  const name = (lang === 'zh' && me.name) || humanName(lang, patient?.name);
  const family = patient?.name?.[0]?.family;
  const card = bestCard(patient?.identifier)?.value ?? '';
  const years = age(patient?.birthDate);
  const sex = patient?.gender && sexWords[patient.gender];
  return (
    <header class="bar">
      <div class="bar-inner">
        <h1>{name ? (open ? name : maskName(name, family)) : t(T.title)}</h1>
        {patient && (
            <p class="bar-facts">
              {[sex && t(sex), years !== undefined && t(T.ageYears, { n: years })].filter(Boolean).join(' · ')}
              {card && (
                <>
                  {' · '}
                  <span class="unseen">{t(T.card)} </span>
                  <span class="number">{open ? card : maskCard(card)}</span>
                </>
              )}
            </p>
        )}
        <div class="bar-tools">
          {patient && (
            <Button kind="quiet" pressed={open} label={t(W.reveal)} onClick={() => setOpen(!open)}>
              <Icon name="access" />
            </Button>
          )}
          <LanguageSwitch />
          <Button kind="quiet" id="sign-out" onClick={signOut}>{t(W.signOut)}</Button>
        </div>
      </div>
    </header>
  );
}
