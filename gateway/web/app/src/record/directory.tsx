// Names of institutions and practitioners, read once for a page. Where the
// directory may not be read, a resource's own display or the id stands in.
import type { Organization, Practitioner, Reference } from 'fhir/r4';
import { createContext, type ComponentChildren } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { readAll, useApp } from '../shared/hooks.ts';
import { custodian, idOf, referenceKey } from '../shared/fhir.ts';
import { humanName } from '../shared/format.ts';
import { useLocale, type Lang } from '../shared/locale.ts';
import type { Meta } from 'fhir/r4';

interface Entries {
  organizations: ReadonlyMap<string, Organization>;
  practitioners: ReadonlyMap<string, Practitioner>;
}

const none: Entries = { organizations: new Map(), practitioners: new Map() };
const DirectoryContext = createContext<Entries>(none);

export function DirectoryProvider({ children }: { children: ComponentChildren }) {
  const { api } = useApp();
  const [entries, setEntries] = useState<Entries>(none);
  useEffect(() => {
    const abort = new AbortController();
    const list = async <T extends Organization | Practitioner>(type: string): Promise<ReadonlyMap<string, T>> => {
      try {
        const { items } = await readAll<T>(api, `/fhir/${type}?_count=200`, 1000, abort.signal);
        return new Map(items.map((o) => [o.id ?? '', o]));
      } catch {
        return new Map(); // the names are an aid: views fall back to what the resources say
      }
    };
    void Promise.all([list<Organization>('Organization'), list<Practitioner>('Practitioner')]).then(
      ([organizations, practitioners]) => abort.signal.aborted || setEntries({ organizations, practitioners }),
    );
    return () => abort.abort();
  }, [api]);
  return <DirectoryContext.Provider value={entries}>{children}</DirectoryContext.Provider>;
}

export interface Directory {
  organizations: readonly Organization[];
  /** Institutions that treat people: neither departments nor authorities. */
  providers: readonly Organization[];
  practitioners: readonly Practitioner[];
  /** Name of an Organization by id. */
  org(id: string | undefined): string;
  /** Name of whoever or whatever a reference means. */
  name(reference: Reference | undefined): string;
  /** The hospital whose record this is. */
  origin(resource: { meta?: Meta | undefined; serviceProvider?: Reference }): string;
}

export function useDirectory(): Directory {
  const { lang } = useLocale();
  const entries = useContext(DirectoryContext);
  const org = (id: string | undefined): string => {
    const found = id ? entries.organizations.get(id) : undefined;
    return found ? organizationName(lang, found) : (id ?? '');
  };
  const name = (reference: Reference | undefined): string => {
    if (!reference) return '';
    const [type, id] = referenceKey(reference).split('/');
    if (type === 'Organization' && id && entries.organizations.has(id)) return org(id);
    const person = type === 'Practitioner' && id ? entries.practitioners.get(id) : undefined;
    return (person && humanName(lang, person.name)) || reference.display || (type === 'Organization' ? (id ?? '') : '');
  };
  return {
    organizations: [...entries.organizations.values()],
    providers: [...entries.organizations.values()].filter(isProvider),
    practitioners: [...entries.practitioners.values()],
    org,
    name,
    origin: (resource) => org(custodian(resource.meta)) || org(idOf(resource.serviceProvider)),
  };
}

/** An institution without a type is taken for one that treats. */
function isProvider(o: Organization): boolean {
  const types = (o.type ?? []).flatMap((x) => x.coding ?? []).map((c) => c.code);
  return types.length === 0 || types.includes('prov');
}

export function organizationName(lang: Lang, o: Organization): string {
  const latin = o.alias?.find((a) => /^[\x20-\x7e]+$/.test(a));
  return (lang === 'en' ? latin : undefined) ?? o.name ?? o.id ?? '';
}
