// What waits for a second person: the list, and one proposal with all that is
// needed to judge it.
import { useState } from 'preact/hooks';
import { moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Failure, Show, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import { identity, pick, type Proposal } from './api.ts';
import { Evidence } from './compare.tsx';
import { riskTone } from './queue.tsx';
import { actionWords, proposalStatusWords, proposalWords, riskWords, S } from './words.ts';

/** The list of proposals, the riskiest first. */
export function Proposals() {
  const { api } = useApp();
  const { t } = useLocale();
  const [chosen, setChosen] = useState<string>();
  const list = useLoad((signal) => identity.proposals(api, 'pending', undefined, signal), []);
  const close = () => {
    setChosen(undefined);
    list.reload();
  };
  if (chosen) {
    return (
      <div class="stack">
        <div class="row">
          <Button kind="quiet" onClick={close}>
            <span aria-hidden="true">←</span> {t(W.back)}
          </Button>
        </div>
        <Waiting id={chosen} changed={() => undefined} whole />
      </div>
    );
  }
  return (
    <Show of={list} lines={4}>
      {(page) => (page.items.length === 0 ? <Empty>{t(S.emptyWaits)}</Empty> : <ProposalTable items={page.items} choose={setChosen} />)}
    </Show>
  );
}

function ProposalTable({ items, choose }: { items: readonly Proposal[]; choose: (id: string) => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const side = (p: Proposal, s: 'a' | 'b'): string => [p[s]?.name, directory.org(p[s]?.organization)].filter(Boolean).join(' · ');
  return (
    <div class="table-frame">
      <table class="grid-table">
        <thead>
          <tr>
            <th scope="col">{t(S.risk)}</th>
            <th scope="col">{t(S.kind)}</th>
            <th scope="col">{t(S.recordA)}</th>
            <th scope="col">{t(S.recordB)}</th>
            <th scope="col">{t(S.proposed)}</th>
            <th scope="col"><span class="unseen">{t(S.review)}</span></th>
          </tr>
        </thead>
        <tbody>
          {items.map((p) => (
            <tr key={p.id}>
              <td><Badge tone={riskTone[p.risk]}>{t(riskWords[p.risk] ?? W.unknown)}</Badge></td>
              <th scope="row">
                {t(proposalWords[p.action] ?? W.unknown)}
                <p class="quiet-text">{p.rules.map((r) => pick(lang, r.text)).join('；')}</p>
              </th>
              <td>{side(p, 'a')}</td>
              <td>{side(p, 'b')}</td>
              <td class="number">{p.by}<p class="quiet-text">{moment(lang, p.at)}</p></td>
              <td><Button label={t(S.reviewOf, { by: p.by })} onClick={() => choose(p.id)}>{t(S.review)}</Button></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One proposal: whole shows the comparison too, which a queue item has already. */
export function Waiting({ id, changed, whole }: { id: string; changed: () => void; whole?: boolean }) {
  const { api } = useApp();
  const proposal = useLoad((signal) => identity.proposal(api, id, signal), [id]);
  const settled = () => (proposal.reload(), changed());
  return (
    <Show of={proposal} lines={6}>
      {(p) => <Second proposal={p} whole={whole ?? false} changed={settled} />}
    </Show>
  );
}

function Second({ proposal: p, whole, changed }: { proposal: Proposal; whole: boolean; changed: () => void }) {
  const { t, lang } = useLocale();
  const status = proposalStatusWords[p.status];
  return (
    <>
      <Card
        title={t(S.proposal)}
        aside={
          <span class="row">
            <Badge tone={riskTone[p.risk]}>{t(S.risk)} {t(riskWords[p.risk] ?? W.unknown)}</Badge>
            <Badge tone={p.status === 'pending' ? 'warn' : 'plain'}>{status ? t(status) : p.status}</Badge>
          </span>
        }
      >
        <p>{t(S.proposalBody)}</p>
        <p class="strong">{t(proposalWords[p.action] ?? W.unknown)} · {p.by} · {moment(lang, p.at)}</p>
        <h3>{t(S.whyProposed)}</h3>
        <p class="quote">{p.reason}</p>
        {p.second && <p role="status">{[t(S.confirmedBy, { by: p.second }), p.because, p.ended && moment(lang, p.ended)].filter(Boolean).join(' · ')}</p>}
        {whole && p.explanation && <Evidence of={p.explanation} rules={p.rules} a={p.a?.organization} b={p.b?.organization} />}
        {p.entry && <Undone proposal={p} />}
      </Card>
      {p.status === 'pending' && <Judge proposal={p} changed={changed} />}
    </>
  );
}

function Undone({ proposal: { entry: e } }: { proposal: Proposal }) {
  const { t, lang } = useLocale();
  if (!e) return null;
  const action = actionWords[e.action];
  return (
    <>
      <h3>{t(S.wouldUndo)}</h3>
      <p>{[action ? t(action) : e.action, e.actor, e.reason, moment(lang, e.at), e.patients.join('、')].filter(Boolean).join(' · ')}</p>
    </>
  );
}

function Judge({ proposal: p, changed }: { proposal: Proposal; changed: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState<'confirm' | 'decline'>();
  const [error, setError] = useState<unknown>();
  const decide = (decision: 'confirm' | 'decline') => {
    setBusy(decision);
    setError(undefined);
    identity.second(api, p.id, decision, reason.trim()).then(changed, (e: unknown) => {
      setBusy(undefined);
      setError(e);
    });
  };
  const ready = reason.trim() !== '' && !busy;
  return (
    <Card title={t(S.review)}>
      <div class="stack">
        {p.own && <p class="note">{t(S.own)}</p>}
        <TextField label={t(S.reason)} hint={t(S.reasonHint)} value={reason} onInput={setReason} rows={2} maxLength={500} required />
        {error !== undefined && <Failure error={error} />}
        <div class="actions">
          <Button kind="danger" disabled={!ready} busy={busy === 'decline'} onClick={() => decide('decline')}>{t(p.own ? S.takeBack : S.decline)}</Button>
          {!p.own && (
            <Button kind="primary" disabled={!ready} busy={busy === 'confirm'} onClick={() => decide('confirm')}>{t(S.confirm)}</Button>
          )}
        </div>
      </div>
    </Card>
  );
}
