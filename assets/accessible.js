// Mends what Gradio leaves out for people who do not see the page or use no mouse, and what no property or
// style sheet can reach. Runs shortly after every change of the page; it writes attributes only where they differ.
(() => {
  if (window.rewardscopeAccessible) return;
  window.rewardscopeAccessible = true;

  function set(element, values) {
    for (const [name, value] of Object.entries(values))
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }

  // Tabs and histories tell pages apart by their title; Gradio gives all pages the same.
  function pages() {
    const here = document.querySelector('.bar a[aria-current]');
    if (!here) return;
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

  // A dropdown takes Tab for a key that opens it: left by keyboard it stays open over what comes next, and its list is a
  // stop of its own. So Tab closes it first, as Escape does, and Gradio does not see it.
  document.addEventListener('keydown', e => {
    if (e.key !== 'Tab' || !e.target.matches?.('input[role=combobox][aria-expanded=true]')) return;
    document.getElementById(e.target.getAttribute('aria-controls'))?.setAttribute('tabindex', '-1');
    e.target.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));
    e.stopPropagation();
  }, true);

  // A slider tells the server once it is let go; moved by keyboard it is let go after each step.
  let byKey = false;
  document.addEventListener('keydown', () => { byKey = true; }, true);
  document.addEventListener('pointerdown', () => { byKey = false; }, true);
  document.addEventListener('change', e => {
    if (byKey && e.target.matches?.('input[type=range]'))
      e.target.dispatchEvent(new PointerEvent('pointerup', {bubbles: true}));
  });

  let due = 0;
  function soon() {
    due ||= setTimeout(() => {
      due = 0;
      for (const mend of [pages, accordions, scrolling]) mend();
    }, 150);
  }
  new MutationObserver(soon).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ['class'],
  });
  addEventListener('resize', soon);
  soon();
})();
