// The brush on Inspect's picture: what is painted is erased or blurred, and judged again. A mask is 32 x 32 cells, sent as bits
// in hexadecimal (core/records/edit_path.py). By keyboard: arrows move, space paints.
(() => {
  if (window.rewardscopeBrush) return;
  const CELLS = 32, STEP = 2;

  function brush(stage, send, opener) {
    const frame = stage.querySelector('.stage-frame'), bar = stage.querySelector('.stage-bar');
    const painted = new Uint8Array(CELLS * CELLS);
    const canvas = document.createElement('canvas');
    canvas.className = 'brush-canvas';
    canvas.width = canvas.height = CELLS * 8;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', 'Paint over a part of the picture: arrow keys move, space paints');
    frame.append(canvas);
    const tools = document.createElement('span');
    tools.className = 'brush-tools';
    const status = document.createElement('span');
    status.className = 'brush-status';
    status.setAttribute('role', 'status');
    let x = CELLS / 2, y = CELLS / 2, size = 2, down = false, keys = false;

    function draw() {
      const pen = canvas.getContext('2d');
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.fillStyle = 'rgba(190, 24, 130, .6)';
      painted.forEach((on, i) => { if (on) pen.fillRect(8 * (i % CELLS), 8 * Math.floor(i / CELLS), 8, 8); });
      if (!keys) return;
      pen.strokeStyle = '#fff';
      pen.lineWidth = 5;
      pen.strokeRect(8 * (x - size), 8 * (y - size), 16 * size, 16 * size);
      pen.strokeStyle = '#000';
      pen.lineWidth = 2;
      pen.strokeRect(8 * (x - size), 8 * (y - size), 16 * size, 16 * size);
    }

    function paint(on = 1) {
      for (let row = Math.max(0, y - size); row < Math.min(CELLS, y + size); row++)
        for (let column = Math.max(0, x - size); column < Math.min(CELLS, x + size); column++) painted[row * CELLS + column] = on;
      draw();
    }

    function said() {
      const share = Math.round(100 * painted.reduce((a, b) => a + b, 0) / painted.length);
      status.textContent = share ? `${share} % painted` : 'Paint over a part.';
    }

    function at(e) {
      const area = canvas.getBoundingClientRect();
      x = Math.floor(CELLS * (e.clientX - area.left) / area.width + .5);
      y = Math.floor(CELLS * (e.clientY - area.top) / area.height + .5);
    }

    canvas.addEventListener('pointerdown', e => { down = true; keys = false; canvas.setPointerCapture(e.pointerId); at(e); paint(); });
    canvas.addEventListener('pointermove', e => {
      if (!down) return;
      for (const one of e.getCoalescedEvents?.() ?? [e]) { at(one); paint(); }
      at(e); paint();
    });
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { down = false; said(); });
    canvas.addEventListener('keydown', e => {
      const [dx, dy] = {ArrowRight: [STEP, 0], ArrowLeft: [-STEP, 0], ArrowDown: [0, STEP], ArrowUp: [0, -STEP]}[e.key] ?? [];
      if (dx === undefined && e.key !== ' ') return;
      e.preventDefault();
      keys = true;
      if (e.key === ' ') paint(painted[Math.min(CELLS - 1, y) * CELLS + Math.min(CELLS - 1, x)] ? 0 : 1);
      else {
        x = Math.max(0, Math.min(CELLS, x + dx));
        y = Math.max(0, Math.min(CELLS, y + dy));
        if (e.shiftKey) paint();
      }
      draw();
      said();
    });
    canvas.addEventListener('focus', () => { keys = canvas.matches(':focus-visible'); draw(); });
    canvas.addEventListener('blur', () => { keys = false; draw(); });

    function hexadecimal() {
      let text = '';
      for (let i = 0; i < painted.length; i += 4)
        text += (8 * painted[i] + 4 * painted[i + 1] + 2 * painted[i + 2] + painted[i + 3]).toString(16);
      return text;
    }

    function tool(name, act) {
      const made = document.createElement('button');
      made.type = 'button';
      made.textContent = name;
      made.addEventListener('click', act);
      tools.append(made);
      return made;
    }
    for (const [name, how] of [['Erase and judge', 'erase'], ['Blur and judge', 'blur']])
      tool(name, () => {
        if (!painted.some(Boolean)) { status.textContent = 'Nothing is painted yet: paint over a part of the picture.'; return; }
        send(`${how}:${hexadecimal()}`);
      });
    const thick = tool('Thicker', () => { size = size === 2 ? 4 : 2; thick.textContent = size === 2 ? 'Thicker' : 'Thinner'; draw(); });
    tool('Clear', () => { painted.fill(0); draw(); said(); });
    tools.append(status);
    bar.prepend(tools);
    said();
    return () => {
      canvas.remove();
      tools.remove();
      opener.focus();
    };
  }

  window.rewardscopeBrush = {
    connect(element, send) {
      let close = null, stage = null;
      element.addEventListener('click', e => {
        const opener = e.target.closest('[data-brush]');
        if (!opener) return;
        const own = opener.closest('.stage');
        if (close && stage === own) {
          close();
          close = null;
        } else {
          stage = own;
          close = brush(own, send, opener);
        }
        opener.setAttribute('aria-pressed', String(Boolean(close)));
        opener.textContent = close ? 'Stop painting' : 'Erase or blur a part';
        if (close) { own.dataset.painting = ''; own.querySelector('canvas').focus({preventScroll: true}); }
        else delete own.dataset.painting;
      });
    },
  };
})();
