// Light or dark: as the system has it, until a person presses the switch (app/common/bar.py); remembered in this browser. It stands
// in the page itself, before anything is painted (app/common/early.py). An address with ?__theme= comes first, as Gradio has it.
(() => {
  if (window.rewardscopeTheme) return;
  window.rewardscopeTheme = true;
  const NAME = 'rewardscope-theme', root = document.documentElement, system = matchMedia('(prefers-color-scheme: dark)');

  function chosen() {
    const asked = new URLSearchParams(location.search).get('__theme');
    if (asked === 'light' || asked === 'dark') return asked;
    try { return localStorage.getItem(NAME); } catch { return null; } // storage may be forbidden
  }
  let theme = chosen();
  const dark = () => (theme ? theme === 'dark' : system.matches);

  // Gradio puts the system's choice into the class of the body when it starts and when the system changes: set right before that is seen.
  function set() {
    root.dataset.theme = dark() ? 'dark' : 'light';
    if (document.body && document.querySelector('.gradio-container') && document.body.classList.contains('dark') !== dark())
      document.body.classList.toggle('dark', dark());
    for (const button of document.querySelectorAll('[data-theme-switch]'))
      if (button.getAttribute('aria-pressed') !== String(dark())) button.setAttribute('aria-pressed', String(dark()));
  }
  new MutationObserver(set).observe(root, {subtree: true, childList: true, attributes: true, attributeFilter: ['class']});
  system.addEventListener('change', set);
  addEventListener('storage', e => { if (e.key === NAME) { theme = chosen(); set(); } });
  document.addEventListener('click', e => {
    if (!e.target.closest?.('[data-theme-switch]')) return;
    theme = dark() ? 'light' : 'dark';
    const own = (theme === 'dark') !== system.matches; // the system's own choice is followed again
    try { own ? localStorage.setItem(NAME, theme) : localStorage.removeItem(NAME); } catch { /* not remembered */ }
    set();
  });
  set();
})();
