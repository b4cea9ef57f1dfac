/* The playground: a bowl that can be touched, descended by the update equations of the book.

   The page brings `descentPlayground`: the methods, each with its equation as a function (book/_ext/playground.py), the
   figures to begin from, and the colours. Nothing here knows a method by name. A setting is a flat table of values
   by key, such as "noise" or "adam.lr"; the same keys stand in the address of the page. */
"use strict";
(() => {
  const book = window.descentPlayground;
  const NEAR = book.near; // how near to the minimum counts as there
  const CELLS = 64, PATIENCE = 200; // of the map: its cells a side, and the steps that a run may take
  const EXACT = 1e-9; // a rate this near to 1 is 1
  const { make, short, clamp, paint, lineAt, swatch: swatchAt, starPath, frame, pathAt } = window.descentBowl;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  // --- the run ------------------------------------------------------------------------------------------------------

  /* Normal numbers, the same that torch draws from a seed two at a time: MT19937, 53 bits, Box and Muller. */
  function generator(seed) {
    const words = new Uint32Array(624);
    let at = 624, spare = null;
    words[0] = seed;
    for (let i = 1; i < 624; i++) {
      const last = words[i - 1] ^ (words[i - 1] >>> 30);
      words[i] = Math.imul(1812433253, last) + i;
    }
    function word() {
      if (at === 624) {
        for (let i = 0; i < 624; i++) {
          const y = (words[i] & 0x80000000) | (words[(i + 1) % 624] & 0x7fffffff);
          words[i] = words[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        at = 0;
      }
      let y = words[at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }
    const uniform = () => {
      const high = word(), low = word();
      return ((high & 0x1fffff) * 2 ** 32 + low) / 2 ** 53;
    };
    return () => {
      if (spare !== null) {
        const value = spare;
        spare = null;
        return value;
      }
      const angle = 2 * Math.PI * uniform(), radius = Math.sqrt(-2 * Math.log1p(-uniform()));
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    };
  }

  const drawn = { seed: null, values: [], next: null };
  /* The noise of a seed at unit level: two numbers a step, the same for all methods. */
  function noiseOf(seed, nsteps) {
    if (drawn.seed !== seed) Object.assign(drawn, { seed, values: [], next: generator(seed) });
    while (drawn.values.length < 2 * nsteps) drawn.values.push(drawn.next());
    return drawn.values;
  }

  /* The matrix of the bowl with curvatures 1 and kappa, its axes turned. */
  function bowl(kappa, degrees) {
    const c = Math.cos((degrees * Math.PI) / 180), s = Math.sin((degrees * Math.PI) / 180);
    return [c * c + kappa * s * s, c * s - kappa * c * s, s * s + kappa * c * c];
  }

  const lossAt = (A, x, y) => (A[0] * x * x + 2 * A[1] * x * y + A[2] * y * y) / 2;

  /* The state before the first step: the parameter, and buffers of zeros. */
  function before(names, w) {
    const state = {};
    for (const name of names) state[name] = name === "w" ? w : 0;
    state.t = 0;
    return state;
  }

  /* Whether a point is beyond what can be computed with: its loss would not be a number any more. */
  const beyond = (x, y) => !(Math.abs(x) + Math.abs(y) < 1e150);

  /* Run a method: on the bowl, or, given `gradients` (two a step), on those. It ends where the numbers end. */
  function simulate(method, hyper, corrected, { A, start, nsteps, noise = 0, xi = [], gradients = null }) {
    const step = rule(method, corrected);
    const xs = new Float64Array(nsteps + 1), ys = new Float64Array(nsteps + 1), losses = new Float64Array(nsteps + 1);
    let [x, y] = start, one = before(method.state, x), two = before(method.state, y), count = 0;
    for (;;) {
      xs[count] = x;
      ys[count] = y;
      losses[count] = lossAt(A, x, y);
      if (count === nsteps) break;
      const i = 2 * count;
      const g = gradients ? gradients[i] : A[0] * x + A[1] * y - (noise && noise * xi[i]);
      const h = gradients ? gradients[i + 1] : A[1] * x + A[2] * y - (noise && noise * xi[i + 1]);
      one = step(one, g, hyper);
      two = step(two, h, hyper);
      x = one.w;
      y = two.w;
      if (beyond(x, y)) break;
      count++;
    }
    return { xs, ys, losses, count, left: count < nsteps };
  }

  /* A run that another program has made, from its points; it ends where the numbers end, as above. */
  function trackOf(points, A) {
    const over = points.findIndex(([x, y]) => beyond(x, y)), kept = over < 0 ? points : points.slice(0, over);
    const xs = Float64Array.from(kept, ([x]) => x), ys = Float64Array.from(kept, ([, y]) => y);
    return { xs, ys, losses: xs.map((x, i) => lossAt(A, x, ys[i])), count: kept.length - 1, left: over >= 0 };
  }

  /* The steps that a run needs to come near; Infinity if it doesn't in time, NaN if its numbers end. One that begins
     there may yet leave: AdamW does, if its decay is longer than the way. */
  function stepsToNear(step, names, hyper, A, start, noise, xi) {
    let [x, y] = start, one = before(names, x), two = before(names, y);
    const beganThere = Math.hypot(x, y) <= NEAR;
    for (let t = 0; t <= PATIENCE; t++) {
      if (!beganThere && Math.hypot(x, y) <= NEAR) return t;
      if (beyond(x, y)) return NaN;
      const g = A[0] * x + A[1] * y - (noise && noise * xi[2 * t]);
      const h = A[1] * x + A[2] * y - (noise && noise * xi[2 * t + 1]);
      one = step(one, g, hyper);
      two = step(two, h, hyper);
      x = one.w;
      y = two.w;
    }
    return beganThere ? 0 : Infinity;
  }

  const rule = (method, corrected) => (corrected || !method.uncorrected ? method.step : method.uncorrected);

  // --- what theory says of it ---------------------------------------------------------------------------------------

  /* The matrix by which a step maps the state of one direction of curvature lambda; null if the rule isn't linear. */
  function matrixOf(step, names, hyper, lambda) {
    const put = (values, g, t) => {
      const state = Object.fromEntries([...names.map((name, i) => [name, values[i]]), ["t", t]]);
      const after = step(state, g, hyper);
      return names.map((name) => after[name]);
    };
    const one = names.map((_, i) => 0.3 + 0.2 * i), two = names.map((_, i) => 1.1 - 0.4 * i);
    const sum = put(one.map((value, i) => value + two[i]), 0.7 - 1.9, 0);
    const parts = [put(one, 0.7, 0), put(two, -1.9, 0)], later = put(one, 0.7, 9);
    const linear = names.every((_, i) =>
      Math.abs(sum[i] - parts[0][i] - parts[1][i]) < 1e-9 && Math.abs(later[i] - parts[0][i]) < 1e-9);
    if (!linear) return null;
    const columns = names.map((name, j) => put(names.map((_, i) => +(i === j)), name === "w" ? lambda : 0, 0));
    return names.map((_, i) => columns.map((column) => column[i]));
  }

  /* The spectral radius: the growth of high powers of a matrix, which is squared again and again. */
  function spectralRadius(matrix) {
    const size = matrix.length;
    let power = matrix.flat(), growth = 0, before = 0;
    for (let k = 0; k < 26; k++) {
      const norm = Math.hypot(...power);
      if (norm === 0) return 0;
      before = growth;
      growth += Math.log(norm) / 2 ** k;
      const root = power.map((value) => value / norm);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          let total = 0;
          for (let l = 0; l < size; l++) total += root[i * size + l] * root[l * size + j];
          power[i * size + j] = total;
        }
      }
    }
    return Math.exp(2 * growth - before); // a constant factor of all high powers cancels out
  }

  /* By what a linear rule multiplies an error in each step, in the long run and at worst; null of any other rule. */
  function rateOf(step, names, hyper, kappa) {
    const matrices = [1, kappa].map((lambda) => matrixOf(step, names, hyper, lambda));
    return matrices.includes(null) ? null : Math.max(...matrices.map(spectralRadius));
  }

  const limits = new Map();

  /* The rate of a linear rule on a bowl, and its largest stable learning rate, if it has one; null of any other rule. */
  function theory(method, hyper, corrected, kappa) {
    const rate = (lr) => rateOf(rule(method, corrected), method.state, { ...hyper, lr }, kappa);
    const now = rate(hyper.lr);
    if (now === null) return null;
    const key = JSON.stringify([method.name, { ...hyper, lr: 0 }, corrected, kappa]);
    if (limits.size > 500) limits.clear();
    if (!limits.has(key)) limits.set(key, limitOf(rate));
    return { rate: now, limit: limits.get(key) };
  }

  /* The learning rate at which a rate becomes 1; null if it doesn't. */
  function limitOf(rate) {
    let low = 1e-6, high = 1e4;
    if (!(rate(low) < 1 && rate(high) > 1)) return null;
    for (let k = 0; k < 60; k++) {
      const middle = Math.sqrt(low * high);
      if (rate(middle) < 1) low = middle;
      else high = middle;
    }
    return low;
  }

  // --- small tools --------------------------------------------------------------------------------------------------

  /* The digits, four or more, with which a value is still on its own side of another. */
  function digitsBeside(value, other) {
    let digits = 4;
    while (digits < 17 && Math.sign(value.toPrecision(digits) - other) !== Math.sign(value - other)) digits++;
    return digits;
  }
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const same = (one, two) => JSON.stringify(one) === JSON.stringify(two);

  /* A moment after the last of many calls. */
  function calm(action, wait) {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(action, wait);
    };
  }

  // --- settings -----------------------------------------------------------------------------------------------------

  const SHARED = {
    w1: { label: "start, w₁" },
    w2: { label: "start, w₂" },
    nsteps: { label: "steps", whole: true, log: true },
    noise: { label: "noise σ" },
    seed: { label: "seed of the noise", whole: true },
    condition_number: { label: "κ", log: true },
    rotation: { label: "rotation in degrees" },
  };
  for (const [key, [low, high]] of Object.entries(book.ranges)) Object.assign(SHARED[key], { low, high });
  const PLAIN = { w1: 1, w2: 1, nsteps: 20, noise: 0, seed: 0, condition_number: 5, rotation: 0 };

  /* What can be set: by key, a number with its range, a choice, or a list of choices. */
  function tableOf(methods) {
    const table = { ...SHARED };
    for (const method of methods) {
      for (const { name, symbol, decay, range: [low, high] } of method.hyper) {
        table[`${method.name}.${name}`] = { label: `${symbol} of ${method.title}`, symbol, hyper: name, low, high, log: !decay };
      }
      if (method.uncorrected) table[`${method.name}.corrected`] = { label: "bias correction", choices: ["yes", "no"] };
    }
    const names = methods.map((method) => method.name);
    const axes = [...new Set(methods.flatMap((m) => m.hyper.filter((h) => h.decay).map((h) => h.name)))];
    table.race = { label: "methods", list: names };
    table.adjust = { label: "adjusted method", choices: names };
    table.view = { label: "view", choices: ["loss", "map"] };
    table.axis = { label: "vertical axis", choices: ["", ...axes, "condition_number"] };
    table.shown = { label: "step shown", low: 0, high: SHARED.nsteps.high, whole: true };
    return table;
  }

  /* The values that a slider goes through, of three digits or whole, each another than the one before. */
  function stopsOf({ low, high, log, whole }) {
    if (whole && !log) return [...Array(high - low + 1)].map((_, i) => low + i);
    if (log && !whole) return [...roundNumbers(low, high)];
    const places = whole ? 0 : Math.ceil(-Math.log10((high - low) / 1000) - 0.01);
    const stops = [...Array(1001)].map((_, i) => {
      const value = log ? low * (high / low) ** (i / 1000) : low + ((high - low) * i) / 1000;
      return clamp(Number(value.toFixed(places)), low, high);
    });
    return [...new Set(stops)];
  }

  /* The round numbers of a range, each at most 2.5 % above the one before: 1, 1.02, …, 2, 2.05, …, 5, 5.1, … They are so few
     that a mouse hits 0.1, 0.6 or 3 on a long track. */
  function* roundNumbers(low, high) {
    yield low;
    for (let power = Math.floor(Math.log10(low)); 10 ** power < high; power++) {
      for (let hundredths = 100; hundredths < 1000; hundredths += hundredths < 200 ? 2 : hundredths < 500 ? 5 : 10) {
        const value = Number(`${hundredths}e${power - 2}`);
        if (low < value && value < high) yield value;
      }
    }
    yield high;
  }

  /* The number that a text is: 0.1, or 0,1, or 1/3; NaN if it is none. */
  function toNumber(text) {
    const [over, under = "1", ...more] = text.replaceAll("−", "-").replaceAll(",", ".").split("/").map((part) =>
      (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(part.trim()) ? Number(part) : NaN));
    return more.length || Number(under) === 0 ? NaN : over / under;
  }

  /* A value for a key out of a text that anybody may have written; and a word on it, if it could not be taken as it is. */
  function read(table, key, text, now) {
    const { label, low, high, whole, choices, list } = table[key];
    if (choices) return choices.includes(text) ? [text, ""] : [now, `${label}: no such choice, so it stays as it was`];
    if (list) {
      const wanted = String(text).split(",").slice(0, 50), known = list.filter((name) => wanted.includes(name));
      if (!known.length) return [now, `${label}: none of them is here, so they stay as they were`];
      return [known, wanted.every((name) => list.includes(name)) ? "" : `${label}: not all of them are here`];
    }
    const number = toNumber(String(text));
    if (Number.isNaN(number)) return [now, `${label} must be a number, so it stays ${short(now, 6)}`];
    const inside = clamp(number, low, high), value = whole ? Math.round(inside) : inside;
    const range = `${whole ? "in whole numbers " : ""}from ${short(low)} to ${short(high)}`;
    return [value, value === number ? "" : `${label} goes ${range}, so it is ${short(value, 6)} now`];
  }

  /* The setting of runs, as a figure of the book carries them; what they don't say is as it is. */
  function settingOf(runs, methods, setting) {
    const found = { ...setting, ...PLAIN }, race = [];
    for (const run of runs) {
      const method = methods.find((candidate) => candidate.class === run.optimizer);
      if (!method) continue;
      race.push(method.name);
      for (const { name } of method.hyper) if (name in run) found[`${method.name}.${name}`] = run[name];
      if (method.uncorrected) found[`${method.name}.corrected`] = "yes";
      for (const key of Object.keys(PLAIN)) if (key in run) found[key] = run[key];
      [found.w1, found.w2] = run.start;
    }
    found.shown = found.nsteps;
    return race.length ? { ...found, race, adjust: race[0] } : found;
  }

  /* Where nobody said otherwise: each method as the first of the book's figures that shows it alone. */
  function defaults(methods) {
    let setting = { ...PLAIN, race: [methods[0].name], adjust: methods[0].name, view: "loss", axis: "", shown: 20 };
    for (const method of methods) {
      for (const { name, decay, low } of method.hyper) {
        const given = method.arguments.find(([argument]) => argument === name);
        setting[`${method.name}.${name}`] = given && given[1] !== null ? given[1] : decay ? 0.9 : Math.max(low, 0.1);
      }
      if (method.uncorrected) setting[`${method.name}.corrected`] = "yes";
      const preset = book.presets.find(({ runs }) => runs[0].optimizer === method.class);
      if (preset) setting = settingOf(preset.runs, methods, setting);
    }
    return setting;
  }

  // --- the address of the page --------------------------------------------------------------------------------------

  /* What the address says to each playground, by id, in its order: #one?noise=1;two?nsteps=40. */
  const partsOfAddress = () => new Map(window.location.hash.slice(1).split(";").slice(0, 20)
    .map((part) => part.slice(0, 8000).split("?")).map(([id, query = ""]) => [id, query]));

  /* The address that brings all playgrounds of the page back as they are; those of some ids come first. */
  function wholeAddress(ids) {
    const parts = [...new Set([...ids, ...begun.keys()])].map((id) => book.open[id].address()).filter(Boolean);
    return parts.length ? `#${parts.join(";")}` : "";
  }

  /* The playgrounds that have begun, by id. One begins when it comes near the window, or when the address or somebody's
     script names it: to begin all of them while a page loads would hold up a reader who has only come to the top. */
  const begun = new Map();

  function begin(root) {
    if (!begun.has(root.id)) {
      root.classList.remove("play-waiting");
      begun.set(root.id, new Playground(root));
    }
    return begun.get(root.id);
  }

  function beginWhenNear(roots) {
    const watch = new IntersectionObserver((changes) => {
      for (const { isIntersecting, target } of changes) {
        if (!isIntersecting) continue;
        watch.unobserve(target);
        begin(target);
      }
    }, { rootMargin: "100% 0px" });
    for (const root of roots) {
      const drawing = document.querySelector(`#${CSS.escape(JSON.parse(root.dataset.begin).instead || " ")} .drawing`);
      if (!drawing) continue;
      drawing.classList.add("play-still");
      drawing.after(root);
    }
    const beginNamed = () => roots.filter(({ id }) => partsOfAddress().has(id)).forEach(begin);
    for (const root of roots) {
      Object.defineProperty(book.open, root.id, { enumerable: true, get: () => begin(root) });
      root.classList.add("play-waiting");
      watch.observe(root);
    }
    window.addEventListener("hashchange", beginNamed);
    beginNamed();
  }

  /* The setting to which words of the text bring a playground: as it began, with their changes. */
  function settingOfWords(play, link) {
    const wanted = { ...play.first };
    for (const [key, text] of new URLSearchParams(link.hash.split("?")[1])) {
      [wanted[key]] = read(play.table, key, text, wanted[key]);
      const [method] = key.split(".");
      if (method in play.byName) wanted.adjust = method;
    }
    return { ...wanted, shown: wanted.nsteps };
  }

  const isSet = (play, link) => same(essence(settingOfWords(play, link)), essence(play.setting));

  /* Words of the text that set a playground, and, if it stands so already, set it back. */
  function followWords() {
    const playOf = (link) => book.open[link.hash.slice(1).split("?")[0]];
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a.play-set");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !playOf(link)) return;
      event.preventDefault();
      const play = playOf(link), { view } = play.setting;
      play.pause();
      play.change({ ...(isSet(play, link) ? play.first : settingOfWords(play, link)), view });
      const { top, bottom } = play.root.querySelector(".play-bowl").getBoundingClientRect();
      if (top >= 0 && bottom <= window.innerHeight) return;
      window.history.pushState(null, ""); // the browser's way back leads to the words
      play.root.scrollIntoView();
    });
  }

  // --- one playground -----------------------------------------------------------------------------------------------

  /* One playground: its setting, the runs that follow from it, and the controls that are brought up to date. */
  class Playground {
    constructor(root) {
      const begin = JSON.parse(root.dataset.begin);
      this.root = root;
      this.figure = begin.figure;
      this.methods = book.methods.filter(({ name }) => !begin.methods.length || begin.methods.includes(name));
      this.table = tableOf(this.methods);
      this.byName = Object.fromEntries(this.methods.map((method) => [method.name, method]));
      this.presets = book.presets.filter(({ runs }) => this.methods.some((method) => method.class === runs[0].optimizer));
      const first = { ...settingOf(begin.runs, this.methods, defaults(this.methods)), view: begin.view };
      for (const [key, text] of begin.changes) [first[key]] = read(this.table, key, text, first[key]);
      first.shown = first.nsteps;
      this.first = first;
      this.setting = { ...first };
      this.runs = [];
      this.known = new Map(); // of each class of the reader's own: what was asked for last, and the last run
      this.words = ""; // what is said of the last change
      this.playing = 0; // the timer, while steps are shown one after the other
      this.due = false;
      this.refresh = []; // what brings a control up to date
      this.map = { key: "", row: CELLS, steps: new Float64Array(CELLS * CELLS), rates: [], took: 0 };
      this.statements = make("ul", { class: "play-statements" });
      this.word = make("p", { class: "play-word" });
      this.spoken = make("p", { class: "play-spoken", role: "status", "aria-live": "polite" });
      this.say = calm(() => {
        const now = [this.words, ...this.runs.map((run) => run.statement)].filter(Boolean).join(". ");
        if (this.spoken.textContent !== now) this.spoken.textContent = now;
      }, 600);
      this.toAddress = calm(() => this.writeAddress(), 250);
      this.fill();
      this.fromAddress();
      const meant = () => [...partsOfAddress().keys()][0] === root.id;
      window.addEventListener("hashchange", () => this.fromAddress() && meant() && root.scrollIntoView());
      this.render();
      if (meant()) root.scrollIntoView();
      else if (begin.instead) this.playOnceInView();
    }

    /* A playground that stands for its figure plays by itself, once, when the reader has come to it. */
    playOnceInView() {
      if (still.matches) return;
      const watch = new IntersectionObserver(([{ isIntersecting }]) => {
        if (!isIntersecting) return;
        watch.disconnect();
        if (same(this.setting, this.first)) this.startPlaying();
      }, { threshold: 0.9 });
      watch.observe(this.root.querySelector(".play-bowl"));
    }

    fill() {
      const { root } = this;
      const title = make("p", { class: "play-title", id: `${root.id}-title` },
        this.figure ? `Play with Figure ${this.figure}` : "Play with it");
      root.setAttribute("role", "region");
      root.setAttribute("aria-labelledby", title.id);
      root.replaceChildren(make("div", { class: "play-head" }, title, topRow(this)), make("div", { class: "play-parts" },
        make("div", { class: "play-picture" }, bowlView(this)), transport(this),
        make("div", { class: "play-said" }, this.statements, this.word, this.spoken),
        adjustments(this), views(this), more(this), takeAway(this)));
    }

    /* Take one more method into the race, a reader's own class, which begins at the setting of another one. */
    join(method, like) {
      this.methods = [...this.methods.filter(({ name }) => name !== method.name), method];
      this.table = tableOf(this.methods);
      this.byName = Object.fromEntries(this.methods.map((one) => [one.name, one]));
      this.known.clear();
      const begin = (setting) => Object.fromEntries(method.hyper.map(({ name }) => [`${method.name}.${name}`, setting[`${like}.${name}`]]));
      this.first = { ...this.first, ...begin(this.first) };
      this.refresh = [];
      this.fill();
      this.change({ ...begin(this.setting), race: [like, method.name], adjust: method.name });
    }

    /* The run of a reader's own class, which Python makes: the last one that is known, while another one is asked for. */
    ownRun(method, hyper, { A, start, nsteps, noise }) {
      const { seed, condition_number, rotation } = this.setting;
      const asked = { hyper, start, nsteps, noise, seed, condition_number, rotation }, key = JSON.stringify(asked);
      const known = this.known.get(method) ?? { key: "", run: trackOf([start], A) };
      if (known.key !== key) {
        this.known.set(method, { ...known, key });
        method.run(asked).then((points) => {
          if (!points || this.known.get(method)?.key !== key) return;
          const fails = typeof points === "string";
          this.known.set(method, { key, run: fails ? { ...trackOf([start], A), error: points } : trackOf(points, A) });
          this.ask();
        });
      }
      return known.run;
    }

    hyperOf(method) {
      return Object.fromEntries(method.hyper.map(({ name }) => [name, this.setting[`${method.name}.${name}`]]));
    }

    correctedOf(method) {
      return this.setting[`${method.name}.corrected`] !== "no";
    }

    axisOf(method) {
      const decays = method.hyper.filter(({ decay }) => decay).map(({ name }) => name);
      const wanted = this.setting.axis || (decays.includes("momentum") ? "momentum" : decays[0]);
      return decays.includes(wanted) ? `${method.name}.${wanted}` : "condition_number";
    }

    python() {
      return python(this);
    }

    stops(key) {
      return stopsOf(this.table[key]);
    }

    /* Change some values, as they are or, `loose`, as texts that have to be read first. */
    change(values, loose = false) {
      const said = [];
      const next = { ...this.setting };
      for (const [key, value] of Object.entries(values)) {
        const [taken, word] = loose ? read(this.table, key, value, this.setting[key]) : [value, ""];
        next[key] = taken;
        if (word) said.push(word);
      }
      if (next.nsteps !== this.setting.nsteps && !("shown" in values)) next.shown = next.nsteps;
      next.shown = Math.min(next.shown, next.nsteps);
      if (!next.race.includes(next.adjust)) next.adjust = next.race[0];
      this.setting = next;
      this.words = said.slice(0, 3).join("; ") + (said.length > 3 ? `; and ${said.length - 3} more like it` : "");
      this.ask();
    }

    ask() {
      if (this.due) return;
      this.due = true;
      requestAnimationFrame(() => {
        this.due = false;
        this.render();
      });
    }

    fromAddress() {
      const query = partsOfAddress().get(this.root.id);
      if (query === undefined) return false;
      const wanted = {};
      let strange = 0;
      for (const [key, value] of [...new URLSearchParams(query)].slice(0, 200)) {
        if (Object.hasOwn(this.table, key)) wanted[key] = value;
        else strange++;
      }
      this.setting = { ...this.first };
      this.change(wanted, true);
      if (strange) this.words = [this.words, `the address holds ${plural(strange, "setting")} that this playground has not`]
        .filter(Boolean).join("; ");
      return true;
    }

    /* Its own part of the page's address; nothing if it stands as it began. */
    address() {
      const query = new URLSearchParams();
      for (const key of Object.keys(this.table)) {
        if (key in this.setting && !same(this.setting[key], this.first[key])) query.set(key, this.setting[key]);
      }
      return [...query].length ? `${this.root.id}?${query.toString().replaceAll("%2C", ",")}` : "";
    }

    startPlaying() {
      if (still.matches) return this.change({ shown: this.setting.nsteps }); // who wants no motion sees where it ends
      const every = clamp(4000 / this.setting.nsteps, 16, 250);
      if (this.setting.shown >= this.setting.nsteps) this.change({ shown: 0 });
      this.playing = setInterval(() => {
        if (this.setting.shown >= this.setting.nsteps) return this.pause();
        this.change({ shown: this.setting.shown + 1 });
      }, every);
      this.ask();
    }

    pause() {
      clearInterval(this.playing);
      this.playing = 0;
      this.ask();
    }

    moveStart(to) {
      this.pause();
      this.change(Object.fromEntries(Object.entries(to).map(([key, value]) =>
        [key, clamp(Math.round(value * 100) / 100, SHARED[key].low, SHARED[key].high)])));
    }

    writeAddress() {
      const named = [...partsOfAddress().keys()].filter((id) => Object.hasOwn(book.open, id)), now = wholeAddress(named);
      if (now === window.location.hash || (!now && !named.length)) return;
      try {
        window.history.replaceState(null, "", now || `#${named[0]}`);
      } catch { /* a browser that lets no page from disk change its address */ }
    }

    render() {
      const { setting } = this, { nsteps, noise } = setting, xi = noise ? noiseOf(setting.seed, nsteps) : [];
      const A = bowl(setting.condition_number, setting.rotation), start = [setting.w1, setting.w2];
      this.runs = setting.race.map((name) => {
        const method = this.byName[name], hyper = this.hyperOf(method), corrected = this.correctedOf(method);
        const given = { A, start, nsteps, noise, xi };
        const run = { method, ...(method.run ? this.ownRun(method, hyper, given) : simulate(method, hyper, corrected, given)) };
        run.theory = theory(method, hyper, corrected, setting.condition_number);
        run.outcome = run.error ?? outcomeOf(run);
        run.statement = [`${method.title}: ${run.outcome}`, stability(run, setting)].filter(Boolean).join("; ");
        return run;
      });
      for (const update of this.refresh) update();
      for (const link of document.querySelectorAll(`a.play-set[href^="#${this.root.id}?"]`)) {
        link.toggleAttribute("data-set", isSet(this, link));
      }
      const now = this.runs.map((run) => run.statement);
      if (!same([...this.statements.children].map((item) => item.textContent), now)) {
        this.statements.replaceChildren(...this.runs.map((run) => make("li", {}, swatch(run.method), run.statement)));
      }
      this.word.textContent = this.words;
      this.say();
      this.toAddress();
    }
  }

  // --- what became of a run -----------------------------------------------------------------------------------------

  /* What became of a run. A linear rule diverges if theory says so; any other, if its numbers end. */
  function outcomeOf(run) {
    const distances = (i) => Math.hypot(run.xs[i], run.ys[i]), { count, losses } = run;
    const end = `${short(distances(count))} from the minimum after ${plural(count, "step")}`;
    if (run.left || run.theory?.rate > 1 + EXACT) {
      if (!run.left && losses[count] <= losses[0]) return `diverges from almost every start; here it is ${end}`;
      return `diverged at step ${losses.subarray(0, count + 1).findLastIndex((loss) => loss <= losses[0]) + 1}`;
    }
    const reached = run.xs.subarray(0, count + 1).findIndex((_, i) => distances(i) <= NEAR);
    if (reached > 0) return `reached ${NEAR} in ${plural(reached, "step")}`;
    if (reached === 0) return `began within ${NEAR} of the minimum; ${end}`;
    return distances(count) > distances(0) ? `${end}, farther out than it began` : end;
  }

  function stability(run, setting) {
    if (!run.theory) return "";
    const { rate, limit } = run.theory, lr = setting[`${run.method.name}.lr`];
    const exactly = Math.abs(rate - 1) <= EXACT, stable = rate < 1;
    const digits = limit === null || exactly ? 4 : digitsBeside(limit, lr);
    const bound = (sign) => (limit === null ? "" : `η ${sign} ${
      short(limit * setting.condition_number, digits)}/L = ${short(limit, digits)}`);
    const shown = `rate ${exactly ? 1 : short(rate, digitsBeside(rate, 1))}`;
    if (exactly) return `at the limit, ${bound("=") || shown}: errors neither die out nor grow`;
    if (limit === null || stable !== lr < limit) return `${stable ? "stable" : "unstable"}: ${shown}`;
    return stable ? `stable: ${bound("<")}; ${shown}` : `unstable: ${bound(">")}`;
  }

  /* What a picture shows: the setting without what is beside it, or doesn't run. */
  const essence = (given) => Object.entries(given).filter(([key]) => key in SHARED || key === "race"
    || given.race.some((name) => key.startsWith(`${name}.`))).sort().flat();

  // --- the same in Python -------------------------------------------------------------------------------------------

  function python(play) {
    const racing = play.setting.race.map((name) => play.byName[name]);
    const shared = [];
    if (play.setting.nsteps !== PLAIN.nsteps) shared.push(`nsteps=${play.setting.nsteps}`);
    if (play.setting.noise !== PLAIN.noise) shared.push(`noise=${play.setting.noise}`);
    if (play.setting.noise && play.setting.seed !== PLAIN.seed) shared.push(`seed=${play.setting.seed}`);
    if (play.setting.w1 !== PLAIN.w1 || play.setting.w2 !== PLAIN.w2) shared.push(`start=(${play.setting.w1}, ${play.setting.w2})`);
    const shaped = play.setting.condition_number !== PLAIN.condition_number || play.setting.rotation !== PLAIN.rotation;
    if (shaped) shared.push(`problem=bowl(${play.setting.condition_number}, ${play.setting.rotation})`);
    const call = (method) => {
      const hyper = play.hyperOf(method);
      const given = method.arguments.filter(([name, usual]) => name in hyper && hyper[name] !== usual);
      const made = `${method.class}([w], ${given.map(([name]) => `${name}=${hyper[name]}`).join(", ")})`;
      return `output(${[made, ...shared].join(", ")})`;
    };
    const classes = racing.filter((method) => !method.run).map((method) => method.class).sort();
    const lines = [`from optim_code import ${classes.join(", ")}, output, w`];
    if (racing.length > 1) lines.push("from optim_code.figures import draw_paths");
    if (shaped) lines.push("from optim_code.problems import bowl");
    const off = racing.filter((method) => !play.correctedOf(method)).map((method) => method.class);
    if (off.length) lines.push(`# Without its bias correction here; ${off.join(", ")} has it.`);
    lines.push("");
    if (racing.length === 1) return [...lines, call(racing[0])].join("\n");
    const each = racing.map((method) => `    "${method.title}": ${call(method)}.trajectory,`);
    return [...lines, "draw_paths({", ...each, "})"].join("\n");
  }

  // --- the controls -------------------------------------------------------------------------------------------------

  const button = (text, act, extra = {}) => make("button", { type: "button", onclick: act, ...extra }, text);

  function slider(play, key, label, describe = label, matters = () => true) {
    const id = `${play.root.id}-${key.replace(".", "-")}`;
    // Rounded down, for a browser that has to find the last stop within the range.
    const stops = stopsOf(play.table[key]), between = Math.floor(1e9 / (stops.length - 1)) / 1e6;
    let held = false; // a finger is on it, that may be about to scroll the page
    const take = () => {
      if (!held) play.change({ [key]: stops[Math.round(Number(range.value) / between)] });
    };
    const range = make("input", {
      type: "range", id, min: 0, max: 1000, step: between, oninput: take,
      onpointerdown: (event) => (held = event.pointerType !== "mouse" && [event.clientX, event.clientY]),
      onpointermove: (event) => {
        if (!held || Math.abs(event.clientX - held[0]) <= Math.max(4, Math.abs(event.clientY - held[1]))) return;
        held = false;
        take();
      },
      onpointerup: () => {
        const tapped = held;
        held = false;
        if (tapped) take();
      },
      onpointercancel: () => { // it scrolls
        held = false;
        play.ask();
      },
    });
    let entered = false;
    const typed = make("input", {
      type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": `${describe}, typed`,
      onchange: () => {
        entered = true;
        play.change({ [key]: typed.value }, true);
      },
    });
    play.refresh.push(() => {
      if (!held) range.value = between * stops.filter((stop) => stop < play.setting[key]).length;
      range.setAttribute("aria-valuetext", short(play.setting[key], 4));
      if (document.activeElement !== typed || entered) typed.value = String(Number(play.setting[key].toPrecision(12)));
      entered = false;
      range.disabled = typed.disabled = !matters();
    });
    const track = make("span", { class: "play-track" }, range);
    play.refresh.push(() => {
      // Where a rule has a largest stable learning rate, the track shows it: red and hatched is beyond.
      const limit = play.runs.find((run) => key === `${run.method.name}.lr`)?.theory?.limit ?? null;
      track.toggleAttribute("data-limit", limit !== null);
      if (limit !== null) track.style.setProperty("--limit", stops.filter((stop) => stop < limit).length / (stops.length - 1));
    });
    return make("div", { class: "play-slider" }, make("label", { for: id }, label), track, typed);
  }

  function methodBoxes(play) {
    const group = make("fieldset", { class: "play-methods" }, make("legend", {}, "Race"));
    for (const method of play.methods) {
      const box = make("input", {
        type: "checkbox",
        onchange: () => {
          const race = play.methods.map(({ name }) => name)
            .filter((name) => (name === method.name ? box.checked : play.setting.race.includes(name)));
          if (race.length) play.change({ race, adjust: box.checked ? method.name : play.setting.adjust });
          else play.change({ race: play.setting.race });
          if (!race.length) play.words = "one method at least has to run";
        },
      });
      play.refresh.push(() => (box.checked = play.setting.race.includes(method.name)));
      group.append(make("label", {}, box, swatch(method), method.title));
    }
    return group;
  }

  const placeOf = (method) => method.place ?? book.methods.indexOf(method);
  const swatch = (method) => swatchAt(placeOf(method));

  function adjustments(play) {
    const group = make("fieldset", { class: "play-adjust" });
    const choice = make("select", { "aria-label": "Method to adjust", onchange: () => play.change({ adjust: choice.value }) });
    const place = make("div");
    group.append(make("legend", {}, "Adjust"), choice, place);
    const panels = Object.fromEntries(play.methods.map((method) => {
      const panel = make("div", {}, ...method.hyper.map(({ name, symbol }) =>
        slider(play, `${method.name}.${name}`, `${symbol} (${name})`, `${symbol} of ${method.title}`)));
      if (method.uncorrected) {
        const box = make("input", {
          type: "checkbox",
          onchange: () => play.change({ [`${method.name}.corrected`]: box.checked ? "yes" : "no" }),
        });
        play.refresh.push(() => (box.checked = play.correctedOf(method)));
        panel.append(make("label", { class: "play-check" }, box, "bias correction"));
      }
      return [method.name, panel];
    }));
    play.refresh.push(() => {
      if (!same([...choice.options].map((option) => option.value), play.setting.race)) {
        choice.replaceChildren(...play.setting.race.map((name) => make("option", { value: name }, play.byName[name].title)));
      }
      choice.value = play.setting.adjust;
      choice.hidden = play.setting.race.length < 2;
      group.firstChild.textContent = play.setting.race.length < 2 ? play.byName[play.setting.adjust].title : "Adjust";
      if (place.firstChild !== panels[play.setting.adjust]) place.replaceChildren(panels[play.setting.adjust]);
    });
    return group;
  }

  /* What is asked for less often: closed where the window is narrow, or the bowl would be out of sight of η. */
  function more(play) {
    const details = make("details", { class: "play-more" },
      make("summary", {}, "More: methods, steps, bowl and noise"), methodBoxes(play), landscape(play));
    let wide = null;
    new ResizeObserver(() => {
      const now = getComputedStyle(details.firstChild).display === "none";
      if (now !== wide) details.open = wide = now;
    }).observe(play.root);
    return details;
  }

  function landscape(play) {
    const fresh = button("New noise", () =>
      play.change({ seed: (play.setting.seed + 1) % 10000, noise: play.setting.noise || 1 }));
    return make("fieldset", { class: "play-bowl-and-noise" }, make("legend", {}, "Steps, bowl and noise"),
      slider(play, "nsteps", "steps"), slider(play, "condition_number", "κ", "condition number κ"), slider(play, "rotation", "rotation °", "rotation in degrees"),
      slider(play, "noise", "noise σ"), slider(play, "seed", "seed", "seed", () => play.setting.noise > 0), fresh);
  }

  function transport(play) {
    const toggle = button("Play", () => (play.playing ? play.pause() : play.startPlaying()), { class: "play-play" });
    play.refresh.push(() => (toggle.textContent = play.playing ? "Pause" : "Play"));
    const move = (by) => () => {
      play.pause();
      play.change({ shown: clamp(play.setting.shown + by, 0, play.setting.nsteps) });
    };
    const shown = make("span", { class: "play-shown" });
    play.refresh.push(() => (shown.textContent = `step ${play.setting.shown} of ${play.setting.nsteps}`));
    return make("div", { class: "play-transport", role: "group", "aria-label": "Steps shown" },
      toggle, button("Back", move(-1)), button("Step", move(1)), button("All", move(SHARED.nsteps.high)), shown);
  }

  function topRow(play) {
    const preset = make("select", {
      "aria-label": "A figure of the book to begin from",
      onchange: () => {
        const chosen = play.presets[Number(preset.value)];
        if (chosen) play.change(settingOf(chosen.runs, play.methods, play.setting));
      },
    }, make("option", { value: "" }, "Figures of the book"), ...play.presets.map((preset, i) =>
      make("option", { value: i }, nameOf(play, preset))));
    const known = play.presets.map(({ runs }) => JSON.stringify(essence(settingOf(runs, play.methods, play.first))));
    play.refresh.push(() => {
      const place = known.indexOf(JSON.stringify(essence(play.setting)));
      preset.value = place < 0 ? "" : String(place);
    });
    const reset = button("Reset", () => {
      play.pause();
      play.change({ ...play.first });
    });
    return make("div", { class: "play-top" }, preset, reset, large(play));
  }

  /* A button that lets the playground fill the window, and gives the page its place back; Escape does, too. */
  function large(play) {
    const set = (on) => {
      play.root.classList.toggle("play-large", on);
      // What is behind it cannot be reached by the keyboard either.
      for (let node = play.root; node !== document.body; node = node.parentElement) {
        for (const other of node.parentElement.children) if (other !== node) other.inert = on;
      }
      document.documentElement.classList.toggle("play-behind", on);
      toggle.setAttribute("aria-pressed", String(on));
      if (!on) play.root.scrollIntoView({ block: "nearest" });
    };
    const toggle = button("Large", () => set(!play.root.classList.contains("play-large")), { "aria-pressed": "false" });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && play.root.classList.contains("play-large")) set(false);
    });
    return toggle;
  }

  /* A figure to begin from, by its number, its method and its setting; and the name of its file. */
  function nameOf(play, { figure, fname, runs: [run] }) {
    const { title, hyper, arguments: usual } = play.methods.find((method) => method.class === run.optimizer);
    const given = hyper.filter(({ name }) => name in run && !usual.some((pair) => same(pair, [name, run[name]])))
      .map(({ name, symbol }) => `, ${symbol} = ${short(run[name])}`).join("");
    return `${figure} ${title}${given}${run.noise ? `, noise σ = ${short(run.noise)}` : ""}: ${fname}`;
  }

  /* Something that follows the pointer, mouse, pen or finger, and the arrow keys; with shift they go five times as far. */
  function draggable(handle, follow, keys, move) {
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
      event.preventDefault();
    });
    // A style that says so is not heeded inside a picture: without this, the page scrolls away under the finger.
    handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) follow(event);
    });
    handle.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      move(keys[event.key], event.shiftKey ? 5 : 1);
    });
  }

  // --- the bowl -----------------------------------------------------------------------------------------------------

  function bowlView(play) {
    const clip = `${play.root.id}-clip`, plane = frame(book.look), { width, height, inner, toX, toY } = plane;
    const contours = make("g"), labels = make("g"), paths = make("g");
    const handle = make("g", {
      class: "play-handle", tabindex: 0, role: "slider", "aria-label": "Start of the descent, moved with the arrow keys",
      "aria-valuemin": SHARED.w1.low, "aria-valuemax": SHARED.w1.high,
    }, make("circle", { r: 22, class: "play-grip" }), make("circle", { r: 8 }));
    const hint = make("text", { class: "play-hint", "text-anchor": "end", "aria-hidden": "true" }, "drag me");
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "play-bowl", role: "group", "aria-label": "The bowl" },
      make("defs", {}, make("clipPath", { id: clip }, make("rect", inner))),
      make("rect", { ...inner, class: "play-frame" }),
      make("g", { "clip-path": `url(#${clip})` }, contours, labels,
        plane.minimum(), paths), ...plane.ticks(), hint, handle);
    const at = (event) => {
      const box = svg.getBoundingClientRect(), pixel = width / box.width;
      return plane.at((event.clientX - box.left) * pixel, (event.clientY - box.top) * pixel);
    };
    draggable(handle, (event) => play.moveStart(at(event)), {
      ArrowLeft: { w1: -1 }, ArrowRight: { w1: 1 }, ArrowUp: { w2: 1 }, ArrowDown: { w2: -1 },
    }, (by, factor) => play.moveStart(Object.fromEntries(Object.entries(by).map(([k, d]) => [k, play.setting[k] + d * factor * 0.05]))));
    const drawnPaths = new Map();
    let shape = null;
    play.refresh.push(() => {
      const { condition_number: kappa, rotation } = play.setting;
      if (!same(shape, [kappa, rotation])) {
        shape = [kappa, rotation];
        plane.drawContours(contours, labels, [1, kappa], rotation);
      }
      for (const method of play.methods) {
        if (!drawnPaths.has(method.name)) {
          const pair = pathAt(placeOf(method));
          drawnPaths.set(method.name, pair);
          paths.append(...pair);
        }
        const run = play.runs.find((candidate) => candidate.method === method);
        const count = run ? Math.min(run.count, play.setting.shown) + 1 : 0;
        plane.drawPath(drawnPaths.get(method.name), run?.xs, run?.ys, count);
      }
      handle.setAttribute("transform", `translate(${toX(play.setting.w1)} ${toY(play.setting.w2)})`);
      const moved = play.setting.w1 !== play.first.w1 || play.setting.w2 !== play.first.w2;
      hint.textContent = moved ? "" : "drag me";
      hint.setAttribute("x", toX(play.setting.w1) + 34);
      hint.setAttribute("y", toY(play.setting.w2) - 14);
      handle.setAttribute("aria-valuenow", play.setting.w1);
      handle.setAttribute("aria-valuetext", `w₁ = ${short(play.setting.w1)}, w₂ = ${short(play.setting.w2)}`);
    });
    return svg;
  }

  // --- loss against step --------------------------------------------------------------------------------------------

  const WIDE = 400, HIGH = 280, PAD = 44;

  function lossView(play) {
    const svg = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "play-loss", role: "img" });
    const grid = make("g"), curves = make("g"), clip = `${play.root.id}-loss-clip`;
    let drawnGrid = null;
    svg.append(make("defs", {}, make("clipPath", { id: clip },
      make("rect", { x: PAD, y: 4, width: WIDE - PAD - 6, height: HIGH - 40 }))), grid,
      make("g", { "clip-path": `url(#${clip})` }, curves));
    play.refresh.push(() => {
      if (play.setting.view !== "loss") return;
      let least = 1e6, most = 1e-14;
      for (const run of play.runs) {
        for (let i = 0; i <= run.count; i++) {
          if (run.losses[i] > most) most = run.losses[i];
          if (run.losses[i] < least) least = run.losses[i];
        }
      }
      const top = Math.ceil(Math.log10(clamp(most, 1e-14, 1e6)) + 1e-9);
      const bottom = Math.min(Math.floor(Math.log10(clamp(least, 1e-16, 1e6))), top - 1);
      const x = (step) => PAD + ((WIDE - PAD - 8) * step) / play.setting.nsteps;
      const raise = (power) => 4 + ((HIGH - 40) * (top - Math.max(power, -1e5))) / (top - bottom);
      const y = (loss) => raise(Math.log10(loss));
      const key = [bottom, top, play.setting.nsteps];
      if (!same(key, drawnGrid)) drawGrid(play, grid, x, y, bottom, top);
      drawnGrid = key;
      curves.replaceChildren();
      const names = [];
      for (const run of play.runs) {
        const pieces = [];
        for (let i = 0; i <= Math.min(run.count, play.setting.shown); i++) pieces.push(`${x(i).toFixed(1)} ${y(run.losses[i]).toFixed(1)}`);
        curves.append(make("path", { class: "play-line", d: `M${pieces.join("L")}`, ...lineAt(placeOf(run.method)) }));
        if (run.theory) {
          const end = Math.log10(run.losses[0]) + 2 * play.setting.nsteps * Math.log10(run.theory.rate);
          curves.append(make("path", { class: "play-theory", d: `M${x(0)} ${y(run.losses[0])}L${x(play.setting.nsteps)} ${raise(end)}` }));
          const floor = HIGH - 36, first = y(run.losses[0]), slope = (raise(end) - first) / (x(play.setting.nsteps) - x(0));
          // Its name stands where the line leaves the picture, or ends in it; one name is enough for lines that end together.
          const place = slope * (WIDE - 8 - x(0)) + first > floor ? x(0) + (floor - first) / slope : WIDE - 8;
          const name = [Math.max(place - 4, PAD + 40), clamp(first + slope * (place - x(0)) - 6, 16, floor - 6)];
          if (names.some((other) => Math.hypot(other[0] - name[0], other[1] - name[1]) < 30)) continue;
          names.push(name);
          curves.append(make("text", { class: "play-level play-theory-name", x: name[0], y: name[1] }, "theory"));
        }
      }
      svg.setAttribute("aria-label", `Loss against step: ${play.runs.map((run) =>
        `${run.method.title} from ${short(run.losses[0])} to ${short(run.losses[run.count])}`).join("; ")}`);
    });
    return svg;
  }

  function drawGrid(play, grid, x, y, bottom, top) {
    const every = Math.ceil((top - bottom) / 5), floor = HIGH - 36, raised = (n) =>
      String(n).replace(/./g, (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);
    const lines = [];
    for (let power = bottom; power <= top; power += every) {
      lines.push(make("line", { class: "play-grid", x1: PAD, x2: WIDE - 8, y1: y(10 ** power), y2: y(10 ** power) }),
        make("text", { class: "play-tick", x: PAD - 5, y: clamp(y(10 ** power) + 4, 12, floor), "text-anchor": "end" }, `10${raised(power)}`));
    }
    const rough = play.setting.nsteps / 5, ten = 10 ** Math.floor(Math.log10(rough));
    const between = Math.max(1, [1, 2, 5, 10].find((n) => n * ten >= rough) * ten);
    for (let step = 0; step <= play.setting.nsteps; step += between) {
      // The last one is as far right as it goes, where there is room for half of it only.
      const place = x(step) > WIDE - 24 ? { x: WIDE - 2, "text-anchor": "end" } : { x: x(step), "text-anchor": "middle" };
      lines.push(make("text", { class: "play-tick", y: floor + 16, ...place }, String(step)));
    }
    lines.push(make("text", { class: "play-tick", x: (PAD + WIDE) / 2, y: HIGH - 4, "text-anchor": "middle" },
      "loss against step"));
    grid.replaceChildren(...lines);
  }

  // --- the map ------------------------------------------------------------------------------------------------------

  function mapView(play) {
    const canvas = make("canvas", { width: CELLS, height: CELLS, "aria-hidden": "true" });
    const pencil = canvas.getContext("2d"), picture = pencil.createImageData(CELLS, CELLS);
    const dot = make("g", { class: "play-handle", tabindex: 0, role: "slider", "aria-valuemin": 0 },
      make("circle", { r: 22, class: "play-grip" }), make("circle", { r: 7 }));
    const marks = make("g"), theories = make("g");
    const svg = make("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", "aria-label": "Map of settings" }, marks, theories, dot);
    const axis = make("select", { "aria-label": "Vertical axis of the map", onchange: () => play.change({ axis: axis.value }) });
    const wrapper = make("div", { class: "play-map" }, canvas, svg), note = make("p");
    const ranges = () => {
      const method = play.byName[play.setting.adjust];
      return [`${method.name}.lr`, play.axisOf(method)].map((key) => {
        const { low, high, log } = play.table[key];
        return { key, low: log ? Math.log(low) : low, high: log ? Math.log(high) : high, log };
      });
    };
    const place = ({ key, low, high, log }) => ((log ? Math.log(play.setting[key]) : play.setting[key]) - low) / (high - low);
    const value = (range, part) => clamp(Number(valueAt(range, clamp(part, 0, 1)).toPrecision(3)),
      play.table[range.key].low, play.table[range.key].high);
    const put = (parts) => play.change(Object.fromEntries(ranges().map((range, i) => [range.key, value(range, parts[i])])));
    const box = { left: PAD, top: 4, width: WIDE - PAD - 8, height: HIGH - 40 };
    const follow = (event) => {
      const edge = svg.getBoundingClientRect(), pixel = WIDE / edge.width;
      put([((event.clientX - edge.left) * pixel - box.left) / box.width,
        1 - ((event.clientY - edge.top) * pixel - box.top) / box.height]);
    };
    draggable(dot, follow, { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] },
      (by, factor) => put(ranges().map((range, i) => place(range) + (by[i] * factor) / CELLS)));
    svg.addEventListener("click", (event) => event.target === svg && follow(event));
    const best = make("p", { class: "play-best" });
    const show = () => {
      play.map.steps.forEach((steps, i) => picture.data.set(shade(steps), 4 * i));
      pencil.putImageData(picture, 0, 0);
      const rows = play.map.row === CELLS ? play.map.rates : [], { rateAt } = play.map;
      theories.replaceChildren();
      best.textContent = "";
      if (!rows.length) return;
      const at = ([x, y]) => [box.left + box.width * x, box.top + box.height * (1 - y)];
      const points = limitsOn(rows, rateAt).map((part, row) => part && at([part, (row + 0.5) / CELLS])).filter(Boolean);
      if (points.length) {
        const [x, y] = points[points.length - 1];
        theories.append(make("path", { class: "play-limit", d: `M${points.join("L")}` }),
          make("text", { class: "play-tick", x: x + 6, y: y + 12 }, "limit"));
      }
      const [across, up] = ranges(), method = play.byName[play.setting.adjust];
      if (up.key === "condition_number") return; // a round bowl is always the fastest
      const found = bestOn(rows, rateAt), [lr, other] = [across, up].map((range, i) => valueAt(range, found.place[i]));
      theories.append(make("path", { class: "play-optimum", d: starPath(...at(found.place)) }));
      best.textContent = `★ the smallest rate of theory, ${short(found.rate)}: η = ${short(lr)}, ${
        method.hyper.find(({ name }) => up.key.endsWith(`.${name}`)).symbol} = ${short(other)}`;
    };
    play.refresh.push(() => {
      if (play.setting.view !== "map") return;
      const method = play.byName[play.setting.adjust], [across, up] = ranges();
      const decays = method.hyper.filter(({ decay }) => decay);
      const choices = [...decays.map(({ name, symbol }) => [name, symbol]), ["condition_number", "κ"]];
      if (!same([...axis.options].map((option) => option.value), choices.map(([name]) => name))) {
        axis.replaceChildren(...choices.map(([name, symbol]) => make("option", { value: name }, `η and ${symbol}`)));
      }
      axis.value = up.key.replace(`${method.name}.`, "");
      dot.setAttribute("transform",
        `translate(${box.left + box.width * place(across)} ${box.top + box.height * (1 - place(up))})`);
      note.textContent = Math.hypot(play.setting.w1, play.setting.w2) > NEAR ? ""
        : `The start is within ${NEAR} of the minimum: each run that does not diverge is there in 0 steps.`;
      const run = play.runs.find((candidate) => candidate.method === method);
      dot.setAttribute("aria-label", `Setting of ${method.title} on the map, moved with the arrow keys`);
      dot.setAttribute("aria-valuenow", short(play.setting[across.key], 3));
      dot.setAttribute("aria-valuemax", play.table[across.key].high);
      dot.setAttribute("aria-valuetext", `η = ${short(play.setting[across.key])}, ${choices.find(([name]) => name === axis.value)[1]} = ${
        short(play.setting[up.key])}: ${run ? run.outcome : ""}`);
      drawMarks(play, marks, across, up, box, choices.find(([name]) => name === axis.value)[1]);
      compute(play, method, across, up, show);
    });
    return make("div", { class: "play-map-panel" }, wrapper, make("div", { class: "play-legend" }, axis, legend()), best, note);
  }

  /* The value at a part of an axis of the map. */
  function valueAt({ low, high, log }, part) {
    const inside = low + (high - low) * part;
    return log ? Math.exp(inside) : inside;
  }

  function drawMarks(play, marks, across, up, box, symbol) {
    const texts = [], floor = box.top + box.height;
    const label = (range, part) => short(valueAt(range, part), 2);
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      texts.push(make("text", { class: "play-tick", x: box.left + box.width * part, y: floor + 16,
        "text-anchor": part === 1 ? "end" : "middle" }, label(across, part)));
      texts.push(make("text", { class: "play-tick", x: box.left - 5, y: clamp(floor - box.height * part + 4, 12, floor),
        "text-anchor": "end" }, label(up, part)));
    }
    texts.push(make("text", { class: "play-tick", x: box.left + box.width / 2, y: HIGH - 4, "text-anchor": "middle" },
      `steps to ${NEAR}: η across, ${symbol} up`));
    marks.replaceChildren(make("rect", { x: box.left, y: box.top, width: box.width, height: box.height, class: "play-frame" }), ...texts);
  }

  /* Run all settings of the map, some milliseconds at a time, so that a reader who drags isn't held up. */
  function compute(play, method, across, up, show) {
    // The map is the same wherever its dot stands, and however many steps are drawn.
    const free = { ...play.setting, nsteps: 0, race: [method.name], [across.key]: 0, [up.key]: 0 };
    const key = JSON.stringify([across.key, up.key, essence(free)]);
    if (key === play.map.key) return;
    const began = performance.now(), start = [play.setting.w1, play.setting.w2], step = rule(method, play.correctedOf(method));
    const { noise } = play.setting, xi = noiseOf(play.setting.seed, PATIENCE + 1), hyper = play.hyperOf(method);
    const given = { ...play.setting }, name = up.key.replace(`${method.name}.`, "");
    const settingAt = ([x, y]) => {
      const height = valueAt(up, y), kappa = name === "condition_number" ? height : given.condition_number;
      hyper.lr = valueAt(across, x);
      if (name !== "condition_number") hyper[name] = height;
      return kappa;
    };
    const rateAt = (place) => rateOf(step, method.state, hyper, settingAt(place));
    Object.assign(play.map, { key, row: 0, rates: [], rateAt });
    play.map.steps.fill(-1);
    show();
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      if (play.map.key !== key || play.setting.view !== "map") {
        if (play.map.key === key) play.map.key = "";
        return channel.port1.close();
      }
      const slice = performance.now();
      while (play.map.row < CELLS && performance.now() - slice < 8) {
        const rates = [];
        for (let column = 0; column < CELLS; column++) {
          const place = [(column + 0.5) / CELLS, (play.map.row + 0.5) / CELLS], A = bowl(settingAt(place), given.rotation);
          rates.push(rateAt(place));
          play.map.steps[(CELLS - 1 - play.map.row) * CELLS + column] = rates[column] > 1 + EXACT
            ? NaN : stepsToNear(step, method.state, hyper, A, start, noise, xi);
        }
        if (rates[0] !== null) play.map.rates.push(rates);
        play.map.row++;
      }
      show();
      play.map.took = performance.now() - began;
      if (play.map.row < CELLS) channel.port2.postMessage(0);
      else channel.port1.close();
    };
    channel.port2.postMessage(0);
  }

  /* Where the rate of theory passes 1, in each row of the map from below: the place across, in widths of it; null where
     it does not. */
  function limitsOn(rows, rateAt) {
    return rows.map((rates, row) => {
      const over = rates.findIndex((rate, i) => rate > 1 && rates[i - 1] <= 1);
      if (over < 0) return null;
      let [low, high] = [(over - 0.5) / CELLS, (over + 0.5) / CELLS];
      for (let k = 0; k < 12; k++) {
        const middle = (low + high) / 2;
        if (rateAt([middle, (row + 0.5) / CELLS]) > 1) high = middle;
        else low = middle;
      }
      return low;
    });
  }

  /* The setting on the map whose rate of theory is the smallest: the best cell, and from there ever smaller moves. */
  function bestOn(rows, rateAt) {
    let best = [0, 0], least = Infinity;
    rows.forEach((rates, row) => rates.forEach((rate, column) => {
      if (rate < least) [best, least] = [[(column + 0.5) / CELLS, (row + 0.5) / CELLS], rate];
    }));
    for (let size = 0.5 / CELLS; size > 1e-6; size /= 2) {
      for (let moved = true; moved;) {
        moved = false;
        for (const [x, y] of [[-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, 1], [-1, 1], [1, -1]]) {
          const place = [clamp(best[0] + x * size, 0, 1), clamp(best[1] + y * size, 0, 1)], rate = rateAt(place);
          if (rate < least) [best, least, moved] = [place, rate, true];
        }
      }
    }
    return { place: best, rate: least };
  }

  /* The colour of a number of steps: bright is fast, dark is slow, blank is lost. */
  const STOPS = [[253, 231, 37], [94, 201, 98], [33, 145, 140], [59, 82, 139], [68, 1, 84]];
  function shade(steps) {
    if (Number.isNaN(steps) || steps < 0) return [0, 0, 0, 0];
    if (steps === Infinity) return [36, 10, 46, 255];
    const at = (4 * Math.log(Math.max(steps, 1))) / Math.log(PATIENCE), low = Math.min(Math.floor(at), 3);
    return [0, 1, 2].map((i) => STOPS[low][i] + (STOPS[low + 1][i] - STOPS[low][i]) * (at - low)).concat(255);
  }

  function legend() {
    const key = (steps, text) => {
      const box = make("span", { class: "play-key" });
      const [r, g, b, a] = shade(steps);
      box.style.backgroundColor = a ? `rgb(${r} ${g} ${b})` : "transparent";
      return make("span", {}, box, text);
    };
    return make("span", { class: "play-keys" }, key(3, "3"), key(10, "10"), key(40, "40"), key(PATIENCE, `${PATIENCE} steps`),
      key(Infinity, "longer"), key(NaN, "diverges"));
  }

  // --- the views, and what is taken away ----------------------------------------------------------------------------

  function views(play) {
    const panels = { loss: lossView(play), map: mapView(play) };
    const names = { loss: "Loss", map: "Map of settings" };
    const tabs = Object.keys(panels).map((view) => {
      const tab = button(names[view], () => play.change({ view }), { class: "play-tab" });
      play.refresh.push(() => {
        tab.setAttribute("aria-pressed", String(play.setting.view === view));
        panels[view].toggleAttribute("data-off", play.setting.view !== view);
      });
      return tab;
    });
    return make("div", { class: "play-views" }, make("div", { class: "play-tabs", role: "group", "aria-label": "View" }, ...tabs),
      panels.loss, panels.map);
  }

  function takeAway(play) {
    // Not a pre: the theme takes those that do not scroll yet out of the keyboard's way.
    const code = make("div", { class: "play-python", tabindex: 0, role: "group", "aria-label": "The same in Python" });
    const copy = (what, text) => button(what, async (event) => {
      const here = event.currentTarget, worked = await toClipboard(text(), code);
      here.textContent = worked ? "Copied" : "Select it and copy";
      setTimeout(() => (here.textContent = what), 2000);
    });
    const link = () => window.location.href.split("#")[0] + (wholeAddress([play.root.id]) || `#${play.root.id}`);
    const details = make("details", { class: "play-take", ontoggle: () => play.ask() },
      make("summary", {}, "Take it with you: Python, link"), code, copy("Copy as Python", () => python(play)), copy("Copy link", link));
    play.refresh.push(() => {
      const now = details.open ? python(play) : "";
      if (code.textContent !== now) code.textContent = now;
    });
    return details;
  }

  /* Copy a text; where that is not allowed, select what shows it, so that the reader can copy it. */
  async function toClipboard(text, shownBy) {
    try {
      await window.navigator.clipboard.writeText(text);
      return true;
    } catch {
      window.getSelection().selectAllChildren(shownBy);
      return false;
    }
  }

  paint("playground", book.look);
  /* Let a playground race a reader's own class beside the method that it is, and bring it into the window. */
  function race(id, cls, like, run) {
    const methods = book.methods.filter(({ name }) => name !== cls), at = methods.findIndex(({ name }) => name === like);
    // Where the two paths are one, a line of another dash and colour lets both be seen.
    const place = methods.length + at + 2;
    const own = { ...methods[at], name: cls, title: cls, class: cls, uncorrected: null, run, place };
    book.methods = [...methods, own];
    const play = book.open[id];
    play.join(own, like);
    play.root.scrollIntoView();
  }

  book.race = race;
  book.simulate = simulate;
  book.generator = generator;
  book.bowl = bowl;
  book.open = {};
  followWords();
  beginWhenNear([...document.querySelectorAll(".playground")]);
})();
