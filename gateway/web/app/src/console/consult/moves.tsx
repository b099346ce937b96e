// The moves that the state and the user's part allow, each with what it asks.
import type { PractitionerRole } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { matches } from '../../shared/api.ts';
import { idOf } from '../../shared/fhir.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Failure, Select, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import { consultations, type Consultation, type Move, type MoveInput } from './api.ts';
import { decisionWords, K, methodWords, moveWords } from './words.ts';

interface MovesProps {
  consultation: Consultation;
  moved: (next: Consultation) => void;
}

export function Moves({ consultation: c, moved }: MovesProps) {
  const { api } = useApp();
  const { t } = useLocale();
  const [chosen, setChosen] = useState<Move>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const moves = c.moves ?? [];
  if (moves.length === 0) return null;
  const make = (move: Move, input: MoveInput) => {
    setBusy(true);
    setError(undefined);
    consultations.move(api, c.id, move, input).then(moved, (e: unknown) => (setBusy(false), setError(e)));
  };
  const start = (move: Move) => (needsNothing.has(move) ? make(move, {}) : setChosen(move));
  return (
    <Card title={t(chosen ? (moveWords[chosen] ?? W.confirm) : K.steps)}>
      <div class="stack">
        {error !== undefined && <Failure error={error} />}
        {chosen ? (
          <MoveForm key={chosen} move={chosen} consultation={c} busy={busy} make={(input) => make(chosen, input)} close={() => setChosen(undefined)} />
        ) : (
          <div class="actions start">
            {moves.map((m, i) => (
              <Button key={m} kind={refuses.has(m) ? 'danger' : i === 0 ? 'primary' : 'plain'} busy={busy} onClick={() => start(m)}>
                {t(moveWords[m] ?? W.confirm)}
              </Button>
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}

const needsNothing = new Set<Move>(['request', 'check-in', 'sign', 'archive']);
const refuses = new Set<Move>(['reject', 'cancel']);

interface MoveFormProps {
  move: Move;
  consultation: Consultation;
  busy: boolean;
  make: (input: MoveInput) => void;
  close: () => void;
}

function MoveForm({ move, consultation, busy, make, close }: MoveFormProps) {
  const { t } = useLocale();
  const [input, setInput] = useState<MoveInput>(() => initial(move, consultation));
  const set = (change: MoveInput) => setInput({ ...input, ...change });
  const submit = (e: Event) => {
    e.preventDefault();
    make(sent(input));
  };
  return (
    <form class="stack" onSubmit={submit}>
      <MoveFields move={move} consultation={consultation} input={input} set={set} />
      <div class="actions">
        <Button onClick={close} disabled={busy}>{t(W.cancel)}</Button>
        <Button type="submit" id="make-move" kind={refuses.has(move) ? 'danger' : 'primary'} busy={busy}>{t(moveWords[move] ?? W.confirm)}</Button>
      </div>
    </form>
  );
}

/** datetime-local gives no zone: it is the civil time that the user sees. */
const sent = (input: MoveInput): MoveInput => ({
  ...input,
  ...(input.start ? { start: `${input.start}:00+08:00` } : {}),
  ...(input.end ? { end: `${input.end}:00+08:00` } : {}),
});

function initial(move: Move, c: Consultation): MoveInput {
  switch (move) {
    case 'consent':
      return { signature: { by: c.patient, method: 'device', feeTold: false } };
    case 'decide':
      return { decision: 'adopted', text: '' };
    case 'schedule': {
      const hour = 3_600_000;
      const from = Math.ceil(Date.now() / hour) * hour + hour;
      return { start: local(from), end: local(from + hour / 2) };
    }
    default:
      return {};
  }
}

const local = (at: number): string => new Date(at + 8 * 3_600_000).toISOString().slice(0, 16);

interface FieldsProps {
  move: Move;
  consultation: Consultation;
  input: MoveInput;
  set: (change: MoveInput) => void;
}

function MoveFields({ move, consultation, input, set }: FieldsProps) {
  const { t } = useLocale();
  switch (move) {
    case 'consent':
      return <ConsentFields input={input} set={set} />;
    case 'accept':
      return <AcceptFields consultation={consultation} input={input} set={set} />;
    case 'schedule':
      return (
        <div class="form">
          <TextField label={t(K.start)} type="datetime-local" value={input.start ?? ''} onInput={(start) => set({ start })} required />
          <TextField label={t(K.end)} type="datetime-local" value={input.end ?? ''} onInput={(end) => set({ end })} required />
        </div>
      );
    case 'opinion':
      return <TextField label={t(K.opinion)} hint={t(K.opinionHint)} value={input.opinion ?? ''} onInput={(opinion) => set({ opinion })} rows={6} maxLength={20000} required />;
    case 'decide':
      return (
        <>
          <Select label={t(K.decision)} value={input.decision ?? ''} onChange={(decision) => set({ decision })} options={Object.entries(decisionWords).map(([value, word]) => ({ value, text: t(word) }))} />
          <TextField label={t(K.text)} hint={t(K.textHint)} value={input.text ?? ''} onInput={(text) => set({ text })} rows={3} required />
        </>
      );
    default:
      return <TextField label={t(K.reason)} value={input.reason ?? ''} onInput={(reason) => set({ reason })} rows={2} maxLength={500} required />;
  }
}

type SomeFields = Pick<FieldsProps, 'input' | 'set'>;

function ConsentFields({ input, set }: SomeFields) {
  const { t } = useLocale();
  const signature = input.signature ?? { by: '', method: 'device', feeTold: false };
  const change = (c: Partial<typeof signature>) => set({ signature: { ...signature, ...c } });
  return (
    <>
      <div class="form">
        <TextField label={t(K.signedBy)} value={signature.by} onInput={(by) => change({ by })} required />
        <Select label={t(K.method)} value={signature.method} onChange={(method) => change({ method })} options={Object.entries(methodWords).map(([value, word]) => ({ value, text: t(word) }))} />
      </div>
      <label class="choice">
        <input type="checkbox" checked={signature.feeTold} required onChange={(e) => change({ feeTold: e.currentTarget.checked })} />
        <span>{t(K.feeTold)}</span>
      </label>
    </>
  );
}

/** Whom to assign: the roles of the invited institution. */
function AcceptFields({ consultation, input, set }: Omit<FieldsProps, 'move'>) {
  const { api } = useApp();
  const { t } = useLocale();
  const directory = useDirectory();
  const roles = useLoad(
    async (signal) => matches(await api.search<PractitionerRole>('PractitionerRole', { organization: `Organization/${consultation.invitedOrg}`, _count: 200 }, { signal })),
    [consultation.invitedOrg],
  );
  const name = (r: PractitionerRole) => [directory.name(r.practitioner) || idOf(r.practitioner), r.specialty?.[0]?.text].filter(Boolean).join(' · ');
  const options = [{ value: '', text: t(W.choose) }, ...(roles.data ?? []).map((r) => ({ value: r.id ?? '', text: name(r) }))];
  return (
    <>
      {roles.error !== undefined && <Failure error={roles.error} />}
      <Select label={t(K.consultant)} value={input.role ?? ''} required onChange={(role) => set({ role })} options={options} />
    </>
  );
}
