/* A page's session of Python: one worker, which runs one piece of code after the other and can be ended at any time. */

export const LIMIT = 20; // seconds that a run may take

const SLOW = `This ran for ${LIMIT} seconds and was ended. Does a loop never stop? All that ran before is forgotten.`;
const STOPPED = "Stopped. All that ran before is forgotten.";

const failed = (error) => ({ printed: "", error, figures: [], verdict: null });

/* Load a plain script, which a page from disk may do. */
function load(address) {
  return new Promise((done, refuse) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = done;
    script.onerror = () => {
      script.remove();
      refuse(new Error(`${address.split("/").pop()} could not be loaded`));
    };
    document.head.append(script);
  });
}

const unpacked = (base64) => new Response(
  new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]).stream()
    .pipeThrough(new DecompressionStream("gzip"))).text();

export class Session {
  /* scripts: the addresses of Python and of the book's code; program: what the worker does; page: what it begins with;
     onFresh: called when all that ran is forgotten. */
  constructor(scripts, program, page, onFresh) {
    Object.assign(this, { scripts, program, page, onFresh, worker: null, starting: null, running: null, queue: Promise.resolve() });
  }

  /* Resolves when Python can run. */
  ready() {
    this.starting ??= this.start().catch((error) => {
      this.end();
      throw error;
    });
    return this.starting;
  }

  async start() {
    if (!window.descentPython || !window.descentLibrary) await Promise.all(this.scripts.map(load));
    const { scripts, wasm, library } = window.descentPython;
    this.source ??= new Blob([await unpacked(scripts), "\n", this.program]);
    const address = URL.createObjectURL(this.source), worker = this.worker = new Worker(address);
    URL.revokeObjectURL(address);
    worker.onmessage = ({ data }) => this.hear(worker, data);
    worker.onerror = (event) => this.hear(worker, { broken: event.message });
    return new Promise((done, refuse) => {
      this.started = { done, refuse };
      worker.postMessage({ start: { wasm, library, files: window.descentLibrary.files, page: this.page } });
    });
  }

  /* What the worker says: it is ready, or has a result, or can't go on. */
  hear(worker, { ready, result, broken }) {
    if (worker !== this.worker) return;
    if (ready) this.started.done();
    else if (result) this.running?.({ ...result, error: result.error ?? null, verdict: result.verdict ?? null });
    else if (this.running) this.fresh(`Python itself has stopped: ${broken}. All that ran before is forgotten.`);
    else this.started.refuse(new Error(broken));
  }

  /* Run a piece of code, after those that were asked for before. Resolves to what it printed, raised, drew, was told. */
  run(code) {
    const result = this.queue.then(() => this.runNow(code));
    this.queue = result;
    return result;
  }

  async runNow(code) {
    try {
      await this.ready();
    } catch (error) {
      return failed(`Python did not start: ${error.message}.`);
    }
    let timer = 0;
    const result = await new Promise((done) => {
      this.running = done;
      timer = setTimeout(() => this.fresh(SLOW), 1000 * LIMIT);
      this.worker.postMessage({ run: code });
    });
    clearTimeout(timer);
    this.running = null;
    return result;
  }

  /* End what runs, if anything does. */
  stop() {
    if (this.running) this.fresh(STOPPED);
  }

  /* End what runs, say why, and begin again. */
  fresh(why) {
    const answer = this.running;
    this.running = null;
    this.end();
    this.onFresh();
    answer(failed(why));
    this.ready().catch(() => {}); // the next run waits for it, and says so if it fails
  }

  end() {
    this.worker?.terminate();
    this.worker = this.starting = null;
  }
}
