// Two records side by side, with the weight and the words of each field, and
// the decision with its reason.
import { useEffect, useRef, useState } from 'preact/hooks';
import { idOf } from '../../shared/fhir.ts';
import { moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Failure, Show, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import type { Desk } from '../app.tsx';
import { identity, pick, type Explanation, type Field, type QueueDetail, type Reason } from './api.ts';
import { Waiting } from './confirm.tsx';
import { percent, riskTone } from './queue.tsx';
import { UndoDialog } from './undo.tsx';
import { genderWords, kindWords, levelWords, riskWords, S } from './words.ts';

export function Compare({ id, back, desk }: { id: string; back: () => void; desk: Desk }) {
  const { api } = useApp();
  const { t } = useLocale();
  const item = useLoad((signal) => identity.item(api, id, signal), [id]);
  return (
    <div class="stack">
      <div class="row">
        <Button kind="quiet" onClick={back}>
          <span aria-hidden="true">←</span> {t(W.back)}
        </Button>
      </div>
      <Show of={item} lines={8}>
        {(found) => <Comparison item={found} changed={item.reload} desk={desk} />}
      </Show>
    </div>
  );
}

function Comparison({ item, changed, desk }: { item: QueueDetail; changed: () => void; desk: Desk }) {
  const { t } = useLocale();
  const { explanation: e } = item;
  const openPerson = (key: string) => {
    desk.setPerson(idOf(key));
    desk.go('persons');
  };
  return (
    <>
      <Card
        title={t(S.compare)}
        aside={
          <span class="row">
            <Badge tone={riskTone[item.risk]}>{t(S.risk)} {t(riskWords[item.risk] ?? W.unknown)}</Badge>
            <Badge tone="info">{t(kindWords[item.kind] ?? W.unknown)}</Badge>
          </span>
        }
      >
        <Evidence of={e} rules={item.reasons} a={item.a.organization} b={item.b.organization} />
        <div class="row">
          {(['a', 'b'] as const).map((side) => (
            <Button key={side} kind="quiet" onClick={() => openPerson(item.persons[side].person)}>
              {t(side === 'a' ? S.personOfA : S.personOfB)} · {t(S.members, { n: item.persons[side].members.length })}
            </Button>
          ))}
        </div>
      </Card>
      {item.decision ? <Decided item={item} changed={changed} /> : item.proposal ? <Waiting id={item.proposal} changed={changed} /> : <Decide item={item} changed={changed} />}
    </>
  );
}

/** The comparison itself: probability, rules, and each field with its weight. */
export function Evidence({ of: e, rules, a, b }: { of: Explanation; rules: readonly Reason[]; a: string | undefined; b: string | undefined }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const most = Math.max(1, ...e.fields.map((f) => Math.abs(f.weight)));
  return (
    <>
      <p class="row">
        <span class="score number">{percent(e.probability)}</span>
        <span class="quiet-text">{t(S.probability)} · {t(S.whole)} {signed(e.weight)} · {e.model}</span>
      </p>
      <h3>{t(S.because)}</h3>
      <ul class="dots">
        {(e.rules.length ? e.rules : rules).map((r) => (
          <li key={r.code}>{pick(lang, r.text)}</li>
        ))}
      </ul>
      <div class="table-frame" tabIndex={0} role="region" aria-label={t(S.compare)}>
        <table class="grid-table compare">
          <thead>
            <tr>
              <th scope="col">{t(S.field)}</th>
              <th scope="col">{[t(S.recordA), directory.org(a)].filter(Boolean).join(' · ')}</th>
              <th scope="col">{[t(S.recordB), directory.org(b)].filter(Boolean).join(' · ')}</th>
              <th scope="col">{t(S.level)}</th>
              <th scope="col" class="weight">{t(S.weight)}</th>
              <th scope="col">{t(S.evidence)}</th>
            </tr>
          </thead>
          <tbody>
            {e.fields.map((f) => (
              <FieldRow key={f.field} field={f} most={most} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

const signed = (n: number): string => `${n > 0 ? '+' : n < 0 ? '−' : ''}${Math.abs(n).toFixed(1)}`;

function FieldRow({ field: f, most }: { field: Field; most: number }) {
  const { t, lang } = useLocale();
  const width = (on: boolean) => ({ width: on ? `${(Math.abs(f.weight) / most) * 100}%` : '0' });
  const level = levelWords[f.level];
  const value = (text: string): string => {
    const word = f.field === 'gender' ? genderWords[text] : undefined;
    return word ? t(word) : text || t(W.unknown);
  };
  return (
    <tr>
      <th scope="row">{pick(lang, f.label)}</th>
      <td>{value(f.a)}</td>
      <td>{value(f.b)}</td>
      <td>{level ? t(level) : f.level}</td>
      <td class="weight">
        <span class="number">{signed(f.weight)}</span>
        <span class="meter" aria-hidden="true">
          <span class="against" style={width(f.weight < 0)} />
          <span class="for" style={width(f.weight > 0)} />
        </span>
      </td>
      <td>{pick(lang, f.words)}</td>
    </tr>
  );
}

function Decide({ item, changed }: { item: QueueDetail; changed: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState<'link' | 'reject'>();
  const [error, setError] = useState<unknown>();
  const decide = (decision: 'link' | 'reject') => {
    setBusy(decision);
    setError(undefined);
    identity.decide(api, item.id, decision, reason.trim()).then(changed, (e: unknown) => {
      setBusy(undefined);
      setError(e);
    });
  };
  const ready = reason.trim() !== '' && !busy;
  return (
    <Card title={t(S.reason)}>
      <div class="stack">
        <TextField label={t(S.reason)} hint={t(S.reasonHint)} value={reason} onInput={setReason} rows={2} maxLength={500} required />
        {error !== undefined && <Failure error={error} />}
        <div class="actions">
          <Button kind="danger" disabled={!ready} busy={busy === 'reject'} onClick={() => decide('reject')}>{t(S.reject)}</Button>
          <Button kind="primary" disabled={!ready} busy={busy === 'link'} onClick={() => decide('link')}>{t(S.link)}</Button>
        </div>
      </div>
    </Card>
  );
}

function Decided({ item, changed }: { item: QueueDetail; changed: () => void }) {
  const { t, lang } = useLocale();
  const [asking, setAsking] = useState(false);
  const [undone, setUndone] = useState<'undone' | 'waits'>();
  const heading = useRef<HTMLParagraphElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const d = item.decision;
  if (!d) return null;
  return (
    <Card title={t(d.decision === 'link' ? S.linked : S.rejected)}>
      <p ref={heading} tabIndex={-1} role="status">
        {d.by} · {moment(lang, d.at)} {d.second && `· ${t(S.confirmedBy, { by: d.second })}`}
      </p>
      <p class="quote">{d.reason}</p>
      {undone ? (
        <p class="note good" role="status">{t(undone === 'waits' ? S.waitsNow : S.undone)}</p>
      ) : (
        <div class="actions">
          <Button onClick={() => setAsking(true)}>{t(S.undo)}</Button>
        </div>
      )}
      {asking && (
        <UndoDialog
          journal={d.journal}
          close={() => setAsking(false)}
          done={(answer) => {
            setAsking(false);
            setUndone(answer.proposal ? 'waits' : 'undone');
            if (!answer.proposal) changed();
          }}
        />
      )}
    </Card>
  );
}
