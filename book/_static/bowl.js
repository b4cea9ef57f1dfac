/* The bowl and the paths over it: what the playground and a reader's own runs draw with. It knows no page: what to draw,
   and in which colours, is handed to it. */
"use strict";
window.descentBowl ??= (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FAR = 50; // a picture is drawn this far out, beyond its frame
  // Eight dashes differ in grey print as well; past them, a dash comes again in another colour.
  const LOOKS = ["path", "second", "third", "fourth"];
  const DASHES = ["", "7 4", "8 3 2 3", "2 3", "16 4", "8 3 2 3 2 3", "2 7", "8 3 8 3 2 3"];

  /* An element; text is always text, never markup. */
  function make(tag, attributes = {}, ...children) {
    const vector = ["svg", "g", "path", "ellipse", "circle", "rect", "line", "text", "clipPath", "defs"].includes(tag);
    const element = vector ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /* Three digits, without zeros at the end. */
  const short = (value, digits = 3) => String(Number(value.toPrecision(digits))).replace("-", "−");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const near = (point) => point.every((value) => Math.abs(value) <= FAR);

  /* The part of a segment that lies in the square of what is drawn; null if none does. */
  function clipped(one, two) {
    // Between ends as far out as this, rounding alone decides where a segment passes.
    if (Math.min(Math.hypot(...one), Math.hypot(...two)) > 1e12) return null;
    let from = 0, to = 1;
    for (const axis of [0, 1]) {
      const way = two[axis] - one[axis], low = (-FAR - one[axis]) / way, high = (FAR - one[axis]) / way;
      if (way === 0 && Math.abs(one[axis]) > FAR) return null;
      if (way !== 0) [from, to] = [Math.max(from, Math.min(low, high)), Math.min(to, Math.max(low, high))];
    }
    const at = (part) => one.map((value, axis) => value + part * (two[axis] - value));
    return from > to ? null : [from ? at(from) : one, to < 1 ? at(to) : two];
  }

  /* Let the elements of a class have the colours that figures have in each of the two modes. */
  function paint(name, { light, dark }) {
    const colours = (look) => Object.entries(look).map(([role, colour]) => `--play-${role}: ${colour};`).join(" ");
    document.head.append(make("style", {},
      `.${name} { ${colours(light)} }\nhtml[data-theme="dark"] .${name} { ${colours(dark)} }`));
  }

  /* The dash and the colour of a line, by its place among others. */
  function lineAt(place) {
    const look = (place + Math.floor(place / DASHES.length)) % LOOKS.length;
    return { "stroke-dasharray": DASHES[place % DASHES.length], style: `stroke: var(--play-${LOOKS[look]})` };
  }

  const swatch = (place) => make("svg", { viewBox: "0 0 34 10", width: 34, height: 10, "aria-hidden": "true" },
    make("path", { d: "M2 5H32", class: "play-line", ...lineAt(place) }));

  function starPath(x, y) {
    const points = [...Array(10)].map((_, i) => {
      const radius = i % 2 ? 3 : 7.5, angle = (Math.PI * i) / 5 - Math.PI / 2;
      return `${x + radius * Math.cos(angle)} ${y + radius * Math.sin(angle)}`;
    });
    return `M${points.join("L")}Z`;
  }

  const SIDE = 400, LEFT = 30, BOTTOM = 26;

  /* The square of the plane that is drawn, and what is drawn in it, in the levels of a look. */
  function frame({ ylim, levels }) {
    const north = ylim[1], scale = (SIDE - LEFT) / (2 * north), width = SIDE, height = SIDE - LEFT + BOTTOM;
    const inner = { x: LEFT, y: 0, width: SIDE - LEFT, height: SIDE - LEFT };
    const toX = (x) => LEFT + (x + north) * scale, toY = (y) => (north - y) * scale;
    const put = ([x, y]) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;

    /* The plane's coordinates at a place of the picture, given in its pixels. */
    const at = (x, y) => ({ w1: (x - LEFT) / scale - north, w2: north - y / scale });

    /* The contours of the bowl with these curvatures, its axes turned, its minimum in a place and so high; their labels. */
    function drawContours(contours, labels, [low, high], rotation, [x, y] = [0, 0], floor = 0) {
      const angle = (-rotation * Math.PI) / 180, above = levels.filter((level) => level > floor);
      const reach = (level, curvature) => Math.sqrt((2 * (level - floor)) / curvature);
      contours.replaceChildren(...above.map((level) => make("ellipse", {
        class: "play-contour", rx: reach(level, low) * scale, ry: reach(level, high) * scale,
        transform: `translate(${toX(x)} ${toY(y)}) rotate(${-rotation})`,
      })));
      // On the long axis there is room, whatever the condition number is.
      labels.replaceChildren(...above.filter((level) => reach(level, low) < 1.6).map((level, i) => {
        const far = reach(level, low) * scale * (i % 2 ? 1 : -1); // to both sides in turn
        return make("text", {
          class: "play-level", x: toX(x) + far * Math.cos(angle), y: toY(y) + far * Math.sin(angle) + 3.5,
        }, String(level));
      }));
    }

    const minimum = ([x, y] = [0, 0]) => make("path", { d: starPath(toX(x), toY(y)), class: "play-minimum" });

    function ticks() {
      const floor = SIDE - LEFT;
      return [-1, 0, 1].flatMap((value) => [
        make("text", { class: "play-tick", x: toX(value), y: floor + 16, "text-anchor": "middle" }, short(value)),
        make("text", { class: "play-tick", x: LEFT - 6, y: toY(value) + 4, "text-anchor": "end" }, short(value)),
      ]).concat(
        make("text", { class: "play-tick", x: SIDE - 4, y: floor + 16, "text-anchor": "end" }, "w₁"),
        make("text", { class: "play-tick", x: LEFT - 6, y: 14, "text-anchor": "end" }, "w₂"));
    }

    /* Draw the first points of a path with a pair of elements: its line, and a dot for each point. */
    function drawPath([line, dots], xs, ys, count) {
      const marks = [];
      let strokes = "", end = "";
      for (let i = 0; i < count; i++) {
        const here = [xs[i], ys[i]];
        if (near(here)) marks.push(`M${put(here)}h0`);
        const piece = i ? clipped([xs[i - 1], ys[i - 1]], here) : null;
        if (!piece) continue;
        const [from, to] = piece.map(put);
        strokes += from === end ? `L${to}` : `M${from}L${to}`;
        end = to;
      }
      line.setAttribute("d", strokes);
      dots.setAttribute("d", marks.join(""));
      dots.setAttribute("stroke-width", count > 120 ? 3 : 5.5);
    }

    return { width, height, inner, toX, toY, at, drawContours, minimum, ticks, drawPath };
  }

  /* The pair of elements that draw a path, in the look of its place among others. */
  const pathAt = (place) =>
    [make("path", { class: "play-line", ...lineAt(place) }), make("path", { class: "play-dots", style: lineAt(place).style })];

  return { make, short, clamp, paint, lineAt, swatch, starPath, frame, pathAt };
})();
