// Links a record with a person on a steward's word, after a look at both.
import { useState } from 'preact/hooks';
import { idOf } from '../../shared/fhir.ts';
import { useApp } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Failure, TextField } from '../../shared/ui.tsx';
import { identity, type Explanation, type PersonView } from './api.ts';
import { Evidence } from './compare.tsx';
import { S } from './words.ts';

export function LinkOther({ view, changed }: { view: PersonView; changed: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [other, setOther] = useState('');
  const [seen, setSeen] = useState<{ patient: string; explanation: Explanation }>();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [waits, setWaits] = useState(false);
  const [error, setError] = useState<unknown>();
  const mine = view.members[0];
  const run = <T,>(work: Promise<T>, then: (answer: T) => void) => {
    setBusy(true);
    setError(undefined);
    work.then(
      (answer) => (setBusy(false), then(answer)),
      (e: unknown) => (setBusy(false), setError(e)),
    );
  };
  const compare = (e: Event) => {
    e.preventDefault();
    const id = other.trim();
    if (!id || !mine) return;
    const patient = `Patient/${idOf(id) || id}`;
    setSeen(undefined);
    setWaits(false);
    run(identity.explain(api, mine.patient, patient), (explanation) => setSeen({ patient, explanation }));
  };
  const link = () => {
    if (!seen) return;
    run(identity.link(api, idOf(view.person), seen.patient, reason.trim()), (answer) => {
      setSeen(undefined);
      setReason('');
      if (answer.proposal) setWaits(true);
      else changed();
    });
  };
  return (
    <Card title={t(S.linkOther)}>
      <p class="quiet-text">{t(S.linkHint)}</p>
      <form class="form" onSubmit={compare}>
        <TextField label={t(S.other)} type="search" value={other} onInput={setOther} required />
        <div class="actions start">
          <Button type="submit" busy={busy && !seen}>{t(S.compareFirst)}</Button>
        </div>
      </form>
      {waits && <p class="note" role="status">{t(S.waitsNow)}</p>}
      {error !== undefined && <Failure error={error} />}
      {seen && (
        <div class="stack">
          <Evidence of={seen.explanation} rules={[]} a={mine?.organization} b={undefined} />
          <TextField label={t(S.reason)} hint={t(S.reasonHint)} value={reason} onInput={setReason} rows={2} maxLength={500} required />
          <div class="actions">
            <Button kind="primary" id="link-other" disabled={!reason.trim()} busy={busy} onClick={link}>{t(S.linkNow)}</Button>
          </div>
        </div>
      )}
    </Card>
  );
}
