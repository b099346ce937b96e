import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { catalogue } from './build/catalogue.ts';

// Two pages, built one after the other (vite build --mode resident|console):
// each is self-contained below its own path, so the server routes two folders
// and the Content-Security-Policy needs no exception.
export default defineConfig(({ mode }) => {
  const app = mode === 'resident' ? 'resident' : 'console';
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  return {
    root: here(`./${app}`),
    base: `/${app}/`,
    publicDir: false,
    plugins: [catalogue()],
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: here(`../dist/${app}`),
      emptyOutDir: true,
      target: 'es2022',
      assetsInlineLimit: 0, // a data: URL would need an exception in the policy
      modulePreload: { polyfill: false },
      sourcemap: false,
      reportCompressedSize: false,
    },
    server: {
      proxy: Object.fromEntries(
        ['/fhir', '/api', '/oauth2', '/cds-services'].map((p) => [p, process.env['HUTONG_URL'] ?? 'http://127.0.0.1:8080']),
      ),
    },
  };
});
