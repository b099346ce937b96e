// The switches: which hospital's records are shared, and who may not look.
import { useState } from 'preact/hooks';
import { day } from '../shared/format.ts';
import { useApp, useLoad } from '../shared/hooks.ts';
import { useLocale } from '../shared/locale.ts';
import { Button, Card, Dialog, Empty, Failure, Show, Switch } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { organizationName, useDirectory } from '../record/directory.tsx';
import { deny, lift, readLimits, type Kind, type Limit } from './consents.ts';
import type { Person } from './person.ts';
import { T } from './words.ts';

interface Change {
  kind: Kind;
  target: string;
  name: string;
  /** The limit to lift; undefined to put one in force. */
  limit: Limit | undefined;
}

export function Sharing({ person }: { person: Person }) {
  const patient = person.key;
  const { api } = useApp();
  const { t } = useLocale();
  const [round, setRound] = useState(0);
  const [change, setChange] = useState<Change>();
  const [saved, setSaved] = useState(false);
  const limits = useLoad((signal) => readLimits(api, patient, signal), [patient, round]);
  const done = () => {
    setChange(undefined);
    setSaved(true);
    setRound((n) => n + 1);
  };
  const ask = (c: Change) => {
    setSaved(false);
    setChange(c);
  };
  return (
    <div class="stack">
      <h2 class="unseen">{t(T.sharingTitle)}</h2>
      <p class="note">{t(T.sharingLead)}</p>
      <p role="status" class={saved ? 'note good' : 'unseen'}>{saved ? t(T.saved) : ''}</p>
      <Show of={limits} lines={6}>
        {(found) => <Switches limits={found} ask={ask} />}
      </Show>
      {change && <Confirm patient={`Patient/${person.patient.id}`} change={change} done={done} close={() => setChange(undefined)} />}
    </div>
  );
}

function Switches({ limits, ask }: { limits: readonly Limit[]; ask: (c: Change) => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const orgs = directory.providers.map((o) => ({ key: `Organization/${o.id}`, name: organizationName(lang, o) }));
  const find = (kind: Kind, target: string) => limits.find((l) => l.kind === kind && l.target === target);
  const section = (kind: Kind) =>
    orgs.map(({ key, name }) => {
      const limit = find(kind, key);
      return (
        <Switch
          key={key}
          label={name}
          on={!limit}
          words={kind === 'source' ? [T.notShared, T.shared] : [T.mayNot, T.may]}
          onChange={() => ask({ kind, target: key, name, limit })}
        />
      );
    });
  return (
    <>
      <Card title={t(T.sources)}>
        <p class="quiet-text">{t(T.sourcesLead)}</p>
        {section('source')}
      </Card>
      <Card title={t(T.viewers)}>
        <p class="quiet-text">{t(T.viewersLead)}</p>
        {section('viewer')}
      </Card>
      <Current limits={limits} ask={ask} />
    </>
  );
}

/** Every limit in force, those on single practitioners included, which have no switch. */
function Current({ limits, ask }: { limits: readonly Limit[]; ask: (c: Change) => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  return (
    <Card title={t(T.current)}>
      {limits.length === 0 && <Empty>{t(T.noLimits)}</Empty>}
      <ul class="list">
        {limits.map((limit) => {
          const { kind, target, consent } = limit;
          const name = directory.name({ reference: target }) || target;
          return (
            <li key={`${consent.id}${target}`} class="row spread">
              <div>
                <p>{t(kind === 'source' ? T.limitSource : T.limitViewer, { org: name })}</p>
                {consent.dateTime && <p class="quiet-text">{t(T.limitSince, { date: day(lang, consent.dateTime) })}</p>}
              </div>
              <Button label={`${t(T.lift)} ${name}`} onClick={() => ask({ kind, target, name, limit })}>
                {t(T.lift)}
              </Button>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

interface ConfirmProps {
  patient: string;
  change: Change;
  done: () => void;
  close: () => void;
}

function Confirm({ patient, change, done, close }: ConfirmProps) {
  const { api } = useApp();
  const { t } = useLocale();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const { kind, target, limit } = change;
  const apply = () => {
    setBusy(true);
    setError(undefined);
    (limit ? lift(api, limit) : deny(api, patient, kind, target)).then(done, (e: unknown) => {
      setBusy(false);
      setError(e);
    });
  };
  const title = kind === 'source' ? (limit ? T.startSource : T.stopSource) : limit ? T.startViewer : T.stopViewer;
  const body = limit ? T.startBody : kind === 'source' ? T.stopSourceBody : T.stopViewerBody;
  return (
    <Dialog title={t(title, { org: change.name })} onClose={close}>
      <p>{t(body)}</p>
      {error !== undefined && <Failure error={error} />}
      <div class="actions">
        <Button onClick={close} disabled={busy}>{t(W.cancel)}</Button>
        <Button kind="primary" id="confirm-change" busy={busy} onClick={apply}>{t(W.confirm)}</Button>
      </div>
    </Dialog>
  );
}
