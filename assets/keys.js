// The single-key shortcuts of all pages. A key presses the first of its elements that is on the page, can be seen and
// is enabled; a text field gets the focus instead. A new page adds its elem_ids here and nothing else.
// They can be turned off (WCAG 2.1.4): app/keys.py builds the switch, this browser remembers it.
(() => {
  if (window.rewardscopeKeys) return;

  const KEYS = {
    // Failures: next, previous. Label desk: the rest.
    j: ['next', 'next-item'],
    k: ['previous', 'back'],
    ArrowRight: ['next', 'verdict-1'],
    ArrowLeft: ['previous', 'verdict-0'],
    Enter: ['next-item'],
    1: ['verdict-0'],
    2: ['verdict-1'],
    3: ['verdict-2'],
    4: ['verdict-3'],
    5: ['verdict-4'],
    6: ['verdict-5'],
    7: ['verdict-6'],
    8: ['verdict-7'],
    9: ['verdict-8'],
    t: ['verdict-tie'],
    b: ['verdict-bad'],
    c: ['verdict-unsure'],
    s: ['skip'],
    u: ['undo'],
    z: ['zoom'],
    n: ['note'],
  };
  const NAME = 'rewardscope-keys';
  // Fields in which letters are written, and things that use arrows, Enter and space themselves.
  const WRITES = 'textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button], [type=submit], [type=file])';
  const ACTS = 'input, button, a, summary, [role=grid], [role=slider], [role=listbox], [role=menu]';

  window.rewardscopeKeys = {
    on() {
      try { return localStorage.getItem(NAME) !== 'off'; } catch { return true; } // storage may be forbidden
    },
    turn(on) {
      try { on ? localStorage.removeItem(NAME) : localStorage.setItem(NAME, 'off'); } catch { /* not remembered */ }
    },
  };

  // Fields that a key leads to; Escape leads back, to the keys.
  const LEFT = '#note textarea, #note input';

  // What the key acts on inside the element: Gradio's elem_id is the button itself, or a box around button or field.
  function control(id) {
    const box = document.getElementById(id);
    const inner = box && (box.matches('button, textarea') ? box : box.querySelector('textarea, button'));
    const usable = inner && inner.getClientRects().length && getComputedStyle(inner).visibility === 'visible';
    return usable && !inner.disabled && inner.getAttribute('aria-disabled') !== 'true' ? inner : null;
  }

  document.addEventListener('keydown', e => {
    if (e.key === 'Escape' && !e.isComposing && e.target.matches?.(LEFT)) return e.target.blur();
    // e.repeat: a key held down must not give a verdict on everything that follows.
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || e.repeat || e.defaultPrevented) return;
    const letter = e.key.length === 1;
    if (e.shiftKey && !letter) return; // shift with an arrow selects text; a digit may need shift
    const ids = KEYS[letter ? e.key.toLowerCase() : e.key];
    if (!ids || !window.rewardscopeKeys.on()) return;
    const at = e.target instanceof Element ? e.target : document.body;
    if (at.isContentEditable || at.closest(WRITES) || (!letter && at.closest(ACTS))) return;
    const found = ids.map(control).find(Boolean);
    if (!found) return;
    e.preventDefault();
    if (found.matches('textarea')) found.focus();
    else found.click();
  });
})();
