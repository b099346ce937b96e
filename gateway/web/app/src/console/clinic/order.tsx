// Drafting an order: before it is signed, the exchange shows results of other
// hospitals that make it unnecessary.
import type { Encounter } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { useApp } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Empty, Failure, Field, Loading, Select, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { categoryWords, items, type Item } from '../../shared/catalogue.ts';
import { draftOrder, orderOf, orderSign, sendFeedback, type CdsCard } from './cds.ts';
import { Markdown } from './markdown.tsx';
import { P } from './words.ts';

export function OrderPad({ encounter }: { encounter: Encounter | undefined }) {
  const { t } = useLocale();
  if (!encounter) {
    return (
      <Card title={t(P.order)}>
        <Empty>{t(P.noEncounter)}</Empty>
      </Card>
    );
  }
  return <Pad encounter={encounter} />;
}

function Pad({ encounter }: { encounter: Encounter }) {
  const { api, me } = useApp();
  const { t } = useLocale();
  const [drafts, setDrafts] = useState<readonly Item[]>([]);
  const [cards, setCards] = useState<readonly CdsCard[]>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const change = (next: readonly Item[]) => {
    setDrafts(next);
    setCards(undefined);
  };
  const sign = () => {
    setBusy(true);
    setError(undefined);
    orderSign(api, me, encounter, drafts.map((d) => draftOrder(d, encounter, me))).then(
      (found) => (setCards(found), setBusy(false)),
      (e: unknown) => (setError(e), setBusy(false)),
    );
  };
  return (
    <>
      <Card title={t(P.order)}>
        <div class="stack">
          <ItemPicker add={(item) => !drafts.includes(item) && change([...drafts, item])} />
          <h3>{t(P.drafts)}</h3>
          {drafts.length === 0 && <p class="quiet-text">{t(P.noDrafts)}</p>}
          <Drafts drafts={drafts} remove={(item) => change(drafts.filter((d) => d !== item))} />
          {error !== undefined && <Failure error={error} />}
          <div class="actions">
            <Button kind="primary" id="sign-orders" disabled={drafts.length === 0} busy={busy} onClick={sign}>{t(P.sign)}</Button>
          </div>
        </div>
      </Card>
      {busy && <Loading lines={3} />}
      {cards && (
        <Card title={t(P.cards)}>
          {cards.length === 0 && <p role="status">{t(P.noCards)}</p>}
          <div class="stack" aria-live="polite">
            {cards.map((c) => (
              <RecognitionCard key={c.uuid} card={c} adopted={() => setDrafts(drafts.filter((d) => `draft-${d.code}` !== orderOf(c)))} />
            ))}
          </div>
        </Card>
      )}
    </>
  );
}

function Drafts({ drafts, remove }: { drafts: readonly Item[]; remove: (item: Item) => void }) {
  const { t } = useLocale();
  return (
    <ul class="list">
      {drafts.map((d) => (
        <li key={d.code} class="row spread">
          <span>
            <span class="strong">{t(d.name)}</span> <span class="quiet-text">{d.code}</span>
          </span>
          <Button kind="quiet" label={t(P.remove, { item: t(d.name) })} onClick={() => remove(d)}>
            <span aria-hidden="true">✕</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}

function ItemPicker({ add }: { add: (item: Item) => void }) {
  const { t } = useLocale();
  const [code, setCode] = useState('');
  const pick = (e: Event) => {
    e.preventDefault();
    const item = items.find((i) => i.code === code);
    if (item) add(item);
    setCode('');
  };
  return (
    <form class="form" onSubmit={pick}>
      <Field label={t(P.orderItem)}>
        {(id) => (
          <select id={id} value={code} onChange={(e) => setCode(e.currentTarget.value)}>
            <option value="">{t(W.choose)}</option>
            {Object.entries(categoryWords).map(([category, word]) => (
              <optgroup key={category} label={t(word)}>
                {items.filter((i) => i.category === category).map((i) => (
                  <option key={i.code} value={i.code}>
                    {t(i.name)} ({i.code})
                  </option>
                ))}
              </optgroup>
            ))}
          </select>
        )}
      </Field>
      <div class="actions start">
        <Button type="submit" id="add-order" disabled={!code}>{t(P.add)}</Button>
      </div>
    </form>
  );
}

type Outcome = 'adopted' | 'declined';

function RecognitionCard({ card, adopted }: { card: CdsCard; adopted: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [declining, setDeclining] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const send = (feedback: Parameters<typeof sendFeedback>[2], then: Outcome) => {
    setBusy(true);
    setError(undefined);
    sendFeedback(api, card, feedback).then(
      () => {
        setOutcome(then);
        if (then === 'adopted') adopted();
      },
      (e: unknown) => (setBusy(false), setError(e)),
    );
  };
  const use = card.suggestions?.[0];
  return (
    <article class="cds">
      <h3>{card.summary}</h3>
      {card.detail && <Markdown text={card.detail} />}
      <p class="quiet-text">{card.source.label}</p>
      {error !== undefined && <Failure error={error} />}
      {outcome && <p class="note good" role="status">{t(P[outcome])}</p>}
      {!outcome && !declining && (
        <div class="actions">
          <Button onClick={() => setDeclining(true)}>{t(P.decline)}</Button>
          <Button kind="primary" busy={busy} onClick={() => send({ outcome: 'accepted', acceptedSuggestions: use?.uuid ? [{ id: use.uuid }] : [] }, 'adopted')}>
            {use?.label ?? t(P.adopt)}
          </Button>
        </div>
      )}
      {!outcome && declining && <Decline card={card} busy={busy} send={(f) => send(f, 'declined')} />}
    </article>
  );
}

function Decline({ card, busy, send }: { card: CdsCard; busy: boolean; send: (f: Parameters<typeof sendFeedback>[2]) => void }) {
  const { t } = useLocale();
  const reasons = card.overrideReasons ?? [];
  const [code, setCode] = useState('');
  const [comment, setComment] = useState('');
  const reason = reasons.find((r) => r.code === code);
  const ready = reason && (code !== 'other' || comment.trim() !== '');
  const submit = (e: Event) => {
    e.preventDefault();
    if (!reason || !ready) return;
    const userComment = comment.trim();
    send({ outcome: 'overridden', overrideReason: { reason, ...(userComment ? { userComment } : {}) } });
  };
  return (
    <form class="stack" onSubmit={submit}>
      <Select label={t(P.declineReason)} value={code} required onChange={setCode} options={[{ value: '', text: t(W.choose) }, ...reasons.map((r) => ({ value: r.code, text: r.display }))]} />
      <TextField label={t(P.comment)} hint={t(P.commentNeeded)} value={comment} onInput={setComment} rows={2} maxLength={600} required={code === 'other'} />
      <div class="actions">
        <Button type="submit" kind="primary" disabled={!ready} busy={busy}>{t(P.decline)}</Button>
      </div>
    </form>
  );
}
