/* What a page offers before anybody uses it: two buttons below each cell, and a place to write in each exercise. All else,
   the editor and Python, is loaded at the first use. The page brings `descentInPage`: which files those are, whether
   its cells can run, what runs before the first one, and what each exercise asks for (book/_ext/inpage/page.py). */
"use strict";
(() => {
  const { files, cells: runs, setup, exercises } = window.descentInPage, here = document.currentScript.src;
  const address = (name) => new URL(name, here).href;
  let bench = null;

  function load() {
    bench ??= new Promise((done, refuse) => {
      const script = document.createElement("script");
      script.src = address(files.workbench);
      script.onload = () => {
        const made = window.descentWorkbench({ scripts: [files.python, files.library].map(address), setup });
        made.cells = cells.map((given) => made.block(given));
        done(made);
      };
      script.onerror = () => {
        script.remove();
        bench = null;
        refuse(new Error(`${files.workbench} could not be loaded`));
      };
      document.head.append(script);
    });
    return bench;
  }

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element[name] = value;
    element.append(...children);
    return element;
  }

  /* What a reader has written, kept in the browser, where that is allowed. */
  const kept = {
    read(key) {
      try { return localStorage.getItem(key); } catch { return null; }
    },
    write(key, text) {
      try {
        if (text === null) localStorage.removeItem(key);
        else localStorage.setItem(key, text);
      } catch { /* then it lasts as long as the page */ }
    },
  };

  /* The controls of a piece of code, and what the workbench has to know of it. */
  function blockOf(name, code, after, parts, more) {
    const hint = make("span", { className: "run-hint", id: `run-hint-${name.replace(" ", "-")}`, hidden: true },
      "Ctrl+Enter runs it. Tab indents; Esc, then Tab leaves.");
    const button = (text, hidden = false) => make("button", { type: "button", textContent: text, hidden });
    const given = {
      code, label: name, exercise: null, keep: () => {},
      parts: { place: make("div", {}), hint, run: button("Run"), stop: button("Stop", true), edit: button("Edit"), reset: button("Reset", true),
        said: make("div", { className: "run-said" }), out: make("div", { className: "run-out" }), ...parts },
      ...more,
    };
    const { place, run, stop, edit, reset, said, out, plain } = given.parts;
    said.setAttribute("role", "status");
    for (const one of [run, stop, edit, reset]) one.setAttribute("aria-label", `${one.textContent}: ${given.label}`);
    const act = async (what) => {
      try {
        (await load()).block(given)[what]();
      } catch (error) {
        said.textContent = `${error.message}.`;
      }
    };
    run.addEventListener("click", () => act("run"));
    edit.addEventListener("click", () => act("edit"));
    reset.addEventListener("click", () => act("reset"));
    const bar = make("div", { className: "run-bar" }, run, stop, ...(plain ? [] : [edit]), reset, hint);
    after.after(make("div", { className: "run" }, ...(plain ? [plain] : []), place, bar, said, out));
    if (!plain) after.append(place);
    return [given, act];
  }

  const inputs = runs ? document.querySelectorAll(".bd-article .cell > .cell_input") : [];
  const cells = [...inputs].map((input, number) => {
    const shown = input.querySelector(".highlight"), code = shown.querySelector("pre").textContent.trimEnd();
    const [given] = blockOf(`cell ${number + 1}`, code, input, { shown });
    return given;
  });

  /* Cells that need what the page lacks have no buttons; below the first of them stands why. */
  if (!runs) {
    const notebook = document.querySelector(".dropdown-item[href$='.ipynb']");
    const place = notebook ? make("a", { href: notebook.href }, "the notebook") : "the notebook";
    document.querySelector(".bd-article .cell > .cell_input")?.after(
      make("div", { className: "run run-hint" }, "These cells need the whole of PyTorch: ", place, " runs them."));
  }

  for (const { id, code, ...exercise } of exercises) {
    const around = document.getElementById(id);
    const key = `descent ${window.location.pathname} ${id}`, draft = kept.read(key), keep = (text) => kept.write(key, text);
    const plain = make("textarea", { className: "run-plain", value: draft ?? code, spellcheck: false, rows: code.split("\n").length });
    plain.setAttribute("aria-label", `Your ${exercise.cls}`);
    plain.setAttribute("autocapitalize", "off");
    const [given, act] = blockOf(id, code, around.lastElementChild, { plain }, { label: `Your ${exercise.cls}`, exercise, keep });
    given.parts.reset.hidden = draft === null;
    plain.addEventListener("focus", () => act("edit"), { once: true });
    plain.addEventListener("input", () => keep(plain.value));
    plain.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      act("run");
    });
  }

  window.descent = { run: async (code) => (await load()).run(code), ready: async () => (await load()).ready() };
})();
