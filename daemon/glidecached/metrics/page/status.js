// The status page: asks for what is new every two seconds, and draws it.

import { Chart, PastTable, clock, element, roundUp } from "./charts.js";

const PATIENCE_MS = 5000;
const byId = (id) => document.getElementById(id);

let interval = 2;
let samples = [];
let startedAt = null;
let answered = null;
let refreshing = false;
const caches = new Map();
const upstreams = new Map();

// ---- figures as text

function number(value) {
  if (value >= 999_950) return `${Number((value / 1e6).toFixed(value >= 99.95e6 ? 0 : 1))} M`;
  if (value >= 9_999.5) return `${Number((value / 1e3).toFixed(value >= 99_950 ? 0 : 1))} k`;
  if (value >= 99.95 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-GB");
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"]; // of 1024, as `glidecache top` and max_cache_kb have them
  let order = 0;
  while (value >= 1023.95 && order < units.length - 1) [value, order] = [value / 1024, order + 1];
  return `${value.toFixed(order && value < 99.95 ? 1 : 0)} ${units[order]}`;
}

function duration(seconds) {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [unit, size] = parts[first];
  const rest = parts[first + 1];
  const whole = `${Math.floor(seconds / size)} ${unit}`;
  const more = rest ? Math.floor((seconds % size) / rest[1]) : 0;
  return more ? `${whole} ${more} ${rest[0]}` : whole;
}

const percent = (rate) => `${(rate * 100).toFixed(rate > 0.9995 || rate === 0 ? 0 : 1)} %`;
const perSecond = (value) => `${number(value)} /s`;
const milliseconds = (value) => value < 999.5 ? `${value.toFixed(value < 9.995 ? 2 : 0)} ms` : `${(value / 1000).toFixed(1)} s`;
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

// ---- the past

const times = () => samples.map((sample) => sample.at);
const pointsOf = (kind, key) => samples.map((sample) => sample[kind][key] ?? null);
const column = (points, place) => points.map((point) => (point ? point[place] : null));
const latest = (values) => values.at(-1) ?? null;
const topOf = (...series) => roundUp(Math.max(1, ...series.flat().filter((value) => value !== null)));

// ---- one cache

const CAUSES = { absent: "absent", expired: "expired", other_kind: "of another kind", own_write: "after an own write" };

function losses(cache) {
  const misses = Object.entries(cache.misses_by_cause).filter(([, count]) => count > 0);
  const causes = misses.map(([cause, count]) => `${number(count)} ${CAUSES[cause] ?? cause}`).join(", ");
  return [
    `misses: ${causes || "none"}`,
    plural(cache.expirations, "expiration", "expirations"),
    plural(cache.evictions, "eviction", "evictions"),
  ].join(" · ");
}

class CacheView {
  constructor(cache) {
    this.name = element("h3", { textContent: cache.label });
    this.facts = element("p", { className: "muted" });
    this.losses = element("p", { className: "muted losses" });
    this.hitRate = new Chart("Hit rate", { format: percent, scale: false });
    this.lookups = new Chart("Lookups", { format: perSecond });
    this.memory = new Chart("Memory", { format: bytes, scale: false });
    this.evictions = new Chart("Evictions", { format: perSecond });
    this.table = new PastTable(`${cache.label}: means of each minute`, [
      { name: "Hit rate", place: 0, format: percent },
      { name: "Lookups", place: 1, format: perSecond },
      { name: "Memory", place: 2, format: bytes },
      { name: "Evictions", place: 3, format: perSecond },
      { name: "Expirations", place: 4, format: perSecond },
    ]);
    const charts = [this.hitRate, this.lookups, this.memory, this.evictions].map((chart) => chart.figure);
    this.article = element(
      "article", {},
      element("div", { className: "heading" }, this.name, this.facts),
      this.losses,
      element("div", { className: "charts" }, ...charts),
      this.table.details,
    );
  }

  update(cache) {
    const facts = [
      cache.named ? null : "no name",
      cache.policy,
      cache.ttl_ms ? `entries live ${duration(cache.ttl_ms / 1000)}` : "entries live until evicted",
      cache.server_ttl ? "and no longer than the server's keys" : null,
      plural(cache.entries, "entry", "entries"),
      cache.forgotten ? `${number(cache.forgotten)} forgotten` : null,
      plural(cache.attached_processes, "process", "processes"),
      cache.counted ? null : "lookups are not counted (enable_metrics = false)",
    ];
    this.facts.textContent = facts.filter(Boolean).join(" · ");
    this.losses.hidden = !cache.counted;
    this.losses.textContent = cache.counted ? losses(cache) : "";
    const points = pointsOf("caches", cache.key);
    const [rate, lookups, size, evictions] = [0, 1, 2, 3].map((place) => column(points, place));
    const when = times();
    const none = cache.counted ? "–" : "not counted";
    this.hitRate.setValue(latest(rate) === null ? none : percent(latest(rate)));
    this.hitRate.show(when, [rate], 1);
    this.lookups.setValue(...(latest(lookups) === null ? [none] : [number(latest(lookups)), "per second"]));
    this.lookups.show(when, [lookups], topOf(lookups));
    this.memory.setValue(bytes(cache.bytes), `of ${bytes(cache.max_bytes)}, ${percent(cache.bytes / cache.max_bytes)}`);
    this.memory.show(when, [size], cache.max_bytes);
    this.evictions.setValue(...(latest(evictions) === null ? [none] : [number(latest(evictions)), "per second"]));
    this.evictions.show(when, [evictions], topOf(evictions));
    this.table.show(when, points);
  }
}

// ---- one upstream

class UpstreamView {
  constructor(upstream) {
    this.state = element("p", { className: "muted" });
    this.problem = element("p", { className: "problem", hidden: true });
    this.requests = new Chart("Requests", { format: perSecond });
    this.latency = new Chart("Time to reply, median and 99 %", { format: milliseconds, names: ["median", "99 %"] });
    this.failures = new Chart("Failures", { format: perSecond });
    this.table = new PastTable(`${upstream.label}: means of each minute`, [
      { name: "Requests", place: 0, format: perSecond },
      { name: "Median", place: 2, format: milliseconds },
      { name: "99 %", place: 3, format: milliseconds },
      { name: "Failures", place: 1, format: perSecond },
    ]);
    const charts = [this.requests, this.latency, this.failures].map((chart) => chart.figure);
    this.article = element(
      "article", {},
      element("div", { className: "heading" }, element("h3", { textContent: upstream.label }), this.state),
      this.problem,
      element("div", { className: "charts" }, ...charts),
      this.table.details,
    );
  }

  update(upstream) {
    const facts = [
      upstream.mode,
      upstream.connected_to ? `connected to ${upstream.connected_to}` : upstream.last_error ? null : "not used yet",
      `${number(upstream.in_flight)} in flight`,
      `${number(upstream.queued)} queued`,
      plural(upstream.reconnects, "reconnection", "reconnections"),
    ];
    this.state.textContent = facts.filter(Boolean).join(" · ");
    this.problem.hidden = upstream.connected_to !== null || upstream.last_error === null;
    this.problem.textContent = this.problem.hidden ? "" : `Not connected: ${upstream.last_error}`;
    const points = pointsOf("upstreams", upstream.key);
    const [requests, failures, median, slow] = [0, 1, 2, 3].map((place) => column(points, place));
    const when = times();
    this.requests.setValue(...(latest(requests) === null ? ["–"] : [number(latest(requests)), "per second"]));
    this.requests.show(when, [requests], topOf(requests));
    if (latest(median) === null) {
      this.latency.setValue("–");
    } else {
      this.latency.value.replaceChildren(
        milliseconds(latest(median)),
        element("small", { className: "second", textContent: `99 %: ${milliseconds(latest(slow))}` }),
      );
    }
    this.latency.show(when, [median, slow], topOf(median, slow));
    this.failures.setValue(...(latest(failures) === null ? ["–"] : [number(latest(failures)), "per second"]));
    this.failures.show(when, [failures], topOf(failures));
    this.table.show(when, points);
  }
}

// ---- the page

function showList(list, views, items, View) {
  const keys = new Set(items.map((item) => item.key));
  for (const [key, view] of views) {
    if (!keys.has(key)) {
      view.article.remove();
      views.delete(key);
    }
  }
  items.forEach((item, place) => {
    if (!views.has(item.key)) views.set(item.key, new View(item));
    const view = views.get(item.key);
    // Moved only where it must be, because moving takes the keyboard's focus away.
    if (list.children[place] !== view.article) list.insertBefore(view.article, list.children[place] ?? null);
    view.update(item);
  });
}

function showDaemon(daemon) {
  byId("version").textContent = `version ${daemon.version} · pid ${daemon.pid}`;
  const facts = [
    ["Running for", duration(daemon.uptime_seconds)],
    ["Attached clients", number(daemon.sessions)],
    ["Open requests", number(daemon.open_requests)],
    ["Refused messages", number(daemon.refused)],
  ];
  byId("daemon").replaceChildren(...facts.map(([name, value]) => element(
    "div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }),
  )));
}

function show(status) {
  showDaemon(status.daemon);
  showList(byId("cache-list"), caches, status.caches, CacheView);
  showList(byId("upstream-list"), upstreams, status.upstreams, UpstreamView);
  byId("no-caches").hidden = status.caches.length > 0;
  showRest(byId("more-caches"), status.caches_not_shown, "smaller cache is", "smaller caches are");
  showRest(byId("more-upstreams"), status.upstreams_not_shown, "quieter upstream is", "quieter upstreams are");
}

function showRest(note, count, one, many) {
  note.hidden = count === 0;
  note.textContent = `${plural(count, one, many)} not shown.`;
}

function setState(kind, text) {
  byId("state").className = `state ${kind}`;
  if (byId("state").textContent !== text) byId("state").textContent = text;
}

function showLost(reason) {
  document.body.classList.add("stale");
  const since = answered ? `These figures are of ${clock(answered)}.` : "There are no figures yet.";
  const text = `The daemon cannot be reached: ${reason}. ${since} This page keeps trying.`;
  if (byId("unreachable").textContent !== text) byId("unreachable").textContent = text;
  byId("unreachable").hidden = false;
  setState("lost", "Unreachable");
}

async function ask() {
  const after = samples.at(-1)?.number ?? 0;
  const response = await fetch(`/stats.json?after=${after}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response.json();
}

async function refresh() {
  if (refreshing) return;
  refreshing = true;
  await refreshOnce();
  refreshing = false;
}

async function refreshOnce() {
  let status;
  try {
    status = await ask();
    if (startedAt !== null && status.daemon.started_at !== startedAt) {
      samples = []; // another daemon, with sample numbers of its own
      status = await ask();
    }
  } catch (error) {
    showLost(error.name === "TimeoutError" ? "no answer in time" : error.name === "TypeError" ? "no connection" : error.message);
    return;
  }
  startedAt = status.daemon.started_at;
  interval = status.interval_seconds;
  samples = [...samples, ...status.samples].slice(-status.history_length);
  answered = status.taken_at;
  document.body.classList.remove("stale");
  byId("unreachable").hidden = true;
  byId("unreachable").textContent = "";
  setState("live", "Live");
  show(status);
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, interval * 1000);
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
run();
