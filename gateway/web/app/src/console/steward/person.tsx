// A person as the index sees them: records, why they are linked, and the
// journal of every change with its undo.
import { useState } from 'preact/hooks';
import { idOf } from '../../shared/fhir.ts';
import { day, humanName, moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale, type Word } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Show, TextField } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import type { Desk } from '../app.tsx';
import { identity, pick, type JournalEntry, type Member, type PersonView } from './api.ts';
import { LinkOther } from './join.tsx';
import { percent } from './queue.tsx';
import { ReasonDialog, UndoDialog } from './undo.tsx';
import { actionWords, genderWords, S } from './words.ts';

export function Persons({ desk }: { desk: Desk }) {
  const { t } = useLocale();
  const [text, setText] = useState('');
  const find = (e: Event) => {
    e.preventDefault();
    if (text.trim()) desk.setPerson(idOf(text.trim()) || text.trim());
  };
  return (
    <div class="stack">
      <Card title={t(S.find)}>
        <p class="quiet-text">{t(S.findHint)}</p>
        <form class="form" onSubmit={find}>
          <TextField label={t(S.id)} type="search" value={text} onInput={setText} required />
          <div class="actions start">
            <Button type="submit" kind="primary">{t(S.show)}</Button>
          </div>
        </form>
      </Card>
      {desk.person && <Person id={desk.person} />}
    </div>
  );
}

function Person({ id }: { id: string }) {
  const { api } = useApp();
  const person = useLoad((signal) => identity.person(api, id, signal), [id]);
  return (
    <Show of={person} lines={8}>
      {(view) => (
        <>
          <div class="columns">
            <Golden view={view} />
            <Records view={view} changed={person.reload} />
          </div>
          <Links view={view} />
          <LinkOther view={view} changed={person.reload} />
          <Journal entries={view.journal} changed={person.reload} />
        </>
      )}
    </Show>
  );
}

function Golden({ view }: { view: PersonView }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const g = view.golden;
  const origin = (field: string): string => {
    const member = view.members.find((m) => m.patient === view.sources[field]);
    return member ? t(S.from, { source: directory.org(member.organization) }) : '';
  };
  const gender = genderWords[g.gender ?? ''];
  const rows: [Word, string, string][] = [
    [S.name, humanName(lang, g.name), 'name'],
    [S.gender, gender ? t(gender) : '', 'gender'],
    [S.birthDate, day(lang, g.birthDate), 'birthDate'],
    [S.phone, (g.telecom ?? []).map((x) => x.value ?? '').join('  '), 'telecom'],
    [S.address, (g.address ?? []).map((a) => a.text ?? (a.line ?? []).join(' ')).filter(Boolean).join('；'), 'address'],
  ];
  return (
    <Card title={t(S.golden)} aside={<span class="quiet-text number">{idOf(view.person)}</span>}>
      <dl class="facts">
        {rows.filter(([, value]) => value).map(([label, value, field]) => (
          <div key={field}>
            <dt>{t(label)}</dt>
            <dd>
              {value} <span class="quiet-text">{origin(field)}</span>
            </dd>
          </div>
        ))}
        {(g.identifier ?? []).map((i, n) => (
          <div key={i.value}>
            <dt>{t(S.cards)}</dt>
            <dd>
              <span class="number">{i.value}</span> <span class="quiet-text">{origin(`identifier[${n}]`)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Records({ view, changed }: { view: PersonView; changed: () => void }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [asking, setAsking] = useState(false);
  const [leaving, setLeaving] = useState<string>();
  const toggle = (patient: string) => setChosen(chosen.includes(patient) ? chosen.filter((p) => p !== patient) : [...chosen, patient]);
  const proper = chosen.length > 0 && chosen.length < view.members.length;
  return (
    <Card title={t(S.records)} aside={<span class="quiet-text">{t(S.members, { n: view.members.length })}</span>}>
      <ul class="list">
        {view.members.map((m) => (
          <li key={m.patient}>
            <MemberLine
              member={m}
              chosen={chosen.includes(m.patient)}
              toggle={view.members.length > 1 ? () => toggle(m.patient) : undefined}
              unlink={view.members.length > 1 ? () => setLeaving(m.patient) : undefined}
            />
          </li>
        ))}
      </ul>
      {view.members.length > 1 && (
        <div class="actions">
          <Button kind="danger" disabled={!proper} onClick={() => setAsking(true)}>{t(S.split)}</Button>
        </div>
      )}
      {asking && (
        <ReasonDialog
          title={t(S.splitTitle)}
          body={t(S.splitBody)}
          action={t(W.confirm)}
          run={(reason) => identity.split(api, idOf(view.person), [...chosen], reason)}
          close={() => setAsking(false)}
          done={() => (setAsking(false), setChosen([]), changed())}
        />
      )}
      {leaving && (
        <ReasonDialog
          title={t(S.unlinkTitle)}
          body={t(S.splitBody)}
          action={t(W.confirm)}
          run={(reason) => identity.split(api, idOf(view.person), [leaving], reason)}
          close={() => setLeaving(undefined)}
          done={() => (setLeaving(undefined), changed())}
        />
      )}
    </Card>
  );
}

interface MemberLineProps {
  member: Member;
  chosen: boolean;
  toggle: (() => void) | undefined;
  unlink: (() => void) | undefined;
}

function MemberLine({ member: m, chosen, toggle, unlink }: MemberLineProps) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const gender = genderWords[m.gender];
  return (
    <div class="choice">
      {toggle && <input type="checkbox" checked={chosen} onChange={toggle} aria-label={t(S.choose, { name: directory.org(m.organization) })} />}
      <div>
        <p>
          <span class="strong">{directory.org(m.organization)}</span> {!m.active && <Badge>{t(S.inactive)}</Badge>}
        </p>
        <p class="quiet-text">
          {[m.name, gender && t(gender), day(lang, m.birthDate), m.patient].filter(Boolean).join(' · ')}
        </p>
        {unlink && (
          <Button kind="quiet" label={t(S.unlinkOne, { name: directory.org(m.organization) || m.patient })} onClick={unlink}>{t(S.unlink)}</Button>
        )}
      </div>
    </div>
  );
}

function Links({ view }: { view: PersonView }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const org = (patient: string): string => directory.org(view.members.find((m) => m.patient === patient)?.organization) || patient;
  return (
    <Card title={t(S.links)}>
      {view.links.length === 0 && <Empty>{t(S.noLinks)}</Empty>}
      <ul class="list">
        {view.links.map((l) => (
          <li key={l.a + l.b}>
            <p class="row spread">
              <span class="strong">{org(l.a)} ↔ {org(l.b)}</span>
              <span class="number quiet-text">{percent(l.probability)}</span>
            </p>
            <p>{l.reasons.map((r) => pick(lang, r.text)).join('；')}</p>
            {l.by && <p class="quiet-text">{l.by}</p>}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Journal({ entries, changed }: { entries: readonly JournalEntry[]; changed: () => void }) {
  const { t, lang } = useLocale();
  const [asking, setAsking] = useState<string>();
  const [waits, setWaits] = useState(false);
  return (
    <Card title={t(S.journal)}>
      {waits && <p class="note" role="status">{t(S.waitsNow)}</p>}
      <ol class="list">
        {entries.map((e) => {
          const action = actionWords[e.action];
          return (
            <li key={e.id} class="row spread">
              <div>
                <p>
                  <span class="strong">{action ? t(action) : e.action}</span> {e.undoneBy && <Badge>{t(S.wasUndone)}</Badge>}
                </p>
                <p>{[e.reason, ...(e.rules ?? []).map((r) => pick(lang, r.text))].filter(Boolean).join('；')}</p>
                <p class="quiet-text">
                  {[e.actor === 'system' ? t(S.system) : e.actor, e.second && t(S.confirmedBy, { by: e.second }), moment(lang, e.at), (e.patients ?? []).join('、')].filter(Boolean).join(' · ')}
                </p>
              </div>
              {e.canUndo && (
                <Button label={`${t(S.undo)} ${moment(lang, e.at)}`} onClick={() => setAsking(e.id)}>{t(S.undo)}</Button>
              )}
            </li>
          );
        })}
      </ol>
      {asking && <UndoDialog journal={asking} close={() => setAsking(undefined)} done={(answer) => (setAsking(undefined), answer.proposal ? setWaits(true) : changed())} />}
    </Card>
  );
}
