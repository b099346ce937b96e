// The parts that every view is made of. Each is usable by keyboard and says
// its state in words, not by colour alone.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { explain } from './errors.ts';
import { count } from './format.ts';
import type { Pages } from './hooks.ts';
import { useLocale, type Word } from './locale.ts';
import { W } from './words.ts';

interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: 'primary' | 'plain' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  disabled?: boolean;
  busy?: boolean;
  label?: string;
  pressed?: boolean;
  id?: string;
}

export function Button({ children, onClick, kind = 'plain', type = 'button', disabled, busy, label, pressed, id }: ButtonProps) {
  return (
    <button id={id} type={type} class={`button ${kind}`} onClick={onClick} disabled={disabled || busy} aria-busy={busy || undefined} aria-label={label} aria-pressed={pressed}>
      {children}
    </button>
  );
}

interface CardProps {
  title?: ComponentChildren;
  aside?: ComponentChildren;
  children: ComponentChildren;
  level?: 2 | 3;
  tone?: 'alert' | undefined;
}

export function Card({ title, aside, children, level = 2, tone }: CardProps) {
  const id = useId();
  const Heading = level === 2 ? 'h2' : 'h3';
  return (
    <section class={tone ? `card ${tone}` : 'card'} aria-labelledby={title ? id : undefined}>
      {title && (
        <header class="card-head">
          <Heading id={id}>{title}</Heading>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

export function Badge({ children, tone = 'plain' }: { children: ComponentChildren; tone?: 'plain' | 'good' | 'warn' | 'bad' | 'info' }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Loading({ lines = 3 }: { lines?: number }) {
  const { t } = useLocale();
  return (
    <div class="loading" role="status">
      <span class="unseen">{t(W.loading)}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} class="bone" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return (
    <div class="empty">
      <svg viewBox="0 0 48 48" aria-hidden="true" width="40" height="40">
        <path d="M8 40V20L24 8l16 12v20M20 40V28h8v12" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" />
      </svg>
      <p>{children}</p>
    </div>
  );
}

/** A failure in the user's language, with the server's own words below it. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: (() => void) | undefined }) {
  const { t } = useLocale();
  const { message, details, retry } = explain(error);
  return (
    <div class="failure" role="alert">
      <p>{t(message)}</p>
      {details.length > 0 && (
        <details open={!retry}>
          <summary>{t(W.errReference)}</summary>
          <ul>
            {details.map((d) => (
              <li key={d}>{d}</li>
            ))}
          </ul>
        </details>
      )}
      {onRetry && retry && <Button onClick={onRetry}>{t(W.retry)}</Button>}
    </div>
  );
}

/** Shows what was loaded, or that it is loading, or why it failed. */
export function Show<T>({ of, children, lines }: { of: { state: string; data?: T | undefined; error?: unknown; reload: () => void }; children: (data: T) => ComponentChildren; lines?: number }) {
  if (of.state === 'loading') return <Loading lines={lines ?? 3} />;
  if (of.state === 'failed') return <Failure error={of.error} onRetry={of.reload} />;
  return <>{children(of.data as T)}</>;
}

/** The total of a paged list; how many it has more than, where the server left it out. */
export function Total({ pages }: { pages: Pages<unknown> }) {
  const { t, lang } = useLocale();
  if (pages.total !== undefined) return <>{t(W.total, { n: count(lang, pages.total) })}</>;
  return pages.hasMore ? <>{t(W.over, { n: count(lang, pages.items.length) })}</> : null;
}

/** How many of a paged list are shown, and the button for the next page. */
export function Pager({ pages }: { pages: Pages<unknown> }) {
  const { t } = useLocale();
  return (
    <div class="pager">
      {pages.state === 'failed' && <Failure error={pages.error} onRetry={pages.items.length ? pages.more : pages.reload} />}
      {pages.state === 'loading' && <Loading lines={pages.items.length ? 1 : 4} />}
      <p role="status" class="quiet-text">
        {pages.items.length > 0 &&
          (pages.total === undefined ? t(W.shownOf, { n: pages.items.length }) : t(W.shown, { n: pages.items.length, total: pages.total }))}
      </p>
      {pages.hasMore && pages.state === 'ready' && <Button onClick={pages.more}>{t(W.more)}</Button>}
    </div>
  );
}

interface SwitchProps {
  label: string;
  hint?: string | undefined;
  on: boolean;
  /** The state in words beside the control. */
  words: readonly [off: Word, on: Word];
  disabled?: boolean;
  onChange: () => void;
}

export function Switch({ label, hint, on, words, disabled, onChange }: SwitchProps) {
  const { t } = useLocale();
  const id = useId();
  return (
    <div class="switch-row">
      <div class="switch-text">
        <span id={`${id}l`} class="switch-label">{label}</span>
        {hint && <span id={`${id}h`} class="quiet-text">{hint}</span>}
      </div>
      <span class="switch-state" aria-hidden="true">{t(words[on ? 1 : 0])}</span>
      <button type="button" role="switch" class="switch" aria-checked={on} aria-labelledby={`${id}l`} aria-describedby={hint ? `${id}h` : undefined} disabled={disabled} onClick={onChange}>
        <span class="switch-knob" />
      </button>
    </div>
  );
}

interface DialogProps {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
}

/** A modal dialog: the browser keeps the focus inside and gives it back; Escape closes. */
export function Dialog({ title, children, onClose }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={ref} class="dialog" aria-labelledby={id} onCancel={(e) => (e.preventDefault(), onClose())}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface FieldProps {
  label: string;
  hint?: string | undefined;
  required?: boolean;
  children: (id: string, describedBy: string | undefined) => ComponentChildren;
}

export function Field({ label, hint, required, children }: FieldProps) {
  const { t } = useLocale();
  const id = useId();
  return (
    <div class="field">
      <label for={id}>
        {label}
        {required && <span class="required"> {t(W.required)}</span>}
      </label>
      {children(id, hint ? `${id}h` : undefined)}
      {hint && <p id={`${id}h`} class="quiet-text">{hint}</p>}
    </div>
  );
}

interface TextFieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: string | undefined;
  required?: boolean;
  type?: 'text' | 'search' | 'date' | 'datetime-local' | 'number';
  rows?: number;
  maxLength?: number;
  autoFocus?: boolean;
}

export function TextField({ label, value, onInput, hint, required = false, type = 'text', rows, maxLength, autoFocus }: TextFieldProps) {
  return (
    <Field label={label} hint={hint} required={required}>
      {(id, describedBy) =>
        rows ? (
          <textarea id={id} rows={rows} value={value} required={required} maxLength={maxLength} aria-describedby={describedBy} autoFocus={autoFocus} onInput={(e) => onInput(e.currentTarget.value)} />
        ) : (
          <input id={id} type={type as 'text'} value={value} required={required} maxLength={maxLength} aria-describedby={describedBy} autoComplete="off" autoFocus={autoFocus} onInput={(e) => onInput(e.currentTarget.value)} />
        )
      }
    </Field>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: readonly { value: string; text: string }[];
  onChange: (value: string) => void;
  required?: boolean;
  hint?: string | undefined;
}

export function Select({ label, value, options, onChange, required = false, hint }: SelectProps) {
  return (
    <Field label={label} required={required} hint={hint}>
      {(id, describedBy) => (
        <select id={id} value={value} required={required} aria-describedby={describedBy} onChange={(e) => onChange(e.currentTarget.value)}>
          {options.map((o) => (
            <option key={o.value} value={o.value}>
              {o.text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
