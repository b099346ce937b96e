// The auditor's search of the access trail, and the proof that it is whole.
import type { AuditEvent } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { queryString } from '../../shared/api.ts';
import { count, moment } from '../../shared/format.ts';
import { useApp, usePages } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Failure, Pager, Select, TextField, Total } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { patientIds, readAudit } from '../../record/audit.ts';
import { useDirectory } from '../../record/directory.tsx';
import { A, fhirActions, outcomes } from './words.ts';

interface Terms {
  patient: string;
  agent: string;
  action: string;
  outcome: string;
  from: string;
  to: string;
}

const blank: Terms = { patient: '', agent: '', action: '', outcome: '', from: '', to: '' };

function pathOf(terms: Terms): string {
  const dates = [terms.from && `ge${terms.from}`, terms.to && `le${terms.to}`].filter((d): d is string => Boolean(d));
  const key = (type: string, id: string) => (id.trim() ? (id.includes('/') ? id.trim() : `${type}/${id.trim()}`) : '');
  return `/fhir/AuditEvent${queryString({ patient: key('Patient', terms.patient), agent: key('Practitioner', terms.agent), action: terms.action, outcome: terms.outcome, date: dates, _sort: '-date', _count: 50 })}`;
}

export function AuditSearch() {
  const [asked, setAsked] = useState(blank);
  return (
    <div class="stack">
      <SearchForm search={setAsked} />
      <Chain />
      <Events path={pathOf(asked)} />
    </div>
  );
}

function SearchForm({ search }: { search: (terms: Terms) => void }) {
  const { t } = useLocale();
  const directory = useDirectory();
  const [terms, setTerms] = useState(blank);
  const set = (change: Partial<Terms>) => setTerms({ ...terms, ...change });
  const any = { value: '', text: t(A.any) };
  const submit = (e: Event) => {
    e.preventDefault();
    search(terms);
  };
  const people = directory.practitioners.map((p) => ({ value: p.id ?? '', text: directory.name({ reference: `Practitioner/${p.id}` }) }));
  return (
    <Card title={t(A.search)}>
      <form class="form" onSubmit={submit}>
        <TextField label={t(A.patient)} hint={t(A.patientHint)} value={terms.patient} onInput={(patient) => set({ patient })} />
        <Select label={t(A.agent)} value={terms.agent} options={[any, ...people]} onChange={(agent) => set({ agent })} />
        <Select label={t(A.action)} value={terms.action} options={[any, ...Object.entries(fhirActions).map(([value, word]) => ({ value, text: t(word) }))]} onChange={(action) => set({ action })} />
        <Select label={t(A.outcome)} value={terms.outcome} options={[any, ...Object.entries(outcomes).map(([value, word]) => ({ value, text: t(word) }))]} onChange={(outcome) => set({ outcome })} />
        <TextField label={t(A.from)} type="date" value={terms.from} onInput={(from) => set({ from })} />
        <TextField label={t(A.to)} type="date" value={terms.to} onInput={(to) => set({ to })} />
        <div class="actions start">
          <Button type="submit" kind="primary" id="search-audit">{t(A.run)}</Button>
        </div>
      </form>
    </Card>
  );
}

/** GET /api/audit/verify: each node keeps a chain of its own. */
interface Proof {
  whole: boolean;
  chains: { chain: string; records: number; whole: boolean }[];
  faults?: { record?: string; what?: string; text?: string }[] | null;
}

const records = (p: Proof): number => p.chains.reduce((sum, c) => sum + c.records, 0);

function Chain() {
  const { api } = useApp();
  const { t, lang } = useLocale();
  const [busy, setBusy] = useState(false);
  const [proof, setProof] = useState<Proof>();
  const [error, setError] = useState<unknown>();
  const verify = () => {
    setBusy(true);
    setError(undefined);
    api.get<Proof>('/api/audit/verify').then(setProof, setError).finally(() => setBusy(false));
  };
  return (
    <Card title={t(A.chain)} aside={<Button busy={busy} onClick={verify}>{t(A.verify)}</Button>}>
      <div aria-live="polite">
        {proof && <p class={proof.whole ? 'note good' : 'failure'}>{proof.whole ? t(A.whole, { n: count(lang, records(proof)) }) : t(A.broken)}</p>}
        {error !== undefined && <Failure error={error} />}
      </div>
    </Card>
  );
}

function Events({ path }: { path: string }) {
  const { t } = useLocale();
  const pages = usePages<AuditEvent>(path);
  return (
    <Card title={t(A.records)} aside={<span class="quiet-text"><Total pages={pages} /></span>}>
      {pages.state === 'ready' && pages.items.length === 0 && <Empty>{t(A.none)}</Empty>}
      {pages.items.length > 0 && (
        <div class="table-frame" tabIndex={0} role="region" aria-label={t(A.records)}>
          <table class="grid-table">
            <thead>
              <tr>
                {[A.when, A.who, A.organization, A.purpose, A.did, A.what, A.concerned, A.outcome].map((w) => (
                  <th key={w[1]} scope="col">{t(w)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {pages.items.map((e) => (
                <EventRow key={e.id} event={e} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager pages={pages} />
    </Card>
  );
}

function EventRow({ event }: { event: AuditEvent }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const a = readAudit(event, directory, t, lang);
  return (
    <tr>
      <th scope="row" class="number">{moment(lang, a.at)}</th>
      <td>{a.who}</td>
      <td>{a.organization}</td>
      <td>{a.breakGlass ? <Badge tone="bad">{a.purpose}</Badge> : a.purpose}</td>
      <td>{a.action}</td>
      <td>{a.what}</td>
      <td class="number">{patientIds(a).join(' ')}</td>
      <td>
        <Badge tone={a.failed ? 'warn' : 'good'}>{t(outcomes[event.outcome ?? '0'] ?? W.unknown)}</Badge>
        {a.failed && a.reason && <p class="quiet-text">{a.reason}</p>}
      </td>
    </tr>
  );
}
