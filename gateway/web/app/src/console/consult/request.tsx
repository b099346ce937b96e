// Asking for a consultation: the question, whom to ask, and exactly which
// documents the consultant may see.
import type { DiagnosticReport } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { queryString } from '../../shared/api.ts';
import { conceptIn } from '../../shared/fhir.ts';
import { day } from '../../shared/format.ts';
import { useApp, usePages } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Empty, Failure, Pager, Select, TextField } from '../../shared/ui.tsx';
import { organizationName, useDirectory } from '../../record/directory.tsx';
import { consultations } from './api.ts';
import { K, priorityWords } from './words.ts';

export function RequestConsultation({ patient, requested }: { patient: string; requested: () => void }) {
  const { api, me } = useApp();
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const hospitals = directory.providers.filter((o) => o.id !== me.organization);
  const [invitedOrg, setInvitedOrg] = useState('');
  const [priority, setPriority] = useState('routine');
  const [question, setQuestion] = useState('');
  const [documents, setDocuments] = useState<readonly string[]>([]);
  const [state, setState] = useState<'open' | 'busy' | 'done'>('open');
  const [error, setError] = useState<unknown>();
  const org = invitedOrg || hospitals[0]?.id || '';
  const submit = (e: Event) => {
    e.preventDefault();
    setState('busy');
    setError(undefined);
    consultations.draft(api, { patient, invitedOrg: org, priority, question: question.trim(), documents: [...documents] }).then(
      () => setState('done'),
      (failure: unknown) => (setState('open'), setError(failure)),
    );
  };
  if (state === 'done') {
    return (
      <Card title={t(K.mine)}>
        <p class="note good" role="status">{t(K.asked)}</p>
        <div class="actions">
          <Button kind="primary" onClick={requested}>{t(K.goto)}</Button>
        </div>
      </Card>
    );
  }
  return (
    <form class="stack" onSubmit={submit}>
      <Card title={t(K.question)}>
        <div class="form">
          <Select label={t(K.invitedOrg)} value={org} onChange={setInvitedOrg} options={hospitals.map((o) => ({ value: o.id ?? '', text: organizationName(lang, o) }))} />
          <Select label={t(K.priority)} value={priority} onChange={setPriority} options={Object.entries(priorityWords).map(([value, word]) => ({ value, text: t(word) }))} />
          <div class="wide">
            <TextField label={t(K.question)} hint={t(K.questionHint)} value={question} onInput={setQuestion} rows={3} maxLength={2000} required />
          </div>
        </div>
      </Card>
      <Documents patient={patient} chosen={documents} choose={setDocuments} />
      {error !== undefined && <Failure error={error} />}
      <div class="actions">
        <Button type="submit" kind="primary" id="ask-consultation" disabled={!question.trim() || documents.length === 0} busy={state === 'busy'}>{t(K.ask)}</Button>
      </div>
    </form>
  );
}

interface DocumentsProps {
  patient: string;
  chosen: readonly string[];
  choose: (documents: readonly string[]) => void;
}

/** Reports to choose from; a chosen report brings the results that it names. */
function Documents({ patient, chosen, choose }: DocumentsProps) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const pages = usePages<DiagnosticReport>(`/fhir/DiagnosticReport${queryString({ patient, _sort: '-date', _count: 10 })}`);
  const parts = (r: DiagnosticReport): string[] => [`DiagnosticReport/${r.id}`, ...(r.result ?? []).map((x) => x.reference ?? '').filter((k) => k.startsWith('Observation/'))];
  const toggle = (r: DiagnosticReport) => {
    const own = parts(r);
    choose(chosen.includes(own[0]!) ? chosen.filter((k) => !own.includes(k)) : [...chosen, ...own.filter((k) => !chosen.includes(k))]);
  };
  const reports = chosen.filter((k) => k.startsWith('DiagnosticReport/')).length;
  return (
    <Card title={t(K.documents)} aside={<span class="quiet-text" role="status">{t(K.chosen, { n: reports })}</span>}>
      <p class="quiet-text">{t(K.documentsHint)}</p>
      {pages.state === 'ready' && pages.items.length === 0 && <Empty>{t(K.noDocuments)}</Empty>}
      <fieldset>
        <legend class="unseen">{t(K.documents)}</legend>
        {pages.items.map((r) => (
          <label key={r.id} class="choice">
            <input type="checkbox" checked={chosen.includes(`DiagnosticReport/${r.id}`)} onChange={() => toggle(r)} />
            <span>
              {conceptIn(lang, r.code)}
              <span class="quiet-text"> {[day(lang, r.effectiveDateTime ?? r.effectivePeriod?.start ?? r.issued), directory.origin(r)].filter(Boolean).join(' · ')}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Pager pages={pages} />
    </Card>
  );
}
