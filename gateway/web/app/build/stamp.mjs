// Writes dist/manifest.json: the SHA-256 of everything that the build is made
// from. The Go test TestBuildIsCurrent computes the same sum from the sources
// and so finds a page that was changed but not built.
//
// The sum is over the sorted list of "<sha256 of the file>  <path>\n".
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const outside = ['../../../profiles/ig/CodeSystem-hr-item.json']; // read by build/catalogue.ts
const skipped = new Set(['node_modules', '.gitignore']);

function* files(dir) {
  for (const name of readdirSync(dir)) {
    if (skipped.has(name)) continue;
    const path = join(dir, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield relative(root, path).split(sep).join('/');
  }
}

const sum = (data) => createHash('sha256').update(data).digest('hex');
const list = [...files(root), ...outside].sort().map((path) => `${sum(readFileSync(join(root, path)))}  ${path}\n`);
writeFileSync(join(root, '../dist/manifest.json'), JSON.stringify({ sources: sum(list.join('')) }) + '\n');
