// The open record: one cross-hospital history, by section.
import type { DiagnosticReport, Encounter } from 'fhir/r4';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, matches, queryString } from '../../shared/api.ts';
import { conceptIn, referenceKey } from '../../shared/fhir.ts';
import { day, moment } from '../../shared/format.ts';
import { useApp, useLoad, usePages } from '../../shared/hooks.ts';
import { useLocale, type Word } from '../../shared/locale.ts';
import { Badge, Button, Card, Select, Show, TextField } from '../../shared/ui.tsx';
import { useDirectory } from '../../record/directory.tsx';
import { Results } from '../../record/results.tsx';
import { Allergies, Conditions, LastVisits, ListCard, Medications } from '../../record/summary.tsx';
import { Timeline } from '../../record/visits.tsx';
import { encounterClass, R } from '../../record/words.ts';
import type { Desk } from '../app.tsx';
import { RequestConsultation } from '../consult/request.tsx';
import { BreakGlass } from './glass.tsx';
import type { Found } from './match.ts';
import { OrderPad } from './order.tsx';
import { FoundLine } from './patients.tsx';
import { P } from './words.ts';

const tabs = ['overview', 'results', 'visits', 'reports', 'order', 'consult'] as const;
type Tab = (typeof tabs)[number];

/** The active encounter at the user's own institution, if the person has one. */
const activeStates = 'arrived,triaged,in-progress,onleave';

export interface Treatment {
  encounter: Encounter | undefined;
}

export function OpenRecord({ found, desk }: { found: Found; desk: Desk }) {
  const { api, me } = useApp();
  const { t } = useLocale();
  const bar = useRef<HTMLElement>(null);
  const treatment = useLoad<Treatment>(
    async (signal) => {
      const bundle = await api.search<Encounter>('Encounter', { patient: found.key, status: activeStates, _sort: '-date', _count: 50 }, { signal });
      const own = matches(bundle).filter((e) => e.meta?.tag?.some((x) => x.code === me.organization) || e.serviceProvider?.reference === `Organization/${me.organization}`);
      return { encounter: own[0] };
    },
    [found.key],
  );
  useEffect(() => bar.current?.focus(), []);
  const refused = treatment.error instanceof ApiError && treatment.error.status === 403;
  return (
    <div class="stack">
      <section ref={bar} tabIndex={-1} class="card patient-bar" aria-label={t(P.overview)}>
        <FoundLine found={found} />
        {me.roles.includes('emergency') && <OpenGlass found={found} round={treatment.state} />}
        <Button onClick={() => desk.setPatient(undefined)}>{t(P.close)}</Button>
      </section>
      {refused ? (
        <BreakGlass patient={found.key} opened={treatment.reload} />
      ) : (
        <Show of={treatment} lines={6}>
          {(x) => <Sections found={found} treatment={x} desk={desk} />}
        </Show>
      )}
    </div>
  );
}

/** Says that the record is open only because the glass is broken, and until when. */
function OpenGlass({ found, round }: { found: Found; round: string }) {
  const { api } = useApp();
  const { t, lang } = useLocale();
  const members = (found.patient.link ?? []).map((l) => referenceKey(l.other));
  const grants = useLoad((signal) => api.get<{ grants: { patient: string; until: string }[] }>('/api/breakglass', { signal }), [found.key, round]);
  const open = grants.data?.grants.find((g) => members.includes(g.patient) || g.patient === found.key);
  return open ? <Badge tone="bad">{t(P.glassOpen, { until: moment(lang, open.until) })}</Badge> : null;
}

function Sections({ found, treatment, desk }: { found: Found; treatment: Treatment; desk: Desk }) {
  const { me } = useApp();
  const { t } = useLocale();
  const [tab, setTab] = useState<Tab>('overview');
  const shown = tabs.filter((x) => (x !== 'order' && x !== 'consult') || me.roles.includes('clinician'));
  const list = useRef<HTMLDivElement>(null);
  const move = (e: KeyboardEvent) => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length]!;
    setTab(next);
    list.current?.querySelector<HTMLButtonElement>(`#tab-${next}`)?.focus();
  };
  return (
    <>
      <div class="sub-tabs" role="tablist" aria-label={t(P.views)} ref={list} onKeyDown={move}>
        {shown.map((x) => (
          <button key={x} id={`tab-${x}`} type="button" role="tab" aria-selected={x === tab} aria-controls="panel" tabIndex={x === tab ? 0 : -1} onClick={() => setTab(x)}>
            {t(P[x])}
          </button>
        ))}
      </div>
      <div id="panel" role="tabpanel" aria-labelledby={`tab-${tab}`} class="stack">
        <Panel tab={tab} found={found} treatment={treatment} desk={desk} />
      </div>
    </>
  );
}

function Panel({ tab, found, treatment, desk }: { tab: Tab; found: Found; treatment: Treatment; desk: Desk }) {
  const patient = found.key;
  switch (tab) {
    case 'results':
      return <Results patient={patient} />;
    case 'visits':
      return <History patient={patient} />;
    case 'reports':
      return <Reports patient={patient} />;
    case 'order':
      return <OrderPad encounter={treatment.encounter} />;
    case 'consult':
      return <RequestConsultation patient={treatment.encounter?.subject?.reference ?? patient} requested={() => desk.go('consultations')} />;
    default:
      return (
        <div class="flow">
          <Allergies patient={patient} />
          <Conditions patient={patient} />
          <Medications patient={patient} />
          <LastVisits patient={patient} />
        </div>
      );
  }
}

/** All visits, with filters by kind and dates. */
function History({ patient }: { patient: string }) {
  const { t } = useLocale();
  const [kind, setKind] = useState('');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const kinds: [string, Word][] = ['AMB', 'IMP', 'EMER', 'OBSENC', 'VR'].map((c) => [c, encounterClass[c]!]);
  return (
    <Card title={t(R.visits)}>
      <div class="form">
        <Select label={t(P.kind)} value={kind} onChange={setKind} options={[{ value: '', text: t(P.all) }, ...kinds.map(([value, word]) => ({ value, text: t(word) }))]} />
        <TextField label={t(P.from)} type="date" value={from} onInput={setFrom} />
        <TextField label={t(P.to)} type="date" value={to} onInput={setTo} />
      </div>
      <Timeline patient={patient} filter={{ kind, from, to }} />
    </Card>
  );
}

function Reports({ patient }: { patient: string }) {
  const { lang } = useLocale();
  const directory = useDirectory();
  const pages = usePages<DiagnosticReport>(`/fhir/DiagnosticReport${queryString({ patient, _sort: '-date', _count: 20 })}`);
  return (
    <ListCard
      title={P.reports}
      empty={P.noReports}
      pages={pages}
      row={(r) => (
        <>
          <p class="strong">{conceptIn(lang, r.code)}</p>
          {r.conclusion && <p>{r.conclusion}</p>}
          <p class="quiet-text">
            {[day(lang, r.effectiveDateTime ?? r.effectivePeriod?.start ?? r.issued), directory.origin(r)].filter(Boolean).join(' · ')}
          </p>
        </>
      )}
    />
  );
}
