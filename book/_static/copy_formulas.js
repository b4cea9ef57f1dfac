/* Copying: a selected formula is copied as TeX, $…$ in a line of text and $$…$$ on lines of its own.

   A formula on the screen has no text that a browser could copy. While the browser copies, each formula that the
   selection touches is replaced by its TeX. Everything else is copied by the browser itself, as on any page. */
"use strict";
(() => {
  /* The formulas of the page: the element that shows each, whether it stands on lines of its own, and its TeX. */
  function formulas() {
    return [...(window.MathJax?.startup?.document?.math ?? [])]
      .map(({ typesetRoot, display, math }) => ({
        // The span around a formula in a line of text is no part of the line for the theme: its text would stand apart.
        element: typesetRoot?.closest("span.math") ?? typesetRoot, display, tex: asWritten(math.trim()),
      }))
      .filter(({ element }) => element?.isConnected);
  }

  /* Without the `split` that Sphinx puts around several lines even where the author's environment holds them. */
  function asWritten(tex) {
    const environment = /^\\begin\{split\}\s*(\\begin\{(\w+\*?)\}(?:(?!\\begin\{\2\})[^])*\\end\{\2\})\s*\\end\{split\}$/;
    return tex.replace(environment, "$1");
  }

  /* Put the TeX of each formula in its place. Returns the function that brings the formulas back. */
  function replaceByTex(touched) {
    const replaced = touched.map(({ element, display, tex }) => {
      const text = document.createElement("span");
      text.textContent = display ? `$$${tex}$$` : `$${tex}$`;
      text.style.whiteSpace = "pre-wrap";
      if (display) text.style.display = "block";
      element.before(text);
      element.remove();
      return { element, text };
    });
    return () => {
      for (const { element, text } of replaced) {
        text.before(element);
        text.remove();
      }
    };
  }

  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (selection.rangeCount !== 1 || selection.isCollapsed || event.target.closest?.("input, textarea")) return;
    // A copy of the range follows the changes below; the selection itself does not in every browser.
    const range = selection.getRangeAt(0).cloneRange();
    const touched = formulas().filter(({ element }) => range.intersectsNode(element));
    if (!touched.length) return;

    const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
    const { scrollX: left, scrollY: top } = window;
    const around = (node) => touched.find(({ element }) => element.contains(node))?.element;
    const first = around(range.startContainer), last = around(range.endContainer);
    if (first) range.setStartBefore(first);
    if (last) range.setEndAfter(last);
    const bringBack = replaceByTex(touched);
    selection.removeAllRanges();
    selection.addRange(range);
    // Only an event that a script made takes this; for a real one the browser copies the selection after this function.
    event.clipboardData?.setData("text/plain", selection.toString());
    setTimeout(() => {
      bringBack();
      selection.setBaseAndExtent(anchorNode, anchorOffset, focusNode, focusOffset);
      window.scrollTo({ left, top, behavior: "instant" });
    });
  });
})();
