// Mends what Gradio and Plotly leave out for people who do not see the page or use no mouse, and what no property or
// style sheet can reach. Runs shortly after every change of the page; it writes attributes only where they differ.
(() => {
  if (window.rewardscopeAccessible) return;
  window.rewardscopeAccessible = true;

  const MOST = 60; // values read out per chart

  function set(element, values) {
    for (const [name, value] of Object.entries(values))
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  // Tabs and histories tell pages apart by their title; Gradio gives all pages the same.
  function pages() {
    const here = document.querySelector('nav a.active');
    if (!here) return;
    set(here.closest('nav'), {'aria-label': 'Pages'});
    for (const link of here.closest('nav').querySelectorAll('a'))
      if (link === here) set(link, {'aria-current': 'page'}); else link.removeAttribute('aria-current');
    const title = `${here.textContent.trim()} · Rewardscope`;
    if (document.title !== title) document.title = title;
  }

  // Gradio's accordions do not say whether they are open.
  function accordions() {
    for (const button of document.querySelectorAll('button.label-wrap'))
      set(button, {'aria-expanded': String(button.classList.contains('open'))});
  }

  // What overflows must scroll by keyboard. Only while it does overflow: elsewhere it would be a stop for nothing.
  function scrolling() {
    for (const box of document.querySelectorAll('.wide, .said, .response, .item .prompt, .side p')) {
      const over = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (over) set(box, {tabindex: '0'}); else box.removeAttribute('tabindex');
      if (box.matches('.wide, .said'))
        if (over) set(box, {role: 'region', 'aria-label': 'Table, scrolls sideways'});
        else ['role', 'aria-label'].forEach(name => box.removeAttribute(name));
    }
  }

  // A chart is one picture whose words are its heading, its axis and its values.
  function charts() {
    const headings = [...document.querySelectorAll('main h1, main h2, main h3, main button.label-wrap > span:first-child')];
    for (const chart of document.querySelectorAll('.js-plotly-plot')) {
      const [first, ...others] = chart.querySelectorAll('.main-svg');
      if (!first) continue;
      const before = headings.filter(h => chart.compareDocumentPosition(h) & Node.DOCUMENT_POSITION_PRECEDING);
      const axis = chart.layout?.xaxis?.title?.text;
      const label = ['Chart', before.at(-1)?.textContent.trim(), axis, values(chart)].filter(Boolean).join('. ');
      set(first, {role: 'img', 'aria-label': label});
      for (const svg of others) set(svg, {'aria-hidden': 'true'});
    }
  }

  function values(chart) {
    const plain = text => String(text).replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim();
    const number = v => (typeof v === 'number' ? String(Math.round(v * 1000) / 1000) : plain(v));
    const said = [];
    const traces = chart._fullData || [];
    for (const trace of traces) {
      if (!trace.x || !trace.y || trace.visible !== true) continue;
      const [x, y] = [Array.from(trace.x), Array.from(trace.y)];
      if (trace.type === 'heatmap') {
        y.forEach((row, i) => x.forEach((column, j) => said.push(`${plain(row)}, ${plain(column)}: ${number(trace.z[i][j])}`)));
        continue;
      }
      const [names, amounts] = typeof y[0] === 'string' ? [y, x] : [x, y];
      const whose = chart._fullLayout.showlegend ? `${plain(trace.name)}, ` : '';
      names.forEach((name, i) => {
        if (amounts[i] != null) said.push(`${whose}${number(name)}: ${number(trace.text?.[i] || amounts[i])}`);
      });
    }
    return said.slice(0, MOST).join('; ') + (said.length > MOST ? '; and more' : '');
  }

  // A dropdown takes Tab for a key that opens it: left by keyboard it stays open over what comes next, and its list is a
  // stop of its own. So Tab closes it first, as Escape does, and Gradio does not see it.
  document.addEventListener('keydown', e => {
    if (e.key !== 'Tab' || !e.target.matches?.('input[role=combobox][aria-expanded=true]')) return;
    document.getElementById(e.target.getAttribute('aria-controls'))?.setAttribute('tabindex', '-1');
    e.target.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));
    e.stopPropagation();
  }, true);

  let due = 0;
  function soon() {
    due ||= setTimeout(() => {
      due = 0;
      for (const mend of [pages, accordions, scrolling, charts]) mend();
    }, 150);
  }
  new MutationObserver(soon).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ['class'],
  });
  addEventListener('resize', soon);
  soon();
})();
