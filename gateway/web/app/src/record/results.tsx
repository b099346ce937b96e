// Laboratory results by item, across hospitals: the latest value of each, and
// its course. Values, units and ranges are the sender's, never converted.
import type { Observation } from 'fhir/r4';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { queryString } from '../shared/api.ts';
import { TrendChart, type Point } from '../shared/chart.tsx';
import { conceptIn, digitsOf, effective, flag, flagSigns, flagWords, itemKey, unitOf, valueText, type Flag } from '../shared/fhir.ts';
import { day, moment, range } from '../shared/format.ts';
import { readAll, useApp, useLoad } from '../shared/hooks.ts';
import { useLocale } from '../shared/locale.ts';
import { Badge, Button, Card, Empty, Show, TextField } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { useDirectory } from './directory.tsx';
import { R } from './words.ts';

/** One item with all its results, newest first. */
export interface Item {
  key: string;
  observations: Observation[];
}

function groupByItem(observations: readonly Observation[]): Item[] {
  const items = new Map<string, Item>();
  for (const o of observations) {
    const key = itemKey(o);
    const item = items.get(key);
    if (item) item.observations.push(o);
    else items.set(key, { key, observations: [o] });
  }
  const when = (o: Observation) => Date.parse(effective(o) ?? '') || 0;
  for (const item of items.values()) item.observations.sort((a, b) => when(b) - when(a));
  return [...items.values()].sort((a, b) => byConcern(a.observations[0]!, b.observations[0]!));
}

/** Abnormal before normal, then the newest first, then by name. */
function byConcern(a: Observation, b: Observation): number {
  const day = (o: Observation) => (effective(o) ?? '').slice(0, 10);
  return Number(abnormal(b)) - Number(abnormal(a)) || day(b).localeCompare(day(a)) || conceptIn('zh', a.code).localeCompare(conceptIn('zh', b.code), 'zh');
}

const abnormal = (o: Observation): boolean => (flag(o)?.flag ?? 'normal') !== 'normal';
const step = 2000; // results read at once; more on request

export function Results({ patient }: { patient: string }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [limit, setLimit] = useState(step);
  const [open, setOpen] = useState<string>();
  const all = useLoad(
    (signal) =>
      readAll<Observation>(api, `/fhir/Observation${queryString({ patient, category: 'laboratory', _sort: '-date', _total: 'accurate', _count: 200 })}`, limit, signal),
    [patient, limit],
  );
  const items = useMemo(() => groupByItem(all.data?.items ?? []), [all.data]);
  const chosen = items.find((i) => i.key === open);
  if (chosen) return <ItemPage item={chosen} back={() => setOpen(undefined)} />;
  return (
    <Show of={all} lines={6}>
      {(data) => (
        <div class="stack">
          <ItemList items={items} open={setOpen} total={data.total} />
          {!data.whole && (
            <div class="note warn row spread">
              <span>{t(R.olderLeft)}</span>
              <Button onClick={() => setLimit((n) => n + step)}>{t(R.readOlder)}</Button>
            </div>
          )}
        </div>
      )}
    </Show>
  );
}

function ItemList({ items, open, total }: { items: readonly Item[]; open: (key: string) => void; total: number }) {
  const { t, lang } = useLocale();
  const [find, setFind] = useState('');
  const [onlyAbnormal, setOnlyAbnormal] = useState(false);
  if (items.length === 0) return <Empty>{t(R.noResults)}</Empty>;
  const wanted = find.trim().toLowerCase();
  const shown = items.filter((i) => {
    const latest = i.observations[0]!;
    const codes = (latest.code.coding ?? []).map((c) => `${c.code} ${c.display ?? ''}`).join(' ');
    const text = `${latest.code.text ?? ''} ${codes}`.toLowerCase();
    return (!wanted || text.includes(wanted)) && (!onlyAbnormal || abnormal(latest));
  });
  return (
    <Card>
      <div class="filter">
        <TextField label={t(R.findItem)} type="search" value={find} onInput={setFind} />
        <Button pressed={onlyAbnormal} onClick={() => setOnlyAbnormal(!onlyAbnormal)}>{t(R.onlyAbnormal)}</Button>
      </div>
      <p class="quiet-text" role="status">{t(R.items, { n: shown.length, m: total })}</p>
      {shown.length === 0 && <Empty>{t(R.noneFound)}</Empty>}
      <ul class="list">
        {shown.map((i) => (
          <li key={i.key}>
            <button type="button" class="item-row" onClick={() => open(i.key)}>
              <ItemLine observation={i.observations[0]!} times={i.observations.length} lang={lang} />
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function ItemLine({ observation: o, times, lang }: { observation: Observation; times: number; lang: 'zh' | 'en' }) {
  const { t } = useLocale();
  const directory = useDirectory();
  const reference = range(o.referenceRange?.[0]);
  return (
    <>
      <span class="item-name strong">{conceptIn(lang, o.code)}</span>
      <span class="item-value number">
        <FlagBadge observation={o} /> <span class="strong">{valueText(o) || t(R.notStated)}</span>
      </span>
      <span class="item-meta quiet-text">{[day(lang, effective(o)), directory.origin(o)].filter(Boolean).join(' · ')}</span>
      <span class="item-meta quiet-text number">
        {[reference && `${t(R.range)} ${reference}`, times > 1 && t(R.measured, { n: times })].filter(Boolean).join(' · ')}
      </span>
    </>
  );
}

export function FlagBadge({ observation }: { observation: Observation }) {
  const { t } = useLocale();
  const found = flag(observation);
  if (!found) return null;
  const tones: Record<Flag, 'good' | 'warn' | 'bad'> = { normal: 'good', high: 'warn', low: 'warn', abnormal: 'warn', critical: 'bad' };
  return (
    <span title={found.computed ? t(R.byRange) : undefined}>
      <Badge tone={tones[found.flag]}>
        <span aria-hidden="true">{flagSigns[found.flag]}</span> {t(flagWords[found.flag])}
      </Badge>
    </span>
  );
}

function ItemPage({ item, back }: { item: Item; back: () => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    scrollTo(0, 0);
    heading.current?.focus();
  }, [item.key]);
  const latest = item.observations[0]!;
  const name = conceptIn(lang, latest.code);
  return (
    <div class="stack">
      <div class="row">
        <Button kind="quiet" onClick={back}>
          <span aria-hidden="true">←</span> {t(W.back)}
        </Button>
      </div>
      <section class="card" aria-labelledby="item-title">
        <h2 id="item-title" ref={heading} tabIndex={-1}>{name}</h2>
        <p class="big-value number">
          {valueText(latest) || t(R.notStated)} <FlagBadge observation={latest} />
        </p>
        <p class="quiet-text">
          {[t(R.latest), moment(lang, effective(latest)), directory.origin(latest)].filter(Boolean).join(' · ')}
        </p>
      </section>
      <Trends item={item} name={name} />
      <Card title={t(R.allValues)} aside={<span class="quiet-text">{t(W.total, { n: item.observations.length })}</span>}>
        <ValueTable observations={item.observations} name={name} />
      </Card>
    </div>
  );
}

interface Series {
  unit: string;
  points: Point[];
}

/** Numeric results by unit, oldest first: values of different units never share a line. */
function seriesOf(observations: readonly Observation[]): Series[] {
  const series = new Map<string, Point[]>();
  for (const o of observations.toReversed()) {
    const value = o.valueQuantity?.value;
    const at = Date.parse(effective(o) ?? '');
    if (value === undefined || Number.isNaN(at)) continue;
    const unit = unitOf(o.valueQuantity);
    const points = series.get(unit) ?? [];
    const r = o.referenceRange?.[0];
    points.push({ at, value, low: r?.low?.value, high: r?.high?.value });
    series.set(unit, points);
  }
  return [...series].map(([unit, points]) => ({ unit, points }));
}

function Trends({ item, name }: { item: Item; name: string }) {
  const { t } = useLocale();
  const series = useMemo(() => seriesOf(item.observations).filter((s) => s.points.length > 1), [item]);
  if (series.length === 0) return null;
  return (
    <Card title={t(R.trend)}>
      {series.length > 1 && <p class="note warn">{t(R.otherUnits)}</p>}
      {series.map((s) => (
        <figure key={s.unit} class="trend">
          <figcaption class="quiet-text">
            {t(R.trendOf, { item: name, unit: s.unit || t(R.notStated) })} {s.points.at(-1)?.high !== undefined && t(R.trendBand)}
          </figcaption>
          <TrendChart points={s.points} />
        </figure>
      ))}
    </Card>
  );
}

function ValueTable({ observations, name }: { observations: readonly Observation[]; name: string }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const [all, setAll] = useState(false);
  const shown = all ? observations : observations.slice(0, 12);
  return (
    <>
      <div class="table-frame" tabIndex={0} role="region" aria-label={`${name} ${t(R.allValues)}`}>
        <table class="values">
          <thead>
            <tr>
              <th scope="col">{t(R.dateAndHospital)}</th>
              <th scope="col">{t(R.value)}</th>
              <th scope="col">{t(R.range)}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((o) => (
              <tr key={o.id}>
                <th scope="row">
                  {day(lang, effective(o))}
                  <span class="quiet-text">{directory.origin(o)}</span>
                </th>
                <td class="number">
                  {o.valueQuantity ? `${digitsOf(o.valueQuantity)} ${unitOf(o.valueQuantity)}` : valueText(o)} <FlagBadge observation={o} />
                </td>
                <td class="number">{range(o.referenceRange?.[0])}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < observations.length && (
        <div class="pager">
          <Button onClick={() => setAll(true)}>{t(W.more)}</Button>
        </div>
      )}
    </>
  );
}
