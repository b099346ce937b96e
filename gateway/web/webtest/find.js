// Finds controls as a user of assistive technology does: by role and name.
const find = {
  visible(e) {
    const box = e.getBoundingClientRect();
    const style = getComputedStyle(e);
    return box.width > 1 && box.height > 1 && style.visibility !== 'hidden' && !e.closest('[inert]') && find.inDialog(e);
  },

  // While a modal dialog is open, nothing outside can be used.
  inDialog(e) {
    const modal = document.querySelector('dialog:modal');
    return !modal || modal.contains(e);
  },

  name(e) {
    const by = (e.getAttribute('aria-labelledby') ?? '').split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
    const labels = e.labels ? [...e.labels].map((l) => l.textContent).join(' ') : '';
    return (by || e.getAttribute('aria-label') || labels || e.innerText || e.textContent || e.getAttribute('title') || '').replace(/\s+/g, ' ').trim();
  },

  best(elements, wanted) {
    const all = [...elements].filter(find.visible).map((e) => [e, find.name(e)]);
    const by = (test) => all.find(([, n]) => test(n))?.[0];
    return by((n) => n === wanted) ?? by((n) => n.startsWith(wanted)) ?? by((n) => n.includes(wanted)) ?? null;
  },

  control(wanted) {
    const e = find.best(document.querySelectorAll('button, a[href], summary, [role=switch], [role=tab], [role=button], input[type=checkbox], input[type=radio], input[type=submit]'), wanted);
    return e && !e.disabled ? e : null;
  },

  field(label) {
    return find.best(document.querySelectorAll('input, textarea, select'), label);
  },

  select(label, option) {
    const e = find.best(document.querySelectorAll('select'), label);
    const o = e && [...e.options].find((x) => x.text.includes(option));
    if (!o) return false;
    e.value = o.value;
    e.dispatchEvent(new Event('input', { bubbles: true }));
    e.dispatchEvent(new Event('change', { bubbles: true }));
    return true;
  },

  css(selector) {
    return [...document.querySelectorAll(selector)].find(find.visible) ?? null;
  },

  // The middle of an element that stands still and that nothing covers; null
  // while the page still moves.
  async middle(e) {
    e.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const at = () => {
      const box = e.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const before = at();
    await new Promise((done) => setTimeout(done, 40));
    const after = at();
    const hit = document.elementFromPoint(...after);
    const still = before[0] === after[0] && before[1] === after[1];
    return still && e.isConnected && (e.contains(hit) || hit?.contains(e)) ? after : null;
  },
};
