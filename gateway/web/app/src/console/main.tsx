import { render } from 'preact';

render(<main id="main" />, document.getElementById('app')!);
