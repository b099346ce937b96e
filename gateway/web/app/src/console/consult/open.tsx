// One consultation: where it stands, what was asked and answered, and the
// moves that the user may make now.
import type { Composition, DiagnosticReport, Observation } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { conceptIn, effective, valueText } from '../../shared/fhir.ts';
import { day, moment, range } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { narrativeText } from '../../shared/narrative.ts';
import { Badge, Button, Card, Failure, Show } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import { FlagBadge } from '../../record/results.tsx';
import { consultations, pathway, type Consultation } from './api.ts';
import { Moves } from './moves.tsx';
import { decisionWords, K, stateWords } from './words.ts';

export function OpenConsultation({ id }: { id: string }) {
  const { api } = useApp();
  const loaded = useLoad((signal) => consultations.get(api, id, signal), [id]);
  return (
    <Show of={loaded} lines={8}>
      {(c) => <Body key={c.modified} first={c} refresh={loaded.reload} />}
    </Show>
  );
}

function Body({ first, refresh }: { first: Consultation; refresh: () => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const [c, setC] = useState(first);
  const [moved, setMoved] = useState(false);
  const practitioner = (id: string | undefined) => (id ? directory.name({ reference: `Practitioner/${id}` }) || id : '');
  const rows: [string, string][] = [
    [t(K.doctor), [practitioner(c.inviting), directory.org(c.invitingOrg)].filter(Boolean).join(' · ')],
    [t(K.invitedOrg), directory.org(c.invitedOrg)],
    [t(K.consultant), practitioner(c.consultant)],
    [t(K.slot), c.start ? `${moment(lang, c.start)} – ${moment(lang, c.end)}` : ''],
    [t(K.checkedIn), (c.checkedIn ?? []).map(practitioner).join('、')],
    [t(K.reason), c.reason ?? ''],
  ];
  return (
    <div class="stack">
      <p role="status" class={moved ? 'note good' : 'unseen'}>{moved ? t(K.saved, { state: c.stateText[lang === 'zh' ? 0 : 1] }) : ''}</p>
      <Card
        title={t(K.invitation, { from: directory.org(c.invitingOrg), to: directory.org(c.invitedOrg) })}
        aside={
          <span class="row">
            {c.answerBy && <Badge tone={c.overdue ? 'bad' : 'info'}>{t(K.answerBy, { at: moment(lang, c.answerBy) })}</Badge>}
            <Button onClick={refresh}>{t(W.refresh)}</Button>
          </span>
        }
      >
        <div class="stack">
          <Progress state={c.state} />
          <p class="quote">{c.question}</p>
          <dl class="facts">
            {rows.filter(([, v]) => v).map(([k, v]) => (
              <div key={k}>
                <dt>{k}</dt>
                <dd>{v}</dd>
              </div>
            ))}
          </dl>
        </div>
      </Card>
      {c.opinion && <Opinion consultation={c} />}
      <Documents documents={c.documents} />
      <Moves key={c.state + c.modified} consultation={c} moved={(next) => (setC(next), setMoved(true))} />
    </div>
  );
}

function Progress({ state }: { state: string }) {
  const { t } = useLocale();
  const at = pathway.indexOf(state as (typeof pathway)[number]);
  const steps: readonly string[] = at < 0 ? [state] : pathway;
  return (
    <ol class="steps" aria-label={t(K.steps)}>
      {steps.map((s, i) => (
        <li key={s} class={i < at ? 'done' : ''} aria-current={s === state ? 'step' : undefined}>
          {t(stateWords[s] ?? W.unknown)}
        </li>
      ))}
    </ol>
  );
}

/** The consultant's report: its text, and the proof of its signature. */
function Opinion({ consultation: c }: { consultation: Consultation }) {
  const { api } = useApp();
  const { t } = useLocale();
  const report = useLoad((signal) => api.get<Composition>(`/fhir/${c.opinion}`, { signal }), [c.opinion, c.modified]);
  const [proof, setProof] = useState<boolean>();
  const [error, setError] = useState<unknown>();
  const verify = () => consultations.proof(api, c.id).then((p) => setProof(p.valid), setError);
  const signed = ['signed', 'decided', 'archived'].includes(c.state);
  return (
    <Card title={t(K.opinion)} aside={signed && <Button onClick={verify}>{t(K.checkProof)}</Button>}>
      <Show of={report} lines={2}>
        {(r) => <p class="quote">{(r.section ?? []).map((s) => narrativeText(s.text?.div ?? r.text?.div ?? '')).join('\n')}</p>}
      </Show>
      {c.decision && (
        <p>
          <span class="strong">{t(decisionWords[c.decision] ?? W.unknown)}</span> {c.decisionText}
        </p>
      )}
      <div aria-live="polite">
        {proof !== undefined && <p class={proof ? 'note good' : 'failure'}>{t(proof ? K.proofValid : K.proofInvalid)}</p>}
        {error !== undefined && <Failure error={error} />}
      </div>
    </Card>
  );
}

type Document = DiagnosticReport | Observation;

function Documents({ documents }: { documents: readonly string[] }) {
  const { t } = useLocale();
  const [open, setOpen] = useState(false);
  return (
    <Card title={t(K.documents)} aside={<span class="quiet-text">{t(W.total, { n: documents.length })}</span>}>
      {open ? (
        <ul class="list">
          {documents.map((d) => (
            <li key={d}>
              <DocumentLine reference={d} />
            </li>
          ))}
        </ul>
      ) : (
        <Button onClick={() => setOpen(true)}>{t(K.read)}</Button>
      )}
    </Card>
  );
}

function DocumentLine({ reference }: { reference: string }) {
  const { api } = useApp();
  const { lang } = useLocale();
  const directory = useDirectory();
  const document = useLoad((signal) => api.get<Document>(`/fhir/${reference}`, { signal }), [reference]);
  return (
    <Show of={document} lines={1}>
      {(d) => (
        <>
          <p class="row">
            <span class="strong">{conceptIn(lang, d.code)}</span>
            {d.resourceType === 'Observation' && (
              <>
                <span class="number">{valueText(d)}</span>
                <FlagBadge observation={d} />
                <span class="quiet-text number">{range(d.referenceRange?.[0])}</span>
              </>
            )}
          </p>
          {d.resourceType === 'DiagnosticReport' && d.conclusion && <p>{d.conclusion}</p>}
          <p class="quiet-text">
            {[day(lang, d.resourceType === 'Observation' ? effective(d) : (d.effectiveDateTime ?? d.issued)), directory.origin(d)].filter(Boolean).join(' · ')}
          </p>
        </>
      )}
    </Show>
  );
}
