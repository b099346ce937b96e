// Duplicates and overlays of each hospital, to read and as CSV.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { idOf } from '../../shared/fhir.ts';
import { count, moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Button, Card, Empty, Failure, Show } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import type { Desk } from '../app.tsx';
import { identity, pick, type Count, type Duplicates, type Overlay, type Page } from './api.ts';
import { S } from './words.ts';

export function Reports({ desk }: { desk: Desk }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [chosen, setChosen] = useState<string>();
  const sums = useLoad((signal) => identity.summary(api, signal), []);
  return (
    <div class="stack">
      <Card title={t(S.byHospital)}>
        <p class="quiet-text">{t(S.duplicates)}：{t(S.duplicatesHint)} {t(S.overlays)}：{t(S.overlaysHint)}</p>
        <Show of={sums} lines={4}>
          {(s) => (s.organizations.length === 0 ? <Empty>{t(S.noReports)}</Empty> : <Sums of={s.organizations} chosen={chosen} choose={setChosen} />)}
        </Show>
      </Card>
      {chosen && <Details key={chosen} organization={chosen} desk={desk} close={() => setChosen(undefined)} />}
    </div>
  );
}

function Sums({ of, chosen, choose }: { of: readonly Count[]; chosen: string | undefined; choose: (org: string) => void }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  return (
    <div class="table-frame">
      <table class="grid-table">
        <thead>
          <tr>
            <th scope="col">{t(S.hospital)}</th>
            <th scope="col">{t(S.duplicates)}</th>
            <th scope="col">{t(S.recordsOf)}</th>
            <th scope="col">{t(S.overlays)}</th>
            <th scope="col"><span class="unseen">{t(S.details)}</span></th>
          </tr>
        </thead>
        <tbody>
          {of.map((c) => {
            const name = directory.org(c.organization) || c.organization;
            return (
              <tr key={c.organization}>
                <th scope="row">{name}</th>
                <td class="number">{count(lang, c.duplicates)}</td>
                <td class="number">{count(lang, c.records)}</td>
                <td class="number">{count(lang, c.overlays)}</td>
                <td>
                  <Button pressed={chosen === c.organization} label={t(S.detailsOf, { name })} onClick={() => choose(c.organization)}>{t(S.details)}</Button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Details({ organization, desk, close }: { organization: string; desk: Desk; close: () => void }) {
  const { api } = useApp();
  const { t, lang } = useLocale();
  const directory = useDirectory();
  const name = directory.org(organization) || organization;
  const open = (key: string) => {
    desk.setPerson(idOf(key));
    desk.go('persons');
  };
  return (
    <>
      <Card title={`${t(S.duplicates)} · ${name}`} aside={<span class="row"><Download report="duplicates" organization={organization} /><Button kind="quiet" onClick={close}>{t(S.close)}</Button></span>}>
        <Listing<Duplicates> read={(after, signal) => identity.duplicates(api, organization, after, signal)} empty={t(S.noReports)}>
          {(d) => (
            <li key={d.person} class="row spread">
              <div>
                <p class="strong">{d.patients.join('、')}</p>
                <p class="quiet-text">{t(S.since)} {moment(lang, d.since)}</p>
              </div>
              <Button label={`${t(S.openPerson)} ${idOf(d.person)}`} onClick={() => open(d.person)}>{t(S.openPerson)}</Button>
            </li>
          )}
        </Listing>
      </Card>
      <Card title={`${t(S.overlays)} · ${name}`} aside={<Download report="overlays" organization={organization} />}>
        <Listing<Overlay> read={(after, signal) => identity.overlays(api, organization, after, signal)} empty={t(S.noReports)}>
          {(o) => (
            <li key={o.id} class="row spread">
              <div>
                <p><span class="strong">{o.patient}</span> <span class="quiet-text">{t(S.version)} {o.version} → {o.by}</span></p>
                <p>{t(S.changedFields)}：{o.reasons.map((r) => pick(lang, r.text)).join('；')}</p>
                <p class="quiet-text">{moment(lang, o.at)}</p>
              </div>
              <Button label={`${t(S.openPerson)} ${idOf(o.patient)}`} onClick={() => open(o.patient)}>{t(S.openPerson)}</Button>
            </li>
          )}
        </Listing>
      </Card>
    </>
  );
}

interface ListingProps<T> {
  read: (after: string | undefined, signal?: AbortSignal) => Promise<Page<T>>;
  empty: string;
  children: (item: T) => ComponentChildren;
}

/** A report page by page. */
function Listing<T>({ read, empty, children }: ListingProps<T>) {
  const { t } = useLocale();
  const first = useLoad((signal) => read(undefined, signal), []);
  const [more, setMore] = useState<readonly T[]>([]);
  const [after, setAfter] = useState<string | null>();
  const [error, setError] = useState<unknown>();
  return (
    <Show of={first} lines={4}>
      {(page) => {
        const next = after === undefined ? page.next : (after ?? undefined);
        const items = [...page.items, ...more];
        if (items.length === 0) return <Empty>{empty}</Empty>;
        const load = () => read(next).then((p) => (setMore([...more, ...p.items]), setAfter(p.next ?? null)), setError);
        return (
          <>
            <ul class="list">{items.map(children)}</ul>
            {error !== undefined && <Failure error={error} />}
            {next && <div class="pager"><Button onClick={load}>{t(W.more)}</Button></div>}
          </>
        );
      }}
    </Show>
  );
}

/** Saves a report as a file: read with the user's token, never by an address. */
function Download({ report, organization }: { report: 'duplicates' | 'overlays'; organization: string }) {
  const { api } = useApp();
  const { t } = useLocale();
  const [error, setError] = useState<unknown>();
  const save = () => {
    setError(undefined);
    identity.csv(api, report, organization).then((text) => {
      const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/csv' }));
      const a = document.createElement('a');
      a.href = url;
      a.download = `${report}-${organization}.csv`;
      a.click();
      URL.revokeObjectURL(url);
    }, setError);
  };
  return (
    <>
      <Button label={t(S.downloadOf, { name: t(S[report]) })} onClick={save}>{t(S.download)}</Button>
      {error !== undefined && <Failure error={error} />}
    </>
  );
}
