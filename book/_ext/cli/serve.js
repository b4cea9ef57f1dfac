// In the live preview, each page asks to be told of the next build: then it shows it, at the place where the reader was.
(() => {
  "use strict";
  const KEY = "descent-place";

  // What the reader sees first: the element that begins nearest to the top of the window, and how far below it.
  function place() {
    let nearest = { id: "", top: -scrollY };
    for (const element of document.querySelectorAll("article [id]")) {
      if (!element.getClientRects().length) continue; // it is hidden, and has no place
      const top = element.getBoundingClientRect().top;
      if (Math.abs(top) < Math.abs(nearest.top)) nearest = { id: element.id, top };
    }
    return { ...nearest, y: scrollY };
  }

  function goBack({ id, top, y }) {
    const element = id && document.getElementById(id);
    scrollTo({ top: element ? scrollY + element.getBoundingClientRect().top - top : y, behavior: "instant" });
  }

  function settle() {
    const kept = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    if (!kept) return;
    const before = JSON.parse(kept);
    if (before.path !== location.pathname) return;
    goBack(before);
    addEventListener("load", () => goBack(before));
  }

  const panel = document.createElement("div");
  panel.attachShadow({ mode: "open" }).innerHTML = `
    <style>
      div { position: fixed; inset: auto 0 0 0; z-index: 9999; max-height: 50vh; overflow: auto; display: none;
            font: 14px/1.5 ui-monospace, monospace; padding: 0.8rem 1.2rem; white-space: pre-wrap;
            overflow-wrap: anywhere; background: #fff4f4; color: #6b0010; border-top: 4px solid #c8102e; }
      div.busy { inset: auto 1rem 1rem auto; padding: 0.2rem 0.8rem; background: #1a1c20; color: #fff; border: 0;
                 border-radius: 4px; }
      div.busy, div.fault { display: block; }
    </style>
    <div role="status" aria-live="polite"></div>`;
  const said = panel.shadowRoot.querySelector("div");

  function say(kind, text) {
    said.className = kind;
    said.textContent = text;
  }

  function listen() {
    const page = encodeURIComponent(location.pathname);
    const socket = new WebSocket(`ws://${location.host}/.live?page=${page}&seen=${document.documentElement.dataset.seen}`);
    socket.onmessage = (message) => {
      const { state, text } = JSON.parse(message.data);
      if (state === "reload") {
        sessionStorage.setItem(KEY, JSON.stringify({ path: location.pathname, ...place() }));
        location.reload();
      } else {
        say(state, text);
      }
    };
    socket.onclose = () => {
      say("busy", "make serve has ended; this page may not be what the files say");
      setTimeout(listen, 500);
    };
  }

  history.scrollRestoration = "manual";
  settle();
  document.documentElement.append(panel);
  listen();
})();
