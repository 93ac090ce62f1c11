'use strict';
// Hides the rules that are not asked for. The page is whole without it.
(() => {
  const form = document.getElementById('filter');
  const query = document.getElementById('q');
  const risky = document.getElementById('risky');
  const found = document.getElementById('found');
  const layers = [...form.querySelectorAll('input[name=layer]')];
  const tables = [...document.querySelectorAll('table.filtered')];
  const total = tables.reduce((sum, table) => sum + table.tBodies[0].rows.length, 0);
  // Read once, when it is first needed.
  let index = null;
  const read = () => tables.map((table) => ({
    table,
    group: table.closest('details.group'),
    open: null,
    rows: [...table.tBodies[0].rows].map((row) => ({
      row,
      text: row.textContent.toLowerCase(),
      layers: row.dataset.layers ? row.dataset.layers.split(' ') : null,
      risk: row.classList.contains('risk'),
    })),
  }));
  const apply = () => {
    index ??= read();
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(layers.filter((box) => box.checked).map((box) => box.value));
    const all = wanted.size === layers.length;
    let shown = 0;
    for (const part of index) {
      let here = 0;
      for (const { row, text, layers, risk } of part.rows) {
        const fits = words.every((word) => text.includes(word))
          // What is not in layers was observed.
          && (all || (layers ? layers.some((layer) => wanted.has(layer)) : wanted.has('observed')))
          && (!risky.checked || risk);
        if (row.hidden === fits) row.hidden = !fits;
        here += fits;
      }
      shown += here;
      part.here = here;
      (part.group ?? part.table).hidden = here === 0;
    }
    const narrowed = words.length > 0 || !all || risky.checked;
    for (const { group, here } of index) {
      if (!group) continue;
      group.dataset.was ??= String(group.open);
      group.open = narrowed ? here > 0 && shown <= 400 : group.dataset.was === 'true';
      if (!narrowed) delete group.dataset.was;
    }
    found.textContent = narrowed
      ? `${shown.toLocaleString('en')} of ${total.toLocaleString('en')} rules`
      : `${total.toLocaleString('en')} rules`;
  };
  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  };
  form.hidden = false;
  form.addEventListener('input', soon);
  found.textContent = `${total.toLocaleString('en')} rules`;
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !event.ctrlKey && !event.metaKey && !event.altKey
        && !event.target.matches('input, textarea')) {
      event.preventDefault();
      query.focus();
      query.select();
    } else if (event.key === 'Escape' && event.target === query) {
      query.value = '';
      apply();
    }
  });
  for (const button of document.querySelectorAll('button.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const text = button.parentElement.querySelector('pre').textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(button.parentElement.querySelector('pre'));
        button.textContent = 'Selected';
      }
    });
  }
})();
