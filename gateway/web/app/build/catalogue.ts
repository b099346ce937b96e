// A Vite plugin that makes `virtual:catalogue` of the hr-item CodeSystem, so
// that pages and server order from the same list.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const file = fileURLToPath(new URL('../../../../profiles/ig/CodeSystem-hr-item.json', import.meta.url));
const id = 'virtual:catalogue';

interface Concept {
  code: string;
  display: string;
  designation?: { language?: string; value: string }[];
  property?: { code: string; valueCode?: string; valueString?: string }[];
}

function row(c: Concept): string[] {
  const property = (name: string): string => {
    const p = c.property?.find((x) => x.code === name);
    return p?.valueCode ?? p?.valueString ?? '';
  };
  const english = c.designation?.find((d) => d.language === 'en')?.value ?? c.display;
  return [c.code, property('loinc'), c.display, english, property('category')];
}

export function catalogue(): Plugin {
  return {
    name: 'catalogue',
    resolveId: (source) => (source === id ? '\0' + id : undefined),
    load(source) {
      if (source !== '\0' + id) return undefined;
      this.addWatchFile(file);
      const codes = JSON.parse(readFileSync(file, 'utf8')) as { url: string; concept: Concept[] };
      return `export const system = ${JSON.stringify(codes.url)};\nexport const rows = ${JSON.stringify(codes.concept.map(row))};\n`;
    },
  };
}
