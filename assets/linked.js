// Words, regions and dimensions that act together: pointing at one marks the others and says what the margin is without it.
// All of it stands in the page (app/inspect/units.py); nothing is asked of the server.
(() => {
  if (window.rewardscopeLinked) return;
  window.rewardscopeLinked = true;
  let shown = null;

  const unitOf = element => element instanceof Element ? element.closest('#answer [data-unit]') : null;
  const hint = () => document.getElementById('hint');
  const place = margin => 100 / (1 + Math.exp(Math.max(-700, Math.min(700, margin)))); // the first response stands left

  function clear() {
    for (const old of document.querySelectorAll('.pointed, .partner')) old.classList.remove('pointed', 'partner');
    const ghost = document.querySelector('.needle-ghost');
    if (ghost) ghost.hidden = true;
    shown = null;
  }

  function show(unit) {
    if (unit === shown) return;
    clear();
    if (!unit) {
      if (hint()) hint().textContent = hint().dataset.quiet;
      return;
    }
    shown = unit;
    unit.classList.add('pointed');
    const partners = new Set((unit.dataset.partners || '').split(' ').filter(Boolean));
    for (const other of document.querySelectorAll('#answer [data-unit]'))
      if (partners.has(other.dataset.unit)) other.classList.add('partner');
    if (hint()) hint().textContent = unit.dataset.said;
    const ghost = document.querySelector('.needle-ghost');
    if (ghost) {
      ghost.style.left = `${place(Number(unit.dataset.margin))}%`;
      ghost.hidden = false;
    }
  }

  document.addEventListener('pointerover', e => {
    const unit = unitOf(e.target);
    if (unit) show(unit);
    else if (shown && !shown.matches(':focus')) show(unitOf(document.activeElement));
  });
  document.addEventListener('focusin', e => show(unitOf(e.target)));
  document.addEventListener('click', e => { const unit = unitOf(e.target); if (unit) show(unit); });

  // Regions: one stop, and arrows within.
  document.addEventListener('keydown', e => {
    const region = e.target instanceof Element && e.target.closest('.region');
    if (!region || e.ctrlKey || e.metaKey || e.altKey) return;
    const all = [...region.parentElement.children], columns = Number(region.parentElement.dataset.columns), at = all.indexOf(region);
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[e.key];
    if (!step) return;
    e.preventDefault();
    const to = all[at + step];
    if (!to || (Math.abs(step) === 1 && Math.floor((at + step) / columns) !== Math.floor(at / columns))) return;
    region.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });

  // The picture without its map.
  document.addEventListener('click', e => {
    const button = e.target instanceof Element && e.target.closest('[data-original]');
    if (!button) return;
    const stage = button.closest('.stage'), on = !('given' in stage.dataset);
    if (on) stage.dataset.given = ''; else delete stage.dataset.given;
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? 'Show the map' : 'Show original';
  });

  // The needle moves from where it was.
  let last = null;
  new MutationObserver(() => {
    const needle = document.querySelector('.needle'), hand = needle?.querySelector('.needle-hand');
    if (!hand || needle.dataset.moved) return;
    needle.dataset.moved = '1';
    const to = hand.style.left;
    if (last !== null && last !== to) {
      hand.style.left = last;
      hand.getBoundingClientRect();
      hand.style.left = to;
    }
    last = to;
  }).observe(document.documentElement, {childList: true, subtree: true});
})();
