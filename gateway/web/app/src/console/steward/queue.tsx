// The queue of possible matches, the riskiest first.
import { useEffect, useState } from 'preact/hooks';
import { count, moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Failure, Show } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import type { Desk } from '../app.tsx';
import { identity, pick, type QueueItem, type Side } from './api.ts';
import { Compare } from './compare.tsx';
import { Proposals } from './confirm.tsx';
import { kindWords, riskWords, S } from './words.ts';

export function Queue({ desk }: { desk: Desk }) {
  const { api } = useApp();
  const { t, lang } = useLocale();
  const [status, setStatus] = useState<'open' | 'waits' | 'done'>('open');
  const [chosen, setChosen] = useState<string>();
  const first = useLoad((signal) => identity.queue(api, status === 'done' ? 'done' : 'open', undefined, signal), [status]);
  const back = () => {
    setChosen(undefined);
    first.reload();
  };
  if (chosen) return <Compare id={chosen} back={back} desk={desk} />;
  const label = (s: 'open' | 'waits' | 'done') => (s === 'waits' ? t(S.waits) : t(s === 'open' ? S.open : S.done, { n: first.data ? count(lang, first.data[s]) : '' }));
  return (
    <Card
      title={t(S.queue)}
      aside={
        <div class="toolbar">
          {(['open', 'waits', 'done'] as const).map((s) => (
            <Button key={s} pressed={status === s} onClick={() => setStatus(s)}>{label(s).trim()}</Button>
          ))}
        </div>
      }
    >
      {status === 'waits' ? (
        <Proposals />
      ) : (
        <Show of={first} lines={6}>
          {(page) => <QueueTable first={page.items} next={page.next} status={status} choose={setChosen} />}
        </Show>
      )}
    </Card>
  );
}

interface QueueTableProps {
  first: readonly QueueItem[];
  next: string | undefined;
  status: 'open' | 'done';
  choose: (id: string) => void;
}

function QueueTable({ first, next, status, choose }: QueueTableProps) {
  const { api } = useApp();
  const { t } = useLocale();
  const [items, setItems] = useState(first);
  const [after, setAfter] = useState(next);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => (setItems(first), setAfter(next)), [first, next]);
  const more = () => {
    setBusy(true);
    identity.queue(api, status, after).then(
      (page) => (setItems([...items, ...page.items]), setAfter(page.next), setBusy(false)),
      (e: unknown) => (setError(e), setBusy(false)),
    );
  };
  if (items.length === 0) return <Empty>{t(status === 'open' ? S.emptyOpen : S.emptyDone)}</Empty>;
  return (
    <>
      <div class="table-frame">
        <table class="grid-table">
          <thead>
            <tr>
              <th scope="col">{t(S.risk)}</th>
              <th scope="col">{t(S.kind)}</th>
              <th scope="col">{t(S.recordA)}</th>
              <th scope="col">{t(S.recordB)}</th>
              <th scope="col">{t(S.probability)}</th>
              <th scope="col">{t(S.waiting)}</th>
              <th scope="col"><span class="unseen">{t(S.look)}</span></th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <QueueRow key={item.id} item={item} choose={choose} />
            ))}
          </tbody>
        </table>
      </div>
      {error !== undefined && <Failure error={error} />}
      {after && (
        <div class="pager">
          <Button busy={busy} onClick={more}>{t(W.more)}</Button>
        </div>
      )}
    </>
  );
}

export const riskTone = { high: 'bad', medium: 'warn', low: 'plain' } as const;

function QueueRow({ item, choose }: { item: QueueItem; choose: (id: string) => void }) {
  const { t, lang } = useLocale();
  return (
    <tr>
      <td>
        <Badge tone={riskTone[item.risk]}>{t(riskWords[item.risk] ?? W.unknown)}</Badge>
      </td>
      <th scope="row">
        {t(kindWords[item.kind] ?? W.unknown)} {item.proposal && <Badge tone="warn">{t(S.waits)}</Badge>}
        <p class="quiet-text">{item.reasons.map((r) => pick(lang, r.text)).join('；')}</p>
      </th>
      <td><SideLine side={item.a} /></td>
      <td><SideLine side={item.b} /></td>
      <td class="number">{percent(item.probability)}</td>
      <td class="number">
        {moment(lang, item.created)}
        {item.decision && <p class="quiet-text">{t(S.decidedBy, { by: item.decision.by, at: moment(lang, item.decision.at) })}</p>}
      </td>
      <td>
        <Button label={t(S.lookAt, { a: item.a.name, b: item.b.name })} onClick={() => choose(item.id)}>{t(S.look)}</Button>
      </td>
    </tr>
  );
}

function SideLine({ side }: { side: Side }) {
  const directory = useDirectory();
  return (
    <>
      <span class="strong">{side.name}</span>
      <p class="quiet-text">{directory.org(side.organization)}</p>
    </>
  );
}

/** 0.9732 as 97.3 %; never rounded up to certainty. */
export function percent(p: number): string {
  if (p > 0.999) return '>99.9 %';
  return p > 0 && p < 0.001 ? '<0.1 %' : `${(Math.floor(p * 1000) / 10).toFixed(1)} %`;
}
