// The counter: a person is found by any of their cards, then their record is open.
import { useState } from 'preact/hooks';
import { age, bestCard, day, humanName } from '../../shared/format.ts';
import { useApp } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Failure, Select, TextField } from '../../shared/ui.tsx';
import { useDirectory } from '../../record/directory.tsx';
import type { Desk } from '../app.tsx';
import { genderWords } from '../steward/words.ts';
import { byCard, cardGrade, cardTypes, match, mrnSystem, type Found } from './match.ts';
import { OpenRecord } from './record.tsx';
import { gradeWords, P } from './words.ts';
import type { Patient } from 'fhir/r4';

export function Patients({ desk }: { desk: Desk }) {
  const [found, setFound] = useState<readonly Found[]>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const { api } = useApp();
  if (desk.patient) return <OpenRecord key={desk.patient.key} found={desk.patient} desk={desk} />;
  const find = (patient: Patient) => {
    setBusy(true);
    setError(undefined);
    setFound(undefined);
    match(api, patient).then(
      (f) => (setFound(f), setBusy(false)),
      (e: unknown) => (setError(e), setBusy(false)),
    );
  };
  return (
    <div class="stack">
      <div class="columns">
        <CardForm busy={busy} find={find} />
        <NameForm busy={busy} find={find} />
      </div>
      {error !== undefined && <Failure error={error} />}
      {found && <FoundList found={found} open={desk.setPatient} />}
    </div>
  );
}

interface FormProps {
  busy: boolean;
  find: (patient: Patient) => void;
}

function CardForm({ busy, find }: FormProps) {
  const { t } = useLocale();
  const { me } = useApp();
  const directory = useDirectory();
  const own = mrnSystem(directory.organizations.find((o) => o.id === me.organization)?.identifier);
  const types = cardTypes.filter((c) => c.system !== 'mrn' || own);
  const [system, setSystem] = useState(cardTypes[0]!.system);
  const [value, setValue] = useState('');
  const submit = (e: Event) => {
    e.preventDefault();
    const number = value.trim();
    if (number) find(byCard(system === 'mrn' && own ? own : system, number));
  };
  return (
    <Card title={t(P.byCard)}>
      <form class="form" onSubmit={submit}>
        <Select label={t(P.cardType)} value={system} options={types.map((c) => ({ value: c.system, text: t(c.word) }))} onChange={setSystem} />
        <TextField label={t(P.cardNo)} value={value} onInput={setValue} required />
        <div class="actions start">
          <Button type="submit" kind="primary" id="find-card" busy={busy}>{t(P.find)}</Button>
        </div>
      </form>
    </Card>
  );
}

function NameForm({ busy, find }: FormProps) {
  const { t } = useLocale();
  const [name, setName] = useState('');
  const [birthDate, setBirthDate] = useState('');
  const [gender, setGender] = useState('');
  const submit = (e: Event) => {
    e.preventDefault();
    if (!name.trim() || !birthDate) return;
    find({
      resourceType: 'Patient',
      name: [{ text: name.trim() }],
      birthDate,
      ...(gender ? { gender: gender as NonNullable<Patient['gender']> } : {}),
    });
  };
  return (
    <Card title={t(P.byName)}>
      <form class="form" onSubmit={submit}>
        <TextField label={t(P.name)} value={name} onInput={setName} required />
        <TextField label={t(P.birthDate)} type="date" value={birthDate} onInput={setBirthDate} required />
        <Select
          label={t(P.sex)}
          value={gender}
          options={[{ value: '', text: t(P.any) }, ...['male', 'female'].map((g) => ({ value: g, text: t(genderWords[g]!) }))]}
          onChange={setGender}
        />
        <div class="actions start">
          <Button type="submit" busy={busy}>{t(P.find)}</Button>
        </div>
      </form>
    </Card>
  );
}

function FoundList({ found, open }: { found: readonly Found[]; open: (f: Found) => void }) {
  const { t } = useLocale();
  return (
    <Card title={<span role="status">{t(P.found, { n: found.length })}</span>}>
      {found.length === 0 && <Empty>{t(P.noMatch)}</Empty>}
      <ul class="list">
        {found.map((f) => (
          <li key={f.key} class="row spread">
            <FoundLine found={f} />
            <Button kind="primary" label={t(P.openOf, { name: humanName('zh', f.patient.name) })} onClick={() => open(f)}>{t(P.open)}</Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function FoundLine({ found }: { found: Found }) {
  const { t, lang } = useLocale();
  const p = found.patient;
  const gender = genderWords[p.gender ?? ''];
  const years = age(p.birthDate);
  const grade = gradeWords[found.grade];
  const records = p.link?.length ?? 0;
  return (
    <div>
      <p class="row">
        <span class="patient-name strong">{humanName(lang, p.name)}</span>
        {grade && <Badge tone={found.grade === 'certain' || found.grade === cardGrade ? 'good' : 'warn'}>{t(grade)}</Badge>}
      </p>
      <p class="quiet-text">
        {[
          gender && t(gender),
          p.birthDate && `${day(lang, p.birthDate)}${years === undefined ? '' : lang === 'zh' ? `（${years} 岁）` : ` (${years})`}`,
          bestCard(p.identifier)?.value,
          records > 0 && t(P.records, { n: records }),
        ]
          .filter(Boolean)
          .join(' · ')}
      </p>
    </div>
  );
}
