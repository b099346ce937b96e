// Asking the API from a component: one request, or a list page by page.
import type { Bundle, FhirResource } from 'fhir/r4';
import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import { linkOf, matches, type Api, type Me } from './api.ts';

export interface AppContext {
  api: Api;
  me: Me;
}

export const AppContext = createContext<AppContext | undefined>(undefined);

export function useApp(): AppContext {
  const app = useContext(AppContext);
  if (!app) throw new Error('no AppContext above');
  return app;
}

export type Loaded<T> =
  | { state: 'loading'; data?: undefined; error?: undefined }
  | { state: 'failed'; data?: undefined; error: unknown }
  | { state: 'ready'; data: T; error?: undefined };

/** Runs load whenever inputs change; an older answer never overwrites a newer one. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Loaded<T> & { reload: () => void } {
  const [result, setResult] = useState<Loaded<T>>({ state: 'loading' });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setResult({ state: 'loading' });
    load(abort.signal).then(
      (data) => !abort.signal.aborted && setResult({ state: 'ready', data }),
      (error: unknown) => !abort.signal.aborted && setResult({ state: 'failed', error }),
    );
    return () => abort.abort();
  }, [...inputs, round]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  return { ...result, reload };
}

export interface Pages<T> {
  items: readonly T[];
  /** Exact number of matches at the snapshot of the first page; undefined until it is known. */
  total: number | undefined;
  state: 'loading' | 'ready' | 'failed';
  error: unknown;
  hasMore: boolean;
  more: () => void;
  reload: () => void;
}

interface PageState<T> {
  items: readonly T[];
  total: number | undefined;
  next: string | undefined;
  state: 'loading' | 'ready' | 'failed';
  error: unknown;
}

const nothing: PageState<never> = { items: [], total: undefined, next: undefined, state: 'loading', error: undefined };

/**
 * A search read page by page along its next links. first is the path of the
 * first page, undefined to ask nothing yet.
 */
export function usePages<T extends FhirResource>(first: string | undefined, purpose?: string): Pages<T> {
  const { api } = useApp();
  const [page, setPage] = useState<PageState<T>>(nothing);
  const [round, setRound] = useState(0);
  const running = useRef<AbortController | undefined>(undefined);

  const read = useCallback(
    (url: string, before: readonly T[]) => {
      running.current?.abort();
      const abort = (running.current = new AbortController());
      setPage((p) => ({ ...p, items: before, state: 'loading', error: undefined }));
      api.get<Bundle<T>>(url, { signal: abort.signal, purpose }).then(
        (bundle) => {
          if (abort.signal.aborted) return;
          const items = [...before, ...matches(bundle)];
          const next = linkOf(bundle, 'next');
          setPage((p) => ({ items, total: bundle.total ?? p.total ?? (next ? undefined : items.length), next, state: 'ready', error: undefined }));
        },
        (error: unknown) => {
          if (!abort.signal.aborted) setPage((p) => ({ ...p, state: 'failed', error }));
        },
      );
    },
    [api, purpose],
  );

  useEffect(() => {
    setPage(nothing);
    if (first) read(first, []);
    return () => running.current?.abort();
  }, [first, round, read]);

  return {
    items: page.items,
    total: page.total,
    state: page.state,
    error: page.error,
    hasMore: page.next !== undefined,
    more: () => page.next && page.state !== 'loading' && read(page.next, page.items),
    reload: () => setRound((n) => n + 1),
  };
}

/** Reads a whole search, at most limit resources; whole is false when more were left. */
export async function readAll<T extends FhirResource>(api: Api, first: string, limit: number, signal?: AbortSignal): Promise<{ items: T[]; total: number; whole: boolean }> {
  const items: T[] = [];
  let next: string | undefined = first;
  let total = 0;
  while (next && items.length < limit) {
    const bundle: Bundle<T> = await api.get<Bundle<T>>(next, { signal });
    items.push(...matches(bundle));
    total = bundle.total ?? Math.max(total, items.length);
    next = linkOf(bundle, 'next');
  }
  return { items, total, whole: next === undefined };
}

/** The view named after the # of the address: a name of ours, never data of a person. */
export function useRoute<R extends string>(routes: readonly R[]): [R, (to: R) => void] {
  const read = (): R => routes.find((r) => r === location.hash.slice(2)) ?? routes[0]!;
  const [route, setRoute] = useState<R>(read);
  useEffect(() => {
    const follow = () => setRoute(read());
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [routes.join()]);
  return [route, (to) => (location.hash = `#/${to}`)];
}
