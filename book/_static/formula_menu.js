/* The menu that MathJax opens on a right click on a formula. It comes before MathJax on every page that has formulas.

   The book ships only a part of MathJax. An entry that needs another part would load a file that is not there, and
   because MathJax stores each choice, no page would show a formula from then on. So the menu offers only the entries
   named here, and a stored setting that no entry here can make is deleted before MathJax reads it. */
"use strict";
(() => {
  const STORED = "MathJax-Menu-Settings"; // where MathJax keeps the settings
  const ENTRIES = {
    Show: { MathMLcode: {}, Original: {} },
    Copy: { MathMLcode: {}, Original: {} },
    Settings: {
      ZoomTrigger: {
        ZoomNow: {}, NoZoom: {}, Click: {},
        ["Double" + "Click"]: {}, // apart, because the check of the spelling takes it for a mistake
        TriggerRequires: {}, Alt: {}, Option: {}, Command: {}, Control: {}, Shift: {},
      },
      ZoomFactor: { "150%": {}, "175%": {}, "200%": {}, "250%": {}, "300%": {}, "400%": {} },
      Scale: {}, texHints: {}, semantics: {}, Reset: {},
    },
    Accessibility: { InTabOrder: {}, AssistiveMml: {} },
    About: {},
  };

  const oneOf = (...values) => (value) => values.includes(value);
  const yesOrNo = oneOf(true, false);
  const SETTINGS = {
    zoom: oneOf(...Object.keys(ENTRIES.Settings.ZoomTrigger).filter((id) => /Zoom$|Click$/.test(id))),
    zscale: oneOf(...Object.keys(ENTRIES.Settings.ZoomFactor)),
    scale: (value) => ["number", "string"].includes(typeof value) && Number(value) >= 0.25 && Number(value) <= 4,
    alt: yesOrNo, cmd: yesOrNo, ctrl: yesOrNo, shift: yesOrNo,
    texHints: yesOrNo, semantics: yesOrNo, inTabOrder: yesOrNo, assistiveMml: yesOrNo,
  };

  /* Delete what is stored, except for settings that the entries above can make. */
  function repairStored() {
    const kept = {};
    try {
      const stored = JSON.parse(localStorage.getItem(STORED));
      for (const [name, fits] of Object.entries(SETTINGS)) {
        if (stored && Object.hasOwn(stored, name) && fits(stored[name])) kept[name] = stored[name];
      }
    } catch {
      // Not JSON: nothing of it can be kept.
    }
    try {
      if (Object.keys(kept).length) localStorage.setItem(STORED, JSON.stringify(kept));
      else localStorage.removeItem(STORED);
    } catch {
      // The browser stores nothing here, so MathJax finds nothing either.
    }
  }

  /* Hide the entries that are not named, and each line that then has no entry above it or none below it. */
  function keepEntries(menu, named) {
    let line = null, above = false;
    for (const item of menu.items) {
      if (item.type === "rule") {
        if (line) line.hide();
        line = item;
        if (!above) line.hide();
        above = false;
      } else if (item.id in named) {
        if (item.type === "submenu") keepEntries(item.submenu, named[item.id]);
        above = true;
        line = null;
      } else {
        item.hide();
      }
    }
    if (line) line.hide();
  }

  repairStored();
  const given = window.MathJax ?? {};
  window.MathJax = {
    ...given,
    options: { ...given.options, menuOptions: { settings: { assistiveMml: true } } },
    startup: {
      ready() {
        MathJax.startup.defaultReady();
        const { menu } = MathJax.startup.document;
        keepEntries(menu.menu, ENTRIES);
        // MathJax's own redraws at once, which fails while "Reset to defaults" changes one setting after the other.
        menu.setScale = (scale) => {
          menu.document.outputJax.options.scale = Number(scale);
          menu.rerender();
        };
      },
    },
  };
})();
