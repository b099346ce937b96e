// Who looked: every access to the record, newest first.
import type { AuditEvent } from 'fhir/r4';
import { queryString } from '../shared/api.ts';
import { count, moment } from '../shared/format.ts';
import { useApp, usePages } from '../shared/hooks.ts';
import { useLocale } from '../shared/locale.ts';
import { Badge, Card, Empty, Pager } from '../shared/ui.tsx';
import { W } from '../shared/words.ts';
import { readAudit, type Access } from '../record/audit.ts';
import { useDirectory } from '../record/directory.tsx';
import { T } from './words.ts';

export function AccessLog({ patient }: { patient: string }) {
  const { t, lang } = useLocale();
  const pages = usePages<AuditEvent>(`/fhir/AuditEvent${queryString({ patient, _sort: '-date', _count: 20 })}`);
  return (
    <Card
      title={t(T.accessTitle)}
      aside={pages.total !== undefined && <span class="quiet-text">{t(W.total, { n: count(lang, pages.total) })}</span>}
    >
      <p class="quiet-text">{t(T.accessLead)}</p>
      {pages.state === 'ready' && pages.items.length === 0 && <Empty>{t(T.noAccess)}</Empty>}
      <ol class="list access">
        {pages.items.map((event) => (
          <li key={event.id}>
            <AccessLine event={event} />
          </li>
        ))}
      </ol>
      <Pager pages={pages} />
    </Card>
  );
}

function AccessLine({ event }: { event: AuditEvent }) {
  const { t, lang } = useLocale();
  const { me } = useApp();
  const directory = useDirectory();
  const access = readAudit(event, directory, t, lang);
  const own = event.agent.some((a) => a.requestor && a.altId === me.subject) || access.who === me.subject;
  return (
    <article class={access.breakGlass ? 'access-line glass' : 'access-line'}>
      <div class="row spread">
        <span class="strong">{own ? t(T.self) : access.who || t(W.unknown)}</span>
        <span class="row">
          {access.failed && <Badge>{t(T.denied)}</Badge>}
          {access.breakGlass ? <Badge tone="bad">{t(T.emergency)}</Badge> : <Badge tone={own ? 'plain' : 'info'}>{access.purpose || t(W.unknown)}</Badge>}
        </span>
      </div>
      <p class="quiet-text">
        {[!own && access.organization, moment(lang, access.at)].filter(Boolean).join(' · ')}
      </p>
      <p>{[access.action, access.what].filter(Boolean).join(lang === 'zh' ? '：' : ': ')}</p>
      {access.breakGlass && <Glass access={access} />}
    </article>
  );
}

function Glass({ access }: { access: Access }) {
  const { t, lang } = useLocale();
  return (
    <div class="glass-reason">
      <p>{t(T.emergencyLead)}</p>
      <p>
        <span class="strong">{t(T.reason)}</span>
        {lang === 'zh' ? '：' : ': '}
        {access.reason || t(T.noReason)}
      </p>
    </div>
  );
}
