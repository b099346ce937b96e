// Faults of the page as it stands, each as a sentence. The rules are those of
// WCAG 2.2 AA that a program can decide.
function check() {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length > 0;
  const describe = (e) => `<${e.tagName.toLowerCase()}${e.id ? ' id=' + e.id : ''}${e.className && typeof e.className === 'string' ? ' class="' + e.className + '"' : ''}> ${(e.textContent ?? '').trim().slice(0, 40)}`;
  const say = (rule, e) => faults.push(`${rule}: ${describe(e)}`);

  if (!/^(zh-CN|en)/.test(document.documentElement.lang)) faults.push(`the page's language is "${document.documentElement.lang}"`);
  if (!document.title.trim()) faults.push('the page has no title');
  if (all('main').filter(shown).length !== 1) faults.push('the page needs one main landmark');
  if (all('h1').filter(shown).length !== 1) faults.push('the page needs one h1');

  let level = 0;
  for (const h of all('h1, h2, h3, h4, h5, h6').filter((e) => e.checkVisibility())) {
    const next = Number(h.tagName[1]);
    if (next > level + 1) say(`heading level ${level} is followed by ${next}`, h);
    level = next;
  }

  for (const e of all('input:not([type=hidden]), select, textarea').filter(shown)) if (!nameOf(e)) say('a field without a label', e);
  for (const e of all('button, a[href], summary, [role=switch], [role=button], [role=tab]').filter(shown)) {
    if (!nameOf(e)) say('a control without a name', e);
    const box = e.getBoundingClientRect();
    const inline = e.tagName === 'A' && getComputedStyle(e).display === 'inline';
    if (!inline && !e.classList.contains('skip') && (box.width < 24 || box.height < 24)) say(`a target of ${Math.round(box.width)} by ${Math.round(box.height)} px`, e);
  }
  for (const e of all('img')) if (!e.hasAttribute('alt')) say('an image without alt', e);
  for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true' && e.getAttribute('role') !== 'img') say('a picture neither hidden nor named', e);
  for (const e of all('[tabindex]')) if (e.tabIndex > 0) say('a positive tabindex', e);
  for (const e of all('nav, section[aria-labelledby], dialog')) if (!nameOf(e)) say('a landmark without a name', e);
  for (const e of all('table')) if (shown(e) && !e.querySelector('th[scope]')) say('a table without header cells', e);
  for (const e of all('[aria-hidden=true]')) if (e.querySelector('a[href], button, input, select, textarea, [tabindex="0"]')) say('a control inside aria-hidden', e);

  const ids = new Set();
  for (const e of all('[id]')) {
    if (ids.has(e.id)) say('a repeated id', e);
    ids.add(e.id);
  }
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
    for (const e of all(`[${attribute}]`)) {
      for (const id of e.getAttribute(attribute).split(/\s+/)) if (id && !ids.has(id)) say(`${attribute} names no element`, e);
    }
  }

  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 1) faults.push(`the page is ${wide} px wider than the screen`);
  return [...faults, ...contrastFaults(shown, describe)];
}

function nameOf(e) {
  const by = (e.getAttribute('aria-labelledby') ?? '').split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
  const labels = e.labels ? [...e.labels].map((l) => l.textContent).join(' ') : '';
  return (by || e.getAttribute('aria-label') || labels || e.textContent || e.getAttribute('title') || e.querySelector('img')?.alt || '').replace(/\s+/g, ' ').trim();
}

// --- contrast ---------------------------------------------------------------

function contrastFaults(shown, describe) {
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e || !shown(e) || e.closest('.unseen, noscript, :disabled, option')) continue;
    const modal = document.querySelector('dialog:modal');
    if (modal && !modal.contains(e)) continue;
    const style = getComputedStyle(e);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const back = background(e);
    const ratio = contrast(over(rgba(style.color), back), back);
    if (ratio < (large ? 3 : 4.5)) faults.add(`contrast ${ratio.toFixed(2)}: ${describe(e)}`);
  }
  return [...faults];
}

function rgba(text) {
  const n = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [n[0] ?? 0, n[1] ?? 0, n[2] ?? 0, n[3] ?? 1];
}

const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];

function background(e) {
  const layers = [];
  for (let at = e; at; at = at.parentElement) {
    const c = rgba(getComputedStyle(at).backgroundColor);
    if (c[3] > 0) layers.push(c);
    if (c[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
}

function luminance([r, g, b]) {
  const f = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
}

function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}

// --- focus ------------------------------------------------------------------

function focused() {
  const e = document.activeElement;
  if (!e || e === document.body || e === document.documentElement) return { name: '', tag: '', order: -1, visible: false, ring: false };
  const box = e.getBoundingClientRect();
  const style = getComputedStyle(e);
  return {
    name: nameOf(e),
    tag: e.tagName.toLowerCase(),
    order: [...document.querySelectorAll('*')].indexOf(e),
    visible: box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight,
    ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
  };
}
