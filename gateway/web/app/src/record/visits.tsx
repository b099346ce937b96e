// Visits of all hospitals as one timeline, newest first, each with what was
// found and ordered in it.
import type { Condition, DiagnosticReport, Encounter, MedicationRequest } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { matches, queryString } from '../shared/api.ts';
import { concept, conceptIn } from '../shared/fhir.ts';
import { day, monthOf, period } from '../shared/format.ts';
import { useApp, useLoad, usePages } from '../shared/hooks.ts';
import { useLocale, type Word } from '../shared/locale.ts';
import { Badge, Empty, Pager, Show, Total } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { useDirectory } from './directory.tsx';
import { encounterClass, R } from './words.ts';

const statusWords: Partial<Record<Encounter['status'], Word>> = {
  planned: R.planned,
  arrived: R.inProgress,
  triaged: R.inProgress,
  'in-progress': R.inProgress,
  onleave: R.inProgress,
  cancelled: R.cancelled,
};

/** One visit on two lines: where and of what kind, when and why. */
export function VisitLine({ encounter: e }: { encounter: Encounter }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const kind = encounterClass[e.class?.code ?? ''];
  const status = statusWords[e.status];
  const why = (e.reasonCode ?? []).map((r) => conceptIn(lang, r)).find(Boolean) ?? e.type?.map((x) => conceptIn(lang, x)).find(Boolean);
  return (
    <>
      <div class="row spread">
        <span class="strong">{directory.name(e.serviceProvider) || directory.origin(e)}</span>
        <span class="row">
          {status && <Badge tone="info">{t(status)}</Badge>}
          <Badge tone={e.class?.code === 'EMER' ? 'bad' : e.class?.code === 'IMP' ? 'warn' : 'plain'}>{kind ? t(kind) : (e.class?.display ?? t(R.visit))}</Badge>
        </span>
      </div>
      <p class="quiet-text">
        {[period(lang, e.period), why].filter(Boolean).join(' · ')}
      </p>
    </>
  );
}

export interface VisitFilter {
  /** Encounter class code, "" for all. */
  kind?: string;
  /** First and last day, yyyy-mm-dd, "" for open. */
  from?: string;
  to?: string;
}

export function Timeline({ patient, filter = {} }: { patient: string; filter?: VisitFilter }) {
  const { t, lang } = useLocale();
  const dates = [filter.from && `ge${filter.from}`, filter.to && `le${filter.to}`].filter((d): d is string => Boolean(d));
  const pages = usePages<Encounter>(`/fhir/Encounter${queryString({ patient, class: filter.kind, date: dates, _sort: '-date', _total: 'accurate', _count: 20 })}`);
  if (pages.state === 'ready' && pages.items.length === 0) return <Empty>{t(R.noVisits)}</Empty>;
  return (
    <>
      {pages.total !== undefined && <p class="quiet-text" id="visit-total"><Total pages={pages} /></p>}
      <ol class="timeline">
        {pages.items.map((e, i) => {
          const month = monthOf(lang, e.period?.start);
          const before = monthOf(lang, pages.items[i - 1]?.period?.start);
          return (
            <li key={e.id}>
              {month !== before && <h3 class="timeline-month">{month || t(W.unknown)}</h3>}
              <Visit encounter={e} patient={patient} />
            </li>
          );
        })}
      </ol>
      <Pager pages={pages} />
    </>
  );
}

function Visit({ encounter, patient }: { encounter: Encounter; patient: string }) {
  const { t } = useLocale();
  const [open, setOpen] = useState(false);
  return (
    <div class="visit">
      <VisitLine encounter={encounter} />
      <details onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>{t(W.details)}</summary>
        {open && <VisitDetails encounter={encounter} patient={patient} />}
      </details>
    </div>
  );
}

interface Parts {
  conditions: Condition[];
  reports: DiagnosticReport[];
  medications: MedicationRequest[];
}

function VisitDetails({ encounter: e, patient }: { encounter: Encounter; patient: string }) {
  const { api } = useApp();
  const { t } = useLocale();
  const directory = useDirectory();
  const parts = useLoad<Parts>(
    async (signal) => {
      const query = { patient, encounter: `Encounter/${e.id}`, _count: 50 };
      const [conditions, reports, medications] = await Promise.all([
        api.search<Condition>('Condition', query, { signal }),
        api.search<DiagnosticReport>('DiagnosticReport', query, { signal }),
        api.search<MedicationRequest>('MedicationRequest', query, { signal }),
      ]);
      return { conditions: matches(conditions), reports: matches(reports), medications: matches(medications) };
    },
    [e.id],
  );
  const doctors = (e.participant ?? []).map((p) => directory.name(p.individual)).filter(Boolean);
  return (
    <div class="visit-details stack tight">
      {doctors.length > 0 && (
        <p>
          <span class="quiet-text">{t(R.doctor)}</span> {doctors.join('、')}
        </p>
      )}
      <Show of={parts} lines={2}>
        {(p) => <VisitParts parts={p} />}
      </Show>
    </div>
  );
}

function VisitParts({ parts }: { parts: Parts }) {
  const { t, lang } = useLocale();
  const drug = (m: MedicationRequest) => conceptIn(lang, m.medicationCodeableConcept) || (m.medicationReference?.display ?? '');
  if (!parts.conditions.length && !parts.reports.length && !parts.medications.length) return <p class="quiet-text">{t(R.nothingElse)}</p>;
  return (
    <>
      <Group title={R.visitConditions} lines={parts.conditions.map((c) => conceptIn(lang, c.code))} />
      <Group title={R.visitMedications} lines={parts.medications.map(drug)} />
      <Group
        title={R.visitReports}
        lines={parts.reports.map((r) => [conceptIn(lang, r.code), day(lang, r.effectiveDateTime ?? r.issued), r.conclusion ?? r.conclusionCode?.map(concept).join('、')].filter(Boolean).join(' · '))}
      />
    </>
  );
}

function Group({ title, lines }: { title: Word; lines: readonly string[] }) {
  const { t } = useLocale();
  if (lines.length === 0) return null;
  return (
    <div>
      <p class="quiet-text">{t(title)}</p>
      <ul class="dots">
        {lines.map((line, i) => (
          <li key={i}>{line}</li>
        ))}
      </ul>
    </div>
  );
}
