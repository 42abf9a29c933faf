// The wall of the Failures page (app/failures): a click shows a record beside it, the current one is marked and scrolled into
// view, and coming back finds the same place. Runs once as the wall is built; `element`, `trigger` and `watch` are Gradio's.
const narrow = matchMedia('(max-width: 760px)');
const NAME = 'rewardscope-wall', ITEM = '#item';
const wall = element.closest('#wall'), browser = wall.closest('#browser'), detail = browser.querySelector('#detail');
let row = null, pending = null;

const shots = () => [...element.querySelectorAll('a[data-row]')];

function mark(scroll) {
  const before = element.querySelector('[aria-current]'), now = shots().find(s => s.dataset.row === row);
  if (before !== now) {
    const focused = before && before === document.activeElement;
    before?.removeAttribute('aria-current');
    now?.setAttribute('aria-current', 'true');
    if (focused) now?.focus({preventScroll: true});
  }
  if (scroll && now) now.scrollIntoView({block: 'nearest'});
}

// On a narrow screen either the wall is there or the record. That is part of the address, so that Back leads to the wall.
function show(item) {
  if (item === (browser.dataset.view === 'item')) return;
  browser.dataset.view = item ? 'item' : 'wall';
  if (!narrow.matches) return;
  if (item) scrollTo(0, 0);
  else requestAnimationFrame(() => {
    const now = element.querySelector('[aria-current]');
    now?.scrollIntoView({block: 'center'});
    now?.focus({preventScroll: true});
  });
}

// What the server shows now, as the query of a link.
window.rewardscopeWall = query => {
  if (!query) return;
  history.replaceState(history.state, '', `${location.pathname}?${query}${location.hash}`);
  const next = new URLSearchParams(query).get('row');
  if (next === row) return;
  row = next;
  mark(true);
  detail.scrollTo(0, 0);
};

element.addEventListener('click', e => {
  const shot = e.target.closest('a[data-row]');
  if (!shot || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return; // a new tab or window
  e.preventDefault();
  row = shot.dataset.row;
  mark(false);
  detail.scrollTo(0, 0);
  if (narrow.matches) {
    history.pushState(history.state, '', location.pathname + location.search + ITEM);
    show(true);
  }
  trigger('select', {index: Number(row), value: row});
});

document.addEventListener('click', e => {
  const to = e.target.closest?.('#to-wall, #fold');
  if (!to) return;
  e.preventDefault();
  if (to.id === 'fold') {
    const open = browser.dataset.filters !== 'open';
    browser.dataset.filters = open ? 'open' : '';
    to.setAttribute('aria-expanded', String(open));
  } else {
    history.replaceState(history.state, '', location.pathname + location.search);
    show(false);
  }
});
addEventListener('popstate', () => show(location.hash === ITEM));
show(location.hash === ITEM);

// Back from another page, or a reload: as far down as it was. Noted while it is scrolled: when the page is left it is gone already.
const scrolled = {wall: 0, detail: 0, page: 0};
wall.addEventListener('scroll', () => { scrolled.wall = wall.scrollTop; }, {passive: true});
detail.addEventListener('scroll', () => { scrolled.detail = detail.scrollTop; }, {passive: true});
addEventListener('scroll', () => { scrolled.page = scrollY; }, {passive: true});
addEventListener('pagehide', () => {
  try { sessionStorage.setItem(NAME, JSON.stringify({...scrolled, at: location.href})); } catch { /* storage may be forbidden */ }
});
try {
  const kept = JSON.parse(sessionStorage.getItem(NAME) ?? 'null');
  const how = performance.getEntriesByType('navigation')[0]?.type;
  if (kept?.at === location.href && (how === 'back_forward' || how === 'reload')) pending = kept;
} catch { /* as above */ }

watch('value', () => {
  row ??= element.querySelector('[aria-current]')?.dataset.row ?? null;
  if (!shots().length) return;
  wall.scrollTo(0, 0); // other pictures
  mark(!pending && shots()[0].dataset.row !== row);
  if (!pending) return;
  const place = pending;
  pending = null;
  requestAnimationFrame(() => {
    wall.scrollTo(0, place.wall);
    detail.scrollTo(0, place.detail);
    scrollTo(0, place.page);
  });
});
