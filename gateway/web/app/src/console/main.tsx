import { render } from 'preact';
import '../shared/style/index.css';
import '../record/record.css';
import './console.css';
import type { Me } from '../shared/api.ts';
import { Frame } from '../shared/frame.tsx';
import { ConsoleApp } from './app.tsx';
import { C } from './words.ts';

/** Those who treat ask in order to treat, coordinators to arrange care; everybody else runs the exchange. */
function purpose({ roles }: Me): string {
  if (roles.includes('clinician')) return 'TREAT';
  if (roles.includes('emergency')) return 'ETREAT';
  return roles.includes('coordinator') ? 'CAREMGT' : 'HOPERAT';
}

render(
  <Frame clientId="console-app" path="/console/" scope="user/*.rs online_access" title={C.title} lead={C.lead} purpose={purpose}>
    {(signOut) => <ConsoleApp signOut={signOut} />}
  </Frame>,
  document.getElementById('app')!,
);
