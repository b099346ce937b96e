// The user's consultations, the newest first, and one of them open.
import { useState } from 'preact/hooks';
import { moment } from '../../shared/format.ts';
import { useApp, useLoad } from '../../shared/hooks.ts';
import { useLocale } from '../../shared/locale.ts';
import { Badge, Button, Card, Empty, Show } from '../../shared/ui.tsx';
import { W } from '../../shared/words.ts';
import { useDirectory } from '../../record/directory.tsx';
import { consultations, type Consultation } from './api.ts';
import { OpenConsultation } from './open.tsx';
import { K, priorityWords } from './words.ts';

export function Consultations() {
  const { api } = useApp();
  const { t } = useLocale();
  const [open, setOpen] = useState<string>();
  const all = useLoad((signal) => consultations.list(api, signal), []);
  if (open) {
    return (
      <div class="stack">
        <div class="row">
          <Button kind="quiet" onClick={() => (setOpen(undefined), all.reload())}>
            <span aria-hidden="true">←</span> {t(W.back)}
          </Button>
        </div>
        <OpenConsultation id={open} />
      </div>
    );
  }
  return (
    <Card title={t(K.mine)}>
      <Show of={all} lines={5}>
        {(list) => (
          <>
            {list.length === 0 && <Empty>{t(K.none)}</Empty>}
            <ul class="list">
              {list.map((c) => (
                <li key={c.id} class="row spread">
                  <Line consultation={c} />
                  <Button label={t(K.showOf, { question: c.question })} onClick={() => setOpen(c.id)}>{t(K.show)}</Button>
                </li>
              ))}
            </ul>
          </>
        )}
      </Show>
    </Card>
  );
}

const ended = new Set(['archived', 'rejected', 'cancelled', 'expired']);

function Line({ consultation: c }: { consultation: Consultation }) {
  const { t, lang } = useLocale();
  const directory = useDirectory();
  return (
    <div>
      <p class="row">
        <Badge tone={ended.has(c.state) ? 'plain' : 'info'}>{c.stateText[lang === 'zh' ? 0 : 1]}</Badge>
        {c.priority !== 'routine' && <Badge tone="warn">{t(priorityWords[c.priority] ?? W.unknown)}</Badge>}
        {c.overdue && <Badge tone="bad">{t(K.overdue)}</Badge>}
        <span class="strong">{t(K.invitation, { from: directory.org(c.invitingOrg), to: directory.org(c.invitedOrg) })}</span>
      </p>
      <p>{c.question}</p>
      <p class="quiet-text">{moment(lang, c.modified)}</p>
    </div>
  );
}
