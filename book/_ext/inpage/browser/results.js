/* What became of a run, below its code: the verdict, what it printed and raised, and its paths over the bowl. */
import "../../../_static/bowl.js";

const { make, paint, swatch, frame, pathAt } = window.descentBowl;

let numbered = 0;

/* Text with code between backticks. */
const marked = (text) => text.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));

/* The verdict of `check`, in its own words. */
export function verdictOf({ method, cls, passed, mistake, found, hint, note }) {
  const head = `${passed ? "✓" : "✗"} ${cls} as ${method}: ${passed ? "passed" : `not yet: ${mistake}`}`;
  return make("div", { class: "run-verdict", "data-passed": passed },
    make("p", { class: "run-head" }, ...marked(head)),
    ...(found ? [make("p", {}, ...marked(found))] : []),
    ...(hint ? [make("p", {}, make("b", {}, "Hint "), ...marked(hint))] : []),
    ...(note ? [make("p", {}, ...marked(note))] : []));
}

/* A text of several lines, which the keyboard can scroll. */
export const textOf = (kind, label, text) =>
  make("pre", { class: kind, tabindex: 0, role: "group", "aria-label": label }, text);

/* Draw the contours of a quadratic, from its matrix and its minimum; none if it has no minimum. */
function drawBowl(plane, contours, labels, { A: [[a, b], [, d]], minimum: [x, y] }) {
  const middle = (a + d) / 2, half = Math.hypot((a - d) / 2, b), low = middle - half;
  if (!(low > 0)) return;
  const rotation = (Math.atan2(b ? low - a : a > d, b || a <= d) * 180) / Math.PI; // of the direction of the lower curvature
  const floor = -(a * x * x + 2 * b * x * y + d * y * y) / 2;
  plane.drawContours(contours, labels, [low, middle + half], rotation, [x, y], floor);
}

/* A figure: its paths over the bowl, a line for each, and its title. */
export function figureOf({ title, alt, paths, bowl }, look) {
  const plane = frame(look), clip = `run-clip-${numbered++}`;
  const contours = make("g"), labels = make("g"), lines = make("g");
  drawBowl(plane, contours, labels, bowl);
  paths.forEach(({ points }, place) => {
    const pair = pathAt(place);
    plane.drawPath(pair, points.map(([x]) => x), points.map(([, y]) => y), points.length);
    lines.append(...pair);
  });
  const picture = make("svg", { viewBox: `0 0 ${plane.width} ${plane.height}`, class: "play-bowl", role: "img", "aria-label": alt },
    make("defs", {}, make("clipPath", { id: clip }, make("rect", plane.inner))),
    make("rect", { ...plane.inner, class: "play-frame" }),
    make("g", { "clip-path": `url(#${clip})` }, contours, labels, plane.minimum(bowl.minimum), lines), ...plane.ticks());
  const names = paths.length > 1
    ? [make("ul", { class: "run-names" }, ...paths.map(({ name }, place) => make("li", {}, swatch(place), name)))] : [];
  return make("figure", { class: "run-figure" }, picture, make("figcaption", {}, ...names, title));
}

export const paintRuns = (look) => paint("run", look);
