import { render } from 'preact';
import '../shared/style/index.css';
import '../record/record.css';
import './resident.css';
import { Frame } from '../shared/frame.tsx';
import { ResidentApp } from './app.tsx';
import { T } from './words.ts';

render(
  <Frame clientId="resident-app" path="/resident/" scope="patient/*.rs patient/Consent.cruds launch/patient online_access" title={T.title} lead={T.lead} purpose={() => 'PATRQT'}>
    {(signOut) => <ResidentApp signOut={signOut} />}
  </Frame>,
  document.getElementById('app')!,
);
