// The summary: what a person has, takes and must not be given, and where they were last.
import type { AllergyIntolerance, Condition, Encounter, MedicationRequest } from 'fhir/r4';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { queryString } from '../shared/api.ts';
import { code, concept, conceptIn } from '../shared/fhir.ts';
import { day } from '../shared/format.ts';
import { usePages, type Pages } from '../shared/hooks.ts';
import { useLocale, type Word } from '../shared/locale.ts';
import { Badge, Button, Card, Empty, Pager, Total } from '../shared/ui.tsx';
import { useDirectory } from './directory.tsx';
import { VisitLine } from './visits.tsx';
import { clinicalStatus, criticality, R, requestStatus } from './words.ts';

const listPath = (type: string, patient: string, sort: string, n: number, more: Record<string, string> = {}): string =>
  `/fhir/${type}${queryString({ patient, _sort: sort, _total: 'accurate', _count: n, ...more })}`;

interface ListCardProps<T> {
  title: Word;
  empty: Word;
  pages: Pages<T>;
  row: (item: T) => ComponentChildren;
  aside?: ComponentChildren;
}

/** A paged list with its total in the heading. */
export function ListCard<T extends { id?: string | undefined }>({ title, empty, pages, row, aside }: ListCardProps<T>) {
  const { t } = useLocale();
  const done = pages.state === 'ready' && pages.items.length === 0;
  const total = pages.total ? <span class="quiet-text"><Total pages={pages} /></span> : null;
  return (
    <Card
      title={
        <>
          {t(title)} {total}
        </>
      }
      aside={aside}
    >
      {done ? <Empty>{t(empty)}</Empty> : <ul class="list">{pages.items.map((item) => <li key={item.id}>{row(item)}</li>)}</ul>}
      {(pages.hasMore || pages.state !== 'ready') && <Pager pages={pages} />}
    </Card>
  );
}

/** Shows what holds now, or the whole past too. */
function OnlyActive({ word, on, flip }: { word: Word; on: boolean; flip: () => void }) {
  const { t } = useLocale();
  return <Button pressed={on} onClick={flip}>{t(word)}</Button>;
}

export function Conditions({ patient }: { patient: string }) {
  const [active, setActive] = useState(true);
  const pages = usePages<Condition>(listPath('Condition', patient, '-recorded-date', 5, active ? { 'clinical-status': 'active,recurrence,relapse' } : {}));
  const only = <OnlyActive word={R.onlyActiveConditions} on={active} flip={() => setActive(!active)} />;
  return <ListCard title={R.conditions} empty={R.noConditions} pages={pages} aside={only} row={(c) => <ConditionLine condition={c} />} />;
}

function ConditionLine({ condition: c }: { condition: Condition }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const status = code(c.clinicalStatus) ?? '';
  const words = clinicalStatus[status];
  const from = c.onsetDateTime ?? c.onsetPeriod?.start ?? c.recordedDate;
  return (
    <>
      <div class="row spread">
        <span class="strong">{conceptIn(lang, c.code)}</span>
        {words && <Badge tone={status === 'active' ? 'warn' : 'plain'}>{t(words)}</Badge>}
      </div>
      <p class="quiet-text">
        {[from && t(R.since, { date: day(lang, from) }), directory.origin(c)].filter(Boolean).join(' · ')}
      </p>
    </>
  );
}

export function Medications({ patient }: { patient: string }) {
  const [active, setActive] = useState(true);
  const pages = usePages<MedicationRequest>(listPath('MedicationRequest', patient, '-authoredon', 5, active ? { status: 'active,on-hold' } : {}));
  const only = <OnlyActive word={R.onlyActiveMedications} on={active} flip={() => setActive(!active)} />;
  return <ListCard title={R.medications} empty={R.noMedications} pages={pages} aside={only} row={(m) => <MedicationLine request={m} />} />;
}

function MedicationLine({ request: m }: { request: MedicationRequest }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const words = requestStatus[m.status];
  const drug = conceptIn(lang, m.medicationCodeableConcept) || m.medicationReference?.display || '';
  const dose = m.dosageInstruction?.map((d) => d.text).find(Boolean);
  return (
    <>
      <div class="row spread">
        <span class="strong">{drug}</span>
        {words && <Badge tone={m.status === 'active' ? 'good' : 'plain'}>{t(words)}</Badge>}
      </div>
      {dose && <p>{dose}</p>}
      <p class="quiet-text">
        {[m.authoredOn && t(R.prescribed, { date: day(lang, m.authoredOn) }), directory.origin(m)].filter(Boolean).join(' · ')}
      </p>
    </>
  );
}

export function Allergies({ patient }: { patient: string }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const pages = usePages<AllergyIntolerance>(listPath('AllergyIntolerance', patient, '-date', 5));
  return (
    <ListCard
      title={R.allergies}
      empty={R.noAllergies}
      pages={pages}
      row={(a) => {
        const risk = a.criticality && criticality[a.criticality];
        const signs = a.reaction?.flatMap((r) => r.manifestation.map(concept)).join('、');
        return (
          <>
            <div class="row spread">
              <span class="strong">{conceptIn(lang, a.code)}</span>
              {risk && <Badge tone={a.criticality === 'high' ? 'bad' : 'plain'}>{t(risk)}</Badge>}
            </div>
            {signs && (
              <p>
                {t(R.reaction)}
                {lang === 'zh' ? '：' : ': '}
                {signs}
              </p>
            )}
            <p class="quiet-text">{[day(lang, a.recordedDate), directory.origin(a)].filter(Boolean).join(' · ')}</p>
          </>
        );
      }}
    />
  );
}

export function LastVisits({ patient, more }: { patient: string; more?: ComponentChildren }) {
  const pages = usePages<Encounter>(listPath('Encounter', patient, '-date', 3));
  const shown: Pages<Encounter> = { ...pages, hasMore: false };
  return <ListCard title={R.lastVisits} empty={R.noVisits} pages={shown} aside={more} row={(e) => <VisitLine encounter={e} />} />;
}
