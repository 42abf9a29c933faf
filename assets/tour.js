// The tour of the first page: four places, each outlined while its sentence stands at the top. Offered once, at the first visit;
// the button in the bar starts it again. The strip lies in the page and covers nothing until it is started.
(() => {
  if (window.rewardscopeTour) return;
  window.rewardscopeTour = true;
  const NAME = 'rewardscope-tour';
  // Where a step points: the first of these that can be seen. A page names its places by data-tour-at; ids are the fallback.
  const PLACES = {
    asked: ['#said-prompt'],
    won: ['#verdict'],
    why: ['#heat', '#contributions', '#both-orders'],
    change: ['#said-response-b', '#judge'],
  };
  let at = -1, marked = null;

  const strip = () => document.querySelector('[data-tour]');
  const seen = () => { try { return localStorage.getItem(NAME); } catch { return 'unknown'; } };
  const part = name => strip().querySelector(`[data-tour-${name}]`);

  function place(name) {
    return [`[data-tour-at="${name}"]`, ...PLACES[name]]
      .map(s => document.querySelector(s)).find(e => e && e.getClientRects().length);
  }

  function mark(element) {
    marked?.classList.remove('tour-place');
    marked = element || null;
    if (!marked) return;
    marked.classList.add('tour-place');
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const behavior = calm ? 'auto' : 'smooth', room = strip().getBoundingClientRect().height + 24;
    scrollTo({top: Math.max(0, scrollY + marked.getBoundingClientRect().top - room), behavior});
  }

  function show(step) {
    const steps = [...strip().querySelectorAll('li')];
    at = step;
    const here = steps[at];
    strip().classList.add('started');
    part('text').textContent = `${at + 1} of ${steps.length} · ${here.dataset.what}. ${here.textContent}`;
    part('next').textContent = at + 1 < steps.length ? 'Next' : 'Done';
    part('back').hidden = at === 0;
    part('end').hidden = at + 1 === steps.length;
    part('end').textContent = 'Close';
    mark(place(here.dataset.at));
  }

  function end() {
    mark(null);
    strip().classList.remove('started');
    strip().hidden = true;
    if (at >= 0) document.querySelector('[data-tour-start]')?.focus({preventScroll: true});
    at = -1;
  }

  document.addEventListener('click', e => {
    const button = e.target.closest?.('[data-tour-start], [data-tour-next], [data-tour-back], [data-tour-end]');
    if (!button || !strip()) return;
    if (button.matches('[data-tour-end]')) return end();
    if (button.matches('[data-tour-start]')) {
      strip().hidden = false;
      show(0);
      return part('next').focus({preventScroll: true});
    }
    const next = button.matches('[data-tour-back]') ? at - 1 : at + 1;
    if (next >= strip().querySelectorAll('li').length) return end();
    show(next);
    if (button.hidden) part('next').focus({preventScroll: true});
  });
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape' && at >= 0) end();
  });

  function offer() {
    if (!strip()) return;
    looking.disconnect();
    if (seen()) return;
    try { localStorage.setItem(NAME, 'offered'); } catch { return; } // who cannot be remembered is not asked each time
    strip().hidden = false;
  }
  const looking = new MutationObserver(offer);
  looking.observe(document.documentElement, {childList: true, subtree: true});
  offer();
})();
