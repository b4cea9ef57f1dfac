/* Copying: a selected formula is copied as TeX, $…$ in a line of text and $$…$$ on lines of its own.

   A browser would copy the signs of a formula, one below the other, and nothing of a figure. While it copies, each formula
   that the selection touches is replaced by its TeX, and each figure by its description. Everything else is copied by the
   browser itself, as on any page. */
"use strict";
(() => {
  /* What has a text of its own to copy: the element that shows it, whether it stands on lines of its own, the text. */
  function shown() {
    const formulas = [...document.querySelectorAll("math annotation")].map((annotation) => {
      const math = annotation.closest("math"), lines = math.closest(".formula"), tex = annotation.textContent;
      const display = Boolean(lines) || math.getAttribute("display") === "block";
      // A formula in a line of text is copied with the span around it; one on lines of its own can be in pieces.
      const element = lines ?? math.closest("span.math") ?? math;
      return { element, display, text: display ? `$$${tex}$$` : `$${tex}$` };
    });
    const figures = [...document.querySelectorAll("svg[role=img][aria-label]")];
    return [...formulas, ...figures.map((element) => ({ element, display: true, text: element.ariaLabel }))];
  }

  /* A formula that is wider than its place can be pushed aside with the keys, too; the others are no stop for them. */
  function letScroll() {
    for (const box of document.querySelectorAll(".formula")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  /* Put the text of each element in its place. Returns the function that brings the elements back. */
  function replaceByText(touched) {
    const replaced = touched.map(({ element, display, text: content }) => {
      const text = document.createElement("span");
      text.textContent = content;
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

  addEventListener("resize", letScroll);
  document.fonts.ready.then(letScroll);

  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (selection.rangeCount !== 1 || selection.isCollapsed || event.target.closest?.("input, textarea")) return;
    // A copy of the range follows the changes below; the selection itself does not in every browser.
    const range = selection.getRangeAt(0).cloneRange();
    const touched = shown().filter(({ element }) => range.intersectsNode(element));
    if (!touched.length) return;

    const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
    const { scrollX: left, scrollY: top } = window;
    const around = (node) => touched.find(({ element }) => element.contains(node))?.element;
    const first = around(range.startContainer), last = around(range.endContainer);
    if (first) range.setStartBefore(first);
    if (last) range.setEndAfter(last);
    const bringBack = replaceByText(touched);
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
