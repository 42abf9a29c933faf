// Inspect's cards: each text is shown with its words coloured, and turns into its text box when it is to be edited. A word can
// be struck or replaced where it stands. While what is typed is not what was judged, the page says so.
(() => {
  if (window.rewardscopeCards) return;
  let picture = false; // another picture was put in, and is not judged yet

  const card = element => element?.closest?.('.card');
  const said = element => card(element)?.querySelector('.shown-text');
  const box = element => card(element)?.querySelector('textarea');
  const lines = text => text.replace(/\r\n?/g, '\n');
  const judged = element => lines(said(element)?.dataset.text ?? '');

  function write(area, text) {
    area.value = text;
    area.dispatchEvent(new Event('input', {bubbles: true}));
  }

  function open(element) {
    const area = box(element);
    if (!area) return;
    closeMenu();
    card(element).dataset.editing = '';
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }

  function close(element) {
    delete card(element).dataset.editing;
    card(element).querySelector('[data-edit]')?.focus();
  }

  function judge() {
    setTimeout(() => document.getElementById('judge')?.click(), 60); // once Gradio has taken the text
  }

  // -- a word -----------------------------------------------------------------------------------------------------

  let menu = null;
  function closeMenu() {
    menu?.remove();
    menu = null;
  }

  function button(text, act) {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.addEventListener('click', act);
    return made;
  }

  function changed(word, by) {
    const area = box(word), characters = Array.from(judged(word)); // Python counts characters, not UTF-16 units
    const [start, end] = word.dataset.at.split('-').map(Number);
    const text = [...characters.slice(0, start), by, ...characters.slice(end)].join('');
    write(area, by ? text : text.replace(/[ \t]+/g, ' ').trim());
    closeMenu();
    judge();
  }

  function openMenu(word) {
    if (box(word).value !== judged(word)) return open(word); // its text is not the one that is shown
    closeMenu();
    menu = document.createElement('div');
    menu.className = 'word-menu';
    menu.setAttribute('role', 'group');
    menu.setAttribute('aria-label', `The word ${word.textContent}`);
    const field = document.createElement('input');
    field.type = 'text';
    field.value = word.textContent;
    field.setAttribute('aria-label', 'Replace by');
    field.addEventListener('keydown', e => {
      if (e.key !== 'Enter') return;
      e.preventDefault();
      changed(word, field.value.trim());
    });
    menu.append(button('Strike', () => changed(word, '')), field, button('Replace', () => changed(word, field.value.trim())));
    menu.addEventListener('keydown', e => {
      if (e.key !== 'Escape') return;
      e.stopPropagation();
      closeMenu();
      word.focus();
    });
    word.closest('.shown-text').append(menu);
    if (matchMedia('(pointer: coarse)').matches) return; // its keyboard would cover what the word does
    field.focus();
    field.select();
  }

  document.addEventListener('click', e => {
    const word = e.target.closest?.('.shown-text .word');
    if (word) return openMenu(word);
    if (e.target.closest?.('.word-menu')) return;
    closeMenu();
    if (!getSelection().isCollapsed) return; // a text is being copied
    if (e.target.closest?.('.card [data-edit], .card .card-text')) open(e.target);
  });

  // Arrows go from word to word; Enter opens what can be done with one.
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const area = e.target.closest?.('.card[data-editing] textarea');
    if (area && e.key === 'Escape') {
      write(area, judged(area));
      return close(area);
    }
    const text = e.target.closest?.('.card-text.words');
    if (!text) return;
    const words = [...text.querySelectorAll('.word')], at = words.indexOf(e.target);
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      return at < 0 ? open(text) : openMenu(e.target);
    }
    const to = {ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: words.length - 1}[e.key];
    if (to === undefined || !words.length) return;
    e.preventDefault();
    words[Math.max(0, Math.min(words.length - 1, to))].focus();
  });

  // -- what is old ------------------------------------------------------------------------------------------------

  function stale() {
    const answer = document.getElementById('answer');
    if (!answer) return;
    const old = picture || [...answer.querySelectorAll('.card')].some(one => {
      const area = box(one), shown = said(one);
      return area && (shown ? lines(area.value) !== judged(one) : area.value.trim() !== '');
    });
    if (old === 'stale' in answer.dataset) return;
    if (old) answer.dataset.stale = ''; else delete answer.dataset.stale;
    const note = document.getElementById('stale-note');
    if (!note) return;
    note.hidden = !old;
    if (!old) note.textContent = note.dataset.quiet;
  }

  // A new answer turns the cards back whose text it is of; a message at a field opens the field.
  const stamps = new Map(), told = new Map();
  function arrived() {
    for (const one of document.querySelectorAll('.card')) {
      const shown = said(one), area = box(one);
      const stamp = shown?.dataset.stamp;
      if (stamp && stamps.get(one.id) !== stamp) {
        stamps.set(one.id, stamp);
        if (area && lines(area.value) === judged(one)) delete one.dataset.editing;
      }
      if (!shown && area && one.id !== 'card-prompt') one.dataset.editing = '';
    }
    const stage = document.querySelector('#heat .stage');
    if (stage && stamps.get('stage') !== stage.dataset.stamp) {
      stamps.set('stage', stage.dataset.stamp);
      picture = false;
    }
    for (const area of document.querySelectorAll('.card textarea')) {
      const message = card(area).querySelector('.problem');
      if (message === (told.get(area) ?? null)) continue;
      told.set(area, message);
      if (!message) {
        area.removeAttribute('aria-invalid');
        area.removeAttribute('aria-describedby');
        continue;
      }
      area.setAttribute('aria-invalid', 'true');
      area.setAttribute('aria-describedby', message.id);
      open(area);
    }
    stale();
  }

  // What is said of a field is of the text that was sent.
  function corrected(area) {
    const message = card(area).querySelector('.problem');
    if (message) message.hidden = true;
    area.removeAttribute('aria-invalid');
    area.removeAttribute('aria-describedby');
  }

  // What starts from the judged text would throw away the one that is being written.
  document.addEventListener('click', e => {
    const answer = document.getElementById('answer');
    if (!answer || !('stale' in answer.dataset) || !e.target.closest?.('#flip, #undo, .brush-tools button')) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    const note = document.getElementById('stale-note');
    if (note) note.textContent = note.dataset.first;
  }, true);

  document.addEventListener('input', e => {
    if (!e.target.matches?.('.card textarea')) return;
    corrected(e.target);
    setTimeout(stale);
  });
  let due = 0;
  new MutationObserver(() => { due ||= setTimeout(() => { due = 0; arrived(); }, 30); })
    .observe(document.documentElement, {childList: true, subtree: true});

  window.rewardscopeCards = {
    pictureChanged() { picture = true; stale(); },
  };
})();
