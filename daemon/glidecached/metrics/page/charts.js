// Small line charts in SVG, each with its latest figure in words, and the same past as a table.

import { NOT_KNOWN } from "./formatting.js";

const WIDTH = 300;
const HEIGHT = 72;
const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function svgElement(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The next round number at or above `value`: few of them, so that the scale seldom changes.
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 6, 8, 10].find((each) => each * power >= value * 0.999999);
  return step * power;
}

// Minutes that are shown: as many as there are, ten at most.
export function span(times) {
  const minutes = times.length ? (times.at(-1) - times[0]) / 60 : 0;
  return Math.min(10, Math.max(1, Math.ceil(minutes)));
}

// Runs of points without a gap: a line through nothing would be a lie.
function runs(times, values, from, until, top) {
  const found = [];
  let run = [];
  values.forEach((value, place) => {
    if (value === null || value === undefined || times[place] < from) {
      if (run.length) found.push(run);
      run = [];
      return;
    }
    const x = ((times[place] - from) / (until - from)) * WIDTH;
    const y = HEIGHT - Math.min(value / top, 1) * (HEIGHT - 2) - 1;
    run.push([x.toFixed(1), y.toFixed(1)]);
  });
  if (run.length) found.push(run);
  return found;
}

function path(points) {
  // A lone point is a short line, or it would not be seen.
  const line = points.length > 1 ? points : [points[0], [Number(points[0][0]) + 1, points[0][1]]];
  return `M${line.map((point) => point.join(" ")).join("L")}`;
}

// One chart: `show(times, series, top, topText)`. The text alternative is made from what is shown.
export class Chart {
  constructor(name, { format, scale = true, names = [] }) {
    this.name = name;
    this.names = names; // of the series, where there are several
    this.format = format;
    this.scale = scale; // whether the top has to be told: a bound or a hundred per cent go without saying
    this.value = element("span", { className: "value" });
    this.svg = svgElement("svg", {
      class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    });
    this.from = element("span");
    this.top = element("span", { className: "top", ariaHidden: "true" });
    this.figure = element(
      "figure", {},
      element(
        "figcaption", {},
        element("span", { className: "name", textContent: name }),
        element("div", { className: "latest" }, this.value, this.top),
      ),
      this.svg,
      element("div", { className: "scale", ariaHidden: "true" }, this.from, element("span", { textContent: "now" })),
    );
  }

  setValue(figure, unit = "") {
    this.value.replaceChildren(figure, ...(unit ? [element("small", { textContent: unit })] : []));
  }

  show(times, series, top) {
    const minutes = span(times);
    const until = times.at(-1) ?? 0;
    const from = until - minutes * 60;
    const shapes = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) => svgElement("line", {
      class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y, "vector-effect": "non-scaling-stroke",
    }));
    series.forEach((values, order) => {
      for (const run of runs(times, values, from, until, top)) {
        if (order === 0) {
          const area = `${path(run)}L${run.at(-1)[0]} ${HEIGHT}L${run[0][0]} ${HEIGHT}Z`;
          shapes.push(svgElement("path", { class: "area", d: area }));
        }
        shapes.push(svgElement("path", {
          class: order ? "curve second" : "curve", d: path(run), "vector-effect": "non-scaling-stroke",
        }));
      }
    });
    this.svg.replaceChildren(...shapes);
    this.from.textContent = `${minutes} min ago`;
    this.top.textContent = this.scale ? this.format(top) : "";
    this.svg.setAttribute("aria-label", this.describe(series, minutes));
  }

  describe(series, minutes) {
    const told = series.flatMap((values, place) => {
      const known = values.filter((value) => value !== null && value !== undefined);
      if (!known.length) return [];
      const name = this.names[place] ? `${this.names[place]} ` : "";
      const ends = `from ${this.format(Math.min(...known))} to ${this.format(Math.max(...known))}`;
      return [`${name}${ends}, now ${this.format(known.at(-1))}`];
    });
    return `${this.name}, last ${minutes} min: ${told.join("; ") || "no figures"}`;
  }
}

// The past minute by minute: means of what is known.
export class PastTable {
  constructor(caption, columns) {
    this.columns = columns;
    this.body = element("tbody");
    const heads = ["Minute", ...columns.map((column) => column.name)];
    this.details = element(
      "details", {},
      element("summary", { textContent: "The same as a table" }),
      element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, element(
        "table", {},
        element("caption", { textContent: caption }),
        element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", textContent: text })))),
        this.body,
      )),
    );
    this.details.addEventListener("toggle", () => this.latest && this.show(...this.latest));
  }

  show(times, points) {
    this.latest = [times, points];
    if (!this.details.open) return;
    const minutes = new Map();
    times.forEach((time, place) => {
      const minute = Math.floor(time / 60);
      if (!minutes.has(minute)) minutes.set(minute, []);
      if (points[place]) minutes.get(minute).push(points[place]);
    });
    this.body.replaceChildren(...[...minutes].reverse().map(([minute, group]) => element(
      "tr", {},
      element("th", { scope: "row", textContent: clock(minute * 60, false) }),
      ...this.columns.map((column) => element("td", { textContent: mean(group, column) })),
    )));
  }
}

function mean(group, column) {
  const known = group.map((point) => point[column.place]).filter((value) => value !== null);
  if (!known.length) return NOT_KNOWN;
  return column.format(known.reduce((sum, value) => sum + value, 0) / known.length);
}

export function clock(seconds, exact = true) {
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(exact && { second: "2-digit" }) };
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", form);
}
