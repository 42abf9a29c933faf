// The browser's address says what the page shows (app/common/address.py): another subject is a step that Back undoes,
// anything else replaces the address as it is.
(() => {
  if (window.rewardscopeAddress) return;
  // What a page is about; another pair, target, filter or sort of it is the same subject.
  const SUBJECT = ['example', 'run', 'row', 'view', 'prompt', 'a', 'b', 'c', 'd', 'edits', 'queue'];
  let opened = false; // whether the page has said where it is

  const subject = given => JSON.stringify(SUBJECT.map(name => given.get(name)));

  window.rewardscopeAddress = {
    show(query) {
      const here = new URLSearchParams(location.search), next = new URLSearchParams(query);
      for (const [name, value] of here) if (name.startsWith('__')) next.append(name, value); // Gradio's own
      const text = next.toString();
      const first = !opened;
      opened = true;
      if (text === here.toString()) return;
      const url = location.pathname + (text ? `?${text}` : '') + location.hash;
      if (first || subject(here) === subject(next)) history.replaceState(null, '', url);
      else history.pushState({rewardscope: true}, '', url);
    },
    // A link into the clipboard, where the browser lets a page write there; it stands on the page in any case.
    async copy(link) {
      try { await navigator.clipboard.writeText(link); } catch { /* selected by hand */ }
    },
  };
  // The page is built by the server from its address.
  addEventListener('popstate', () => { if (!location.hash) location.reload(); });
})();
