// Who looked: every access to the record, newest first.
import type { AuditEvent } from 'fhir/r4';
import { useState } from 'preact/hooks';
import { queryString } from '../shared/api.ts';
import { moment } from '../shared/format.ts';
import { useApp, useLoad, usePages } from '../shared/hooks.ts';
import { useLocale } from '../shared/locale.ts';
import { Badge, Button, Card, Empty, Pager, Total } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { exchangeItself, isGlass, readAudit } from '../record/audit.ts';
import { useDirectory } from '../record/directory.tsx';
import { readGlasses, reasonFor, type Glass } from './glass.ts';
import { T } from './words.ts';

export function AccessLog({ patient }: { patient: string }) {
  const { api, me } = useApp();
  const { t } = useLocale();
  const [others, setOthers] = useState(true);
  const pages = usePages<AuditEvent>(`/fhir/AuditEvent${queryString({ patient, 'altid:not': others ? [me.subject, exchangeItself] : undefined, _sort: '-date', _total: 'accurate', _count: 20 })}`);
  const glasses = useLoad((signal) => readGlasses(api, patient, signal), [patient]);
  return (
    <Card
      title={t(T.accessTitle)}
      aside={<Button pressed={others} onClick={() => setOthers(!others)}>{t(T.others)}</Button>}
    >
      <p class="quiet-text">
        {t(T.accessLead)} <Total pages={pages} />
      </p>
      {pages.state === 'ready' && pages.items.length === 0 && <Empty>{t(T.noAccess)}</Empty>}
      {pages.items.some(isGlass) && <p class="note warn">{t(T.emergencyLead)}</p>}
      <ol class="list access">
        {pages.items.map((event) => (
          <li key={event.id}>
            <AccessLine event={event} glasses={glasses.data ?? []} />
          </li>
        ))}
      </ol>
      <Pager pages={pages} />
    </Card>
  );
}

function AccessLine({ event, glasses }: { event: AuditEvent; glasses: readonly Glass[] }) {
  const { t, lang } = useLocale();
  const { me } = useApp();
  const directory = useDirectory();
  const access = readAudit(event, directory, t, lang);
  const own = event.agent.some((a) => a.requestor && a.altId === me.subject);
  return (
    <article class={access.breakGlass ? 'access-line glass' : 'access-line'}>
      <div class="row spread">
        <span class="strong">{own ? t(T.self) : access.who || t(W.unknown)}</span>
        <span class="row">
          {access.failed && <Badge>{t(T.denied)}</Badge>}
          {access.breakGlass ? <Badge tone="bad">{t(T.emergency)}</Badge> : access.purpose && <Badge tone={own ? 'plain' : 'info'}>{access.purpose}</Badge>}
        </span>
      </div>
      <p class="quiet-text">
        {[!own && access.organization, moment(lang, access.at)].filter(Boolean).join(' · ')}
      </p>
      <p>{[access.action, access.what].filter(Boolean).join(lang === 'zh' ? '：' : ': ')}</p>
      {access.breakGlass && <GlassReason reason={reasonFor(event, glasses) ?? access.reason} />}
    </article>
  );
}

function GlassReason({ reason }: { reason: string }) {
  const { t, lang } = useLocale();
  return (
    <p class="glass-reason">
      <span class="strong">{t(T.reason)}</span>
      {lang === 'zh' ? '：' : ': '}
      {reason || t(T.noReason)}
    </p>
  );
}
