// Asks why, then undoes a step of the journal.
import { useState } from 'preact/hooks';
import { useApp } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Dialog, Failure, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { identity, type Waits } from './api.ts';
import { S } from './words.ts';

interface ReasonDialogProps<T> {
  title: string;
  body: string;
  action: string;
  run: (reason: string) => Promise<T>;
  done: (answer: T) => void;
  close: () => void;
}

/** A dialog that asks for a reason and does one thing with it. */
export function ReasonDialog<T>({ title, body, action, run, done, close }: ReasonDialogProps<T>) {
  const { t } = useLocale();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = () => {
    setBusy(true);
    setError(undefined);
    run(reason.trim()).then(done, (e: unknown) => {
      setBusy(false);
      setError(e);
    });
  };
  return (
    <Dialog title={title} onClose={close}>
      <p>{body}</p>
      <TextField label={t(S.reason)} value={reason} onInput={setReason} rows={2} maxLength={500} required />
      {error !== undefined && <Failure error={error} />}
      <div class="actions">
        <Button onClick={close} disabled={busy}>{t(W.cancel)}</Button>
        <Button kind="primary" disabled={!reason.trim()} busy={busy} onClick={go}>{action}</Button>
      </div>
    </Dialog>
  );
}

export function UndoDialog({ journal, done, close }: { journal: string; done: (answer: Waits) => void; close: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  return <ReasonDialog title={t(S.undoTitle)} body={t(S.undoBody)} action={t(W.confirm)} run={(reason) => identity.undo(api, journal, reason)} done={done} close={close} />;
}
