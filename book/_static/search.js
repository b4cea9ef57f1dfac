/* The search: looks through `searchindex.js` (book/_ext/search.py), which the search page loads after this script.

   A result is a section of the book, once, with the words around the best place in it, to which it leads. Sections that
   have most of the words of a query come first. A word is found exactly, by its beginning, or in another
   form ("stability" in "stable"); Greek letters by their names, too; numbers with their decimals. */
"use strict";
const Search = (() => {
  const EXACT = 1, BEGINNING = 0.7, RELATED = 0.6; // how much a word counts that matches in this way
  const AROUND = 90, LONG = 260; // characters of an excerpt: before its first hit, and in all
  // The same as WORD in book/_ext/search.py.
  const APART = "²³¹⁰⁴-⁹₀-₉α-ωϑϕϖϱϵ";
  const WORD = new RegExp(String.raw`\d+(?:\.\d+)*(?:e[+-]?\d+)?|[²³¹⁰⁴-⁹₀-₉]+|[α-ωϑϕϖϱϵ]|` +
    String.raw`(?:(?![${APART}])[\p{L}\p{Nl}\p{No}])+`, "giu");
  const NAMES = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau " +
    "upsilon phi chi psi omega").split(" ");
  const GREEK = Object.fromEntries([..."αβγδεζηθικλμνξοπρςστυφχψω"].map((letter, i) => [letter, NAMES[i]]));
  const ENDINGS = new Set(("|s|es|ed|d|e|y|ies|ied|ing|er|ers|or|ors|ion|ions|ation|ations|ive|al|ally|le|ly|ility|ity|able|" +
    "ible|ability|ibility|ence|ences|ent|ance|ant|ement|ements|ness|ize|izes|ized|izer|izers|izing|ization|um|a|ic").split("|"));

  /* The words of a text in the form that is compared, and where each stands. */
  function words(text) {
    return [...text.matchAll(WORD)].map(({ 0: word, index }) => {
      const plain = word.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
      return { form: GREEK[plain] ?? plain, start: index, end: index + word.length };
    });
  }

  /* How well a word of the book answers a word of the query: 0 if not at all. */
  function match(wanted, form) {
    if (form === wanted) return EXACT;
    if (wanted.length < 3 || form.length < 3) return 0;
    if (form.startsWith(wanted)) return BEGINNING;
    let same = 0;
    while (same < wanted.length && wanted[same] === form[same]) same++;
    for (let stem = same; stem >= 4; stem--) {
      if (ENDINGS.has(wanted.slice(stem)) && ENDINGS.has(form.slice(stem))) return RELATED;
    }
    return 0;
  }

  /* The sections that answer a query, the best first: each with the part in which to begin reading. */
  function find(index, query) {
    const wanted = [...new Set(words(query).map(({ form }) => form))];
    const matching = wanted.map((word) =>
      new Map(Object.keys(index.terms).map((form) => [form, match(word, form)]).filter(([, quality]) => quality)));
    const holding = matching.map((forms) => new Set([...forms.keys()].flatMap((form) => index.terms[form])));
    const count = (page) => holding.filter((pages) => pages.has(page)).length;
    const most = Math.max(1, ...index.docnames.map((_, page) => count(page)));
    // A word that half of the sections have leads nowhere by itself.
    const rare = holding.filter((pages) => 2 * pages.size <= index.docnames.length);
    const answers = (page) => count(page) === most || rare.some((pages) => pages.has(page));
    // A word that few sections have says more.
    const weight = holding.map((pages) => Math.log(1 + index.docnames.length / Math.max(1, pages.size)));
    const key = (text) => words(text).map(({ form }) => form).join(" ");
    const score = (found) => {
      let sum = 0;
      matching.forEach((forms, i) => {
        const qualities = found.map(({ form }) => forms.get(form) ?? 0).sort((a, b) => b - a).slice(0, 5);
        sum += weight[i] * qualities.reduce((all, quality, j) => all + quality / (j + 1), 0);
      });
      return sum;
    };
    /* Where the query stands in a text word by word. */
    const sequence = words(query).map(({ form }) => form);
    const together = (found) => found.filter((_, i) => sequence.every((form, j) => found[i + j]?.form === form));
    const known = (found) => new Set(matching.flatMap((forms, i) => (found.some(({ form }) => forms.has(form)) ? [i] : [])));

    return index.docnames.flatMap((docname, page) => {
      if (!answers(page)) return [];
      const title = index.titles[page];
      const parts = index.parts[page].map(([anchor, heading, text], order) => {
        const inHeading = words(heading), inText = words(text);
        const complete = known([...inHeading, ...inText]).size;
        const phrase = together(inText), points = 10 * complete + (phrase.length ? 10 : 0) + 5 * score(inHeading) + score(inText);
        return { anchor, heading, text, order, inText, phrase, points };
      });
      const named = key(title) === key(query);
      const best = named ? parts[0] : parts.reduce((a, b) => (b.points > a.points ? b : a));
      const points = (named ? 1e6 : 0) + 3 * score(words(title)) + best.points + score(parts.flatMap(({ inText }) => inText));
      const hits = best.inText.filter(({ form }) => matching.some((forms) => forms.has(form)));
      return [{ docname, title, points: points + 1e3 * count(page), part: best, hits }];
    }).sort((a, b) => b.points - a.points || (a.docname < b.docname ? -1 : 1));
  }

  /* The words around the place with most of the hits, these marked. */
  function excerpt({ text, phrase }, hits) {
    const p = document.createElement("p");
    p.className = "context";
    const after = (hit) => ({ start }) => start >= hit.start && start < hit.start + LONG - AROUND;
    const near = (hit) => new Set(hits.filter(after(hit)).map(({ form }) => form)).size + 9 * phrase.filter(after(hit)).length;
    const first = hits.reduce((best, hit) => (best && near(best) >= near(hit) ? best : hit), null);
    let from = Math.max(0, (first?.start ?? 0) - AROUND), to = Math.min(text.length, from + LONG);
    if (from > 0) from = text.indexOf(" ", from) + 1;
    if (to < text.length) to = Math.max(text.lastIndexOf(" ", to), first?.end ?? 0);
    let at = from;
    p.append(from > 0 ? "… " : "");
    for (const { start, end } of hits.filter(({ start, end }) => start >= from && end <= to)) {
      const mark = document.createElement("mark");
      mark.textContent = text.slice(start, end);
      p.append(text.slice(at, start), mark);
      at = end;
    }
    p.append(text.slice(at, to), to < text.length ? " …" : "");
    return p;
  }

  function item({ docname, title, part, hits }) {
    const li = document.createElement("li"), a = document.createElement("a");
    a.href = `${docname}.html${part.anchor && part.order ? `#${part.anchor}` : ""}`;
    a.textContent = title;
    li.append(a);
    if (part.heading && part.heading !== title) {
      const where = document.createElement("span");
      where.textContent = part.heading;
      li.append(" · ", where);
    }
    if (part.text) li.append(excerpt(part, hits));
    return li;
  }

  function show(index) {
    const query = new URLSearchParams(location.search).get("q")?.trim() ?? "";
    for (const input of document.querySelectorAll("input[name=q]")) input.value = query;
    if (!query) return;
    const found = find(index, query);
    const heading = document.createElement("h2"), summary = document.createElement("p"), list = document.createElement("ul");
    heading.textContent = "Search Results";
    summary.className = "search-summary";
    summary.setAttribute("role", "status");
    summary.textContent = found.length
      ? `${found.length} section${found.length > 1 ? "s" : ""} found.`
      : `No section has “${query}”. A shorter word, or only its beginning, finds more.`;
    list.className = "search";
    list.append(...found.map(item));
    document.getElementById("search-results").append(heading, summary, list);
    try {
      // Sphinx's own script marks these on the page that is opened next.
      const terms = query.toLowerCase().split(/\s+/).filter((term) => term.length > 2);
      localStorage.setItem("sphinx_highlight_terms", terms.join(" "));
    } catch {
      // The browser stores nothing here; the page then opens without marks.
    }
  }

  return {
    setIndex(index) {
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => show(index));
      else show(index);
    },
  };
})();
