/* The workbench of a page, loaded at the first use: editors, the session of Python, and what is shown of a run.

   `_static/inpage.js` has put the buttons into the page; it hands over each block of code when somebody uses it. */
import worker from "./worker.js" with { type: "text" };
import { editor } from "./editor.js";
import { figureOf, paintRuns, textOf, verdictOf } from "./results.js";
import { Session } from "./session.js";

const { make } = window.descentBowl;

/* Draw a class at the setting of the section's figure, and before it the equation that it is to follow. */
const drawCode = ({ method, cls, hyper, setting }) => `from optim_code import output, w
from optim_code.marking.checking import compiled
output(compiled(${JSON.stringify(method)})([w], ${hyper}), ${setting})
output(${cls}([w], ${hyper}), ${setting})`;
const checkCode = ({ method, cls }) => `from optim_code import check\ncheck(${JSON.stringify(method)}, ${cls})`;

class Block {
  /* parts: the elements that the page has made; code: as the book has it; exercise: what it asks for, or null. */
  constructor(bench, { parts, code, label, exercise, keep }) {
    Object.assign(this, { bench, parts, code, label, exercise, keep, editor: null, hasRun: false });
    parts.stop.addEventListener("click", () => bench.session.stop());
  }

  get text() {
    return this.editor ? this.editor.text : this.parts.plain?.value ?? this.code;
  }

  /* Put the editor in the place of the code. */
  edit() {
    const { plain, shown, place, hint, reset } = this.parts;
    if (!this.editor) {
      const selection = plain && [plain.selectionStart, plain.selectionEnd];
      place.classList.add("run-editor", "highlight");
      this.editor = editor(place, this.text, this.label, hint.id, (text) => this.changed(text), () => this.run());
      (plain ?? shown).hidden = true;
      hint.hidden = reset.hidden = false;
      if (selection) this.editor.select(...selection);
      this.bench.ready().catch(() => {}); // who writes is about to run; then Python is there
    }
    this.editor.focus();
  }

  changed(text) {
    this.hasRun = false;
    this.keep(text === this.code ? null : text);
  }

  reset() {
    const { plain, shown, place, hint, reset } = this.parts;
    this.keep(null);
    this.hasRun = false;
    if (plain) {
      plain.value = this.code;
      if (this.editor) this.editor.text = this.code;
    } else {
      this.editor?.destroy();
      this.editor = null;
      place.classList.remove("run-editor", "highlight");
      shown.hidden = false;
      hint.hidden = reset.hidden = true;
      this.parts.edit.focus();
    }
    this.show(null);
  }

  async run() {
    if (this.running) return;
    this.running = true;
    const { run, stop } = this.parts;
    run.disabled = true;
    this.say(this.bench.started ? "Running …" : "Starting Python, which takes some seconds once …");
    try {
      await this.bench.ready().catch(() => {}); // the run itself says why Python did not start
      this.say("Running …");
      stop.hidden = false;
      this.show(await (this.exercise ? this.runExercise() : this.bench.runCell(this)));
    } finally {
      this.running = false;
      run.disabled = false;
      stop.hidden = true;
    }
  }

  /* The reader's code, then the figure and the check that the exercise asks for. */
  async runExercise() {
    const { bench, exercise: { method, cls } } = this;
    await bench.run(`globals().pop(${JSON.stringify(cls)}, None);`); // names outlast a run; this class has to be there now
    const own = await bench.run(this.text);
    if (own.error) return own;
    const known = await bench.run(`print(${JSON.stringify(cls)} in globals())`);
    if (known.error) return known;
    if (known.printed.trim() !== "True") return { ...own, error: `This exercise marks a class of the name ${cls}. Call yours so.` };
    const isMarked = own.verdict?.method === method && own.verdict.cls === cls; // their code may call check itself
    const marked = isMarked ? own : await bench.run(checkCode(this.exercise));
    const drawn = await bench.run(drawCode(this.exercise));
    return { ...own, error: marked.error, verdict: marked.verdict, figures: [...own.figures, ...this.beside(drawn.figures)] };
  }

  /* One figure of the two: the book's own path, and the reader's; none if the class can't run. */
  beside([book, own]) {
    if (!own) return [];
    const { cls, title, caption } = this.exercise, [{ points }] = book.paths, name = `the book's ${title}`;
    const end = points[points.length - 1].map((x) => Number(x.toPrecision(3))).join(", ");
    const alt = `${cls}. ${own.alt} In the same picture, ${name}, which ends at (${end}).`;
    return [{ bowl: own.bowl, title: caption, alt, paths: [{ name, points }, { ...own.paths[0], name: cls }] }];
  }

  /* A class that has passed can be raced in the first playground of the page that has its method. */
  offerRace(out) {
    const { bench, exercise: { method, cls }, text } = this;
    const place = [...document.querySelectorAll(".playground")].find(({ dataset }) => {
      const { methods } = JSON.parse(dataset.begin);
      return !methods.length || methods.includes(method);
    });
    if (!place) return;
    const race = () => window.descentPlayground.race(place.id, cls, method, bench.racer(text, cls));
    out.append(make("div", { class: "run-bar" }, make("button", { type: "button", onclick: race }, `Race ${cls} in the playground`)));
  }

  say(text) {
    this.parts.said.replaceChildren(make("p", { class: "run-state" }, text));
  }

  /* Show a result; null clears it. What is said of it is announced. */
  show(result) {
    const { said, out } = this.parts;
    said.replaceChildren();
    out.replaceChildren();
    if (!result) return;
    const { printed, error, figures, verdict } = result;
    if (verdict) said.append(verdictOf(verdict));
    else said.append(make("p", { class: "run-state" }, error ? error.trim().split("\n").pop() : "Ran."));
    if (printed) out.append(textOf("run-printed", "Printed", printed));
    if (verdict?.passed && this.exercise) this.offerRace(out);
    if (error?.trim().includes("\n")) out.append(textOf("run-error", "Error", error));
    out.append(...figures.map((figure) => figureOf(figure, window.descentLibrary.look)));
  }
}

class Workbench {
  constructor({ scripts, setup }) {
    this.blocks = new Map();
    this.started = false;
    this.session = new Session(scripts, worker, { setup }, () => this.blocks.forEach((block) => (block.hasRun = false)));
  }

  /* The block of somebody's use, as the page has made it. */
  block(given) {
    if (!this.blocks.has(given)) this.blocks.set(given, new Block(this, given));
    return this.blocks.get(given);
  }

  async ready() {
    await this.session.ready();
    if (!this.started) paintRuns(window.descentLibrary.look);
    this.started = true;
  }

  async run(code) {
    await this.ready().catch(() => {}); // the session says why it did not start
    return this.session.run(code);
  }

  /* What runs a class, defined by some code, at a setting of the playground: to its points, or to a text that says why
     it fails, or to null if meanwhile another setting is asked for. */
  racer(code, cls) {
    let latest = null, now = Promise.resolve();
    return async (asked) => {
      latest = asked;
      await now;
      if (latest !== asked) return null;
      const { hyper, start, nsteps, noise, seed, condition_number: kappa, rotation } = asked;
      const given = Object.entries(hyper).map(([name, value]) => `${name}=${value}`).join(", ");
      const setting = `nsteps=${nsteps}, noise=${noise}, seed=${seed}, start=(${start}), problem=bowl(${kappa}, ${rotation})`;
      const drawn = this.run(`${code}
from optim_code import output, w
from optim_code.problems import bowl
output(${cls}([w], ${given}), ${setting})`);
      now = drawn;
      const { figures, error } = await drawn;
      return error ? error.trim().split("\n").pop() : figures.at(-1).paths[0].points;
    };
  }

  /* Run a cell, and before it the cells above it that have not run yet: it may need what they define. */
  async runCell(cell) {
    for (const other of this.cells.slice(0, this.cells.indexOf(cell))) {
      if (!other.hasRun) await this.runOne(other);
    }
    return this.runOne(cell);
  }

  async runOne(cell) {
    const result = await this.run(cell.text);
    cell.hasRun = !result.error;
    return result;
  }
}

window.descentWorkbench = (options) => new Workbench(options);
