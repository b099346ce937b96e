// No treatment relationship: what to do, and for emergency doctors the glass.
import { useState } from 'preact/hooks';
import { moment } from '../../shared/format.ts';
import { useApp } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Dialog, Failure, Select, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { glassReasons, P } from './words.ts';

interface Opened {
  until?: string;
}

export function BreakGlass({ patient, opened }: { patient: string; opened: () => void }) {
  const { me } = useApp();
  const { t } = useLocale();
  const [asking, setAsking] = useState(false);
  const may = me.roles.includes('emergency');
  return (
    <Card title={t(P.noRelation)} tone={may ? 'alert' : undefined}>
      <p>{t(may ? P.noRelationGlass : P.noRelationBody)}</p>
      {may && (
        <div class="actions">
          <Button kind="danger" onClick={() => setAsking(true)}>{t(P.glass)}</Button>
        </div>
      )}
      {asking && <GlassDialog patient={patient} opened={opened} close={() => setAsking(false)} />}
    </Card>
  );
}

function GlassDialog({ patient, opened, close }: { patient: string; opened: () => void; close: () => void }) {
  const { api } = useApp();
  const { t, lang } = useLocale();
  const [code, setCode] = useState(glassReasons[0]!.code);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [until, setUntil] = useState<string>();
  const breakIt = () => {
    setBusy(true);
    setError(undefined);
    api.post<Opened | undefined>('/api/breakglass', { patient, reason: reason.trim(), reasonCode: code }).then(
      (answer) => (answer?.until ? setUntil(answer.until) : opened()),
      (e: unknown) => (setBusy(false), setError(e)),
    );
  };
  if (until) {
    return (
      <Dialog title={t(P.glass)} onClose={opened}>
        <p role="status">{t(P.glassOpen, { until: moment(lang, until) })}</p>
        <div class="actions">
          <Button kind="primary" onClick={opened}>{t(P.open)}</Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t(P.glassTitle)} onClose={close}>
      <p class="note warn">{t(P.glassBody)}</p>
      <Select label={t(P.glassCode)} value={code} onChange={setCode} options={glassReasons.map((r) => ({ value: r.code, text: t(r.word) }))} />
      <TextField label={t(P.glassReason)} hint={t(P.glassHint)} value={reason} onInput={setReason} rows={3} maxLength={500} required />
      {error !== undefined && <Failure error={error} />}
      <div class="actions">
        <Button onClick={close} disabled={busy}>{t(W.cancel)}</Button>
        <Button kind="danger" id="break-glass" disabled={reason.trim().length < 4} busy={busy} onClick={breakIt}>{t(P.glass)}</Button>
      </div>
    </Dialog>
  );
}
