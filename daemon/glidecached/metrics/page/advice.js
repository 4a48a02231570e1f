// The advice of one cache: hit rate over size and over TTL, with the present setting marked, and the same as tables.

import { element, svgElement } from "./charts.js";
import { byteSize, duration, perSecond, share, ttl } from "./formatting.js";

const WIDTH = 300;
const HEIGHT = 72;
const NOW = " (now)";

const size = (kilobytes) => (kilobytes === null ? "no bound" : byteSize(kilobytes * 1024));

// Places from 0 to 1 on a scale of powers. What has no end (no bound, for ever) is a step beyond the largest.
function places(values, isEndless) {
  const finite = values.filter((value) => !isEndless(value)).map(Math.log2);
  if (!finite.length) return values.map(() => 1);
  const least = Math.min(...finite);
  const span = Math.max(...finite) - least;
  const top = least + span + (values.some(isEndless) ? Math.max(1, span / 6) : 0);
  return values.map((value) => (isEndless(value) ? 1 : (Math.log2(value) - least) / (top - least || 1)));
}

// A curve of shares (0 to 1) over a setting. `rows` are `[setting, share, …]`, one share for each of `series`.
class Curve {
  constructor(name, { setting, isEndless, series }) {
    this.name = name;
    this.setting = setting;
    this.isEndless = isEndless;
    this.series = series;
    this.value = element("span", { className: "value" });
    this.svg = svgElement("svg", {
      class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    });
    this.from = element("span");
    this.until = element("span");
    this.figure = element(
      "figure", {},
      element(
        "figcaption", {},
        element("span", { className: "name", textContent: name }), element("div", { className: "latest" }, this.value),
      ),
      this.svg,
      element("div", { className: "scale", ariaHidden: "true" }, this.from, this.until),
    );
  }

  show(rows, now) {
    const sorted = [...rows].sort(([one], [other]) => this.order(one) - this.order(other));
    const at = places(sorted.map(([setting]) => setting), this.isEndless);
    const shapes = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) => line("grid", 0, y, WIDTH, y));
    this.series.forEach((_, order) => {
      const points = sorted.flatMap((row, place) => {
        const part = row[order + 1];
        return part === null ? [] : [[at[place] * (WIDTH - 8) + 4, HEIGHT - part * (HEIGHT - 8) - 4, row[0]]];
      }).map(([x, y, setting]) => [x.toFixed(1), y.toFixed(1), setting]);
      const name = order ? "second" : "";
      if (points.length > 1) shapes.push(path(`curve ${name}`, `M${points.map(([x, y]) => `${x} ${y}`).join("L")}`));
      for (const [x, y, setting] of points) {
        if (setting === now && order === 0) shapes.push(line("now", x, 0, x, HEIGHT));
        shapes.push(path(`point ${name} ${setting === now ? "present" : ""}`, `M${x} ${y}h0.01`));
      }
    });
    this.svg.replaceChildren(...shapes);
    this.from.textContent = sorted.length ? this.setting(sorted[0][0]) : "";
    this.until.textContent = sorted.length > 1 ? this.setting(sorted.at(-1)[0]) : "";
    this.svg.setAttribute("aria-label", this.describe(sorted, now));
    this.showValue(sorted.find(([setting]) => setting === now));
  }

  order(setting) {
    return this.isEndless(setting) ? Infinity : setting;
  }

  showValue(row) {
    const small = (text, className = "") => element("small", { textContent: text, className });
    this.value.replaceChildren(...(row
      ? [share(row[1]), small(`at ${this.setting(row[0])}`), ...row.slice(2, this.series.length + 1).map(
        (part, place) => small(`${this.series[place + 1]}: ${share(part)}`, "second"),
      )]
      : []));
  }

  describe(rows, now) {
    const told = rows.map(([setting, ...parts]) => {
      const figures = this.series.map((name, place) => `${name ? `${name} ` : ""}${share(parts[place])}`).join(", ");
      return `at ${this.setting(setting)}${setting === now ? NOW : ""} ${figures}`;
    });
    return `${this.name}: ${told.join("; ") || "no figures"}`;
  }
}

function line(name, x1, y1, x2, y2) {
  return svgElement("line", { class: name, x1, y1, x2, y2, "vector-effect": "non-scaling-stroke" });
}

function path(name, d) {
  return svgElement("path", { class: name.trim(), d, "vector-effect": "non-scaling-stroke" });
}

function table(caption, heads) {
  const body = element("tbody");
  return [body, element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, element(
    "table", {},
    element("caption", { textContent: caption }),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", textContent: text })))),
    body,
  ))];
}

function fill(body, rows) {
  body.replaceChildren(...rows.map(([head, ...cells]) => element(
    "tr", {},
    element("th", { scope: "row", textContent: head }), ...cells.map((text) => element("td", { textContent: text })),
  )));
}

export class Advice {
  constructor(label) {
    this.shown = null;
    this.summary = element("p", { className: "muted" });
    this.changes = element("ul", { className: "changes" });
    this.bySize = new Curve("Hit rate by size", {
      setting: size, isEndless: (kilobytes) => kilobytes === null, series: [""],
    });
    this.byTtl = new Curve("Hit rate and stale reads by TTL", {
      setting: ttl, isEndless: (milliseconds) => !milliseconds, series: ["hit rate", "stale"],
    });
    const [sizes, sizeTable] = table(`${label}: by size`, ["Size", "Hit rate"]);
    const [ttls, ttlTable] = table(`${label}: by TTL`, ["TTL", "Hit rate", "Upstream", "Stale reads"]);
    this.sizes = sizes;
    this.ttls = ttls;
    this.figures = element(
      "div", {},
      element("div", { className: "charts" }, this.bySize.figure, this.byTtl.figure),
      element("details", {}, element("summary", { textContent: "Advice as tables" }), sizeTable, ttlTable),
    );
    this.block = element(
      "div", { className: "advice", hidden: true },
      element("h4", { textContent: "Advice" }), this.summary, this.changes, this.figures,
    );
  }

  update(advice) {
    const text = JSON.stringify(advice);
    if (text === this.shown) return;
    this.shown = text;
    this.block.hidden = advice === null;
    if (advice === null) return;
    this.figures.hidden = !advice.enough;
    this.changes.hidden = !advice.changes.length;
    this.summary.textContent = summary(advice);
    this.changes.replaceChildren(...advice.changes.map(({ what, to, why }) => element(
      "li", {}, element("code", { textContent: `${what} = ${to ?? "no bound"}` }), `: ${why}`,
    )));
    const { max_cache_kb: kilobytes, ttl_ms: milliseconds } = advice.now;
    this.bySize.show(advice.sizes, kilobytes);
    this.byTtl.show(advice.ttls.map(([time, hits, , stale]) => [time, hits, stale]), milliseconds);
    fill(this.sizes, advice.sizes.map(([kb, hits]) => [size(kb) + (kb === kilobytes ? NOW : ""), share(hits)]));
    fill(this.ttls, advice.ttls.map(([time, hits, upstream, stale]) => [
      ttl(time) + (time === milliseconds ? NOW : ""), share(hits), `${perSecond(upstream)} /s`, share(stale),
    ]));
  }
}

function summary(advice) {
  const seen = `from ${duration(advice.seconds)} of traffic`;
  if (!advice.enough) return `Too little traffic so far, ${seen}.`;
  if (!advice.changes.length) return `Nothing should be changed, ${seen}.`;
  const could = share(advice.could_be);
  const is = share(advice.now.hit_rate);
  return `With ${advice.changes.length > 1 ? "these changes" : "this change"} the hit rate would ${
    could === is ? `stay at ${is}` : `be ${could} instead of ${is}`}, ${seen}.`;
}
