// The status page: asks for what is new every two seconds, and draws it.

import { Advice } from "./advice.js";
import { Chart, PastTable, clock, element, roundUp } from "./charts.js";
import { NOT_KNOWN, byteSize, count, counted, duration, latency, perSecond, share, ttl } from "./formatting.js";

const PATIENCE_MS = 5000;
const byId = (id) => document.getElementById(id);

let interval = 2;
let samples = [];
let startedAt = null;
let answered = null;
let refreshing = false;
const caches = new Map();
const upstreams = new Map();

// ---- figures with their units

const rate = (value) => `${perSecond(value)} /s`;
const milliseconds = (value) => latency(value * 1_000);

// ---- the past

const times = () => samples.map((sample) => sample.at);
const pointsOf = (kind, key) => samples.map((sample) => sample[kind][key] ?? null);
const column = (points, place) => points.map((point) => (point ? point[place] : null));
const latest = (values) => values.at(-1) ?? null;
const topOf = (...series) => roundUp(Math.max(1, ...series.flat().filter((value) => value !== null)));

// ---- one cache

const CAUSES = { absent: "absent", expired: "expired", other_kind: "of another kind", own_write: "after an own write" };

function losses(cache) {
  const misses = Object.entries(cache.misses_by_cause).filter(([, number]) => number > 0);
  const causes = misses.map(([cause, number]) => `${count(number)} ${CAUSES[cause] ?? cause}`).join(", ");
  return [
    `misses: ${causes || "none"}`,
    counted(cache.expirations, "expiration"),
    counted(cache.evictions, "eviction"),
  ].join(" · ");
}

class CacheView {
  constructor(cache) {
    this.name = element("h3", { textContent: cache.label });
    this.facts = element("p", { className: "muted" });
    this.losses = element("p", { className: "muted losses" });
    this.hitRate = new Chart("Hit rate", { format: share, scale: false });
    this.lookups = new Chart("Lookups", { format: rate });
    this.memory = new Chart("Memory", { format: byteSize, scale: false });
    this.evictions = new Chart("Evictions", { format: rate });
    this.table = new PastTable(`${cache.label}: means of each minute`, [
      { name: "Hit rate", place: 0, format: share },
      { name: "Lookups", place: 1, format: rate },
      { name: "Memory", place: 2, format: byteSize },
      { name: "Evictions", place: 3, format: rate },
      { name: "Expirations", place: 4, format: rate },
    ]);
    this.advice = new Advice(cache.label);
    const charts = [this.hitRate, this.lookups, this.memory, this.evictions].map((chart) => chart.figure);
    this.article = element(
      "article", {},
      element("div", { className: "heading" }, this.name, this.facts),
      this.losses,
      element("div", { className: "charts" }, ...charts),
      this.table.details,
      this.advice.block,
    );
  }

  update(cache) {
    const facts = [
      cache.named ? null : "no name",
      cache.policy,
      cache.ttl_ms ? `entries live ${ttl(cache.ttl_ms)}` : "entries live until evicted",
      cache.server_ttl ? "and no longer than the server's keys" : null,
      counted(cache.entries, "entry", "entries"),
      cache.forgotten ? `${count(cache.forgotten)} forgotten` : null,
      counted(cache.attached_processes, "process", "processes"),
      cache.counted ? null : "lookups are not counted (enable_metrics = false)",
    ];
    this.facts.textContent = facts.filter(Boolean).join(" · ");
    this.losses.hidden = !cache.counted;
    this.losses.textContent = cache.counted ? losses(cache) : "";
    const points = pointsOf("caches", cache.key);
    const [hits, lookups, size, evictions] = [0, 1, 2, 3].map((place) => column(points, place));
    const when = times();
    const none = cache.counted ? NOT_KNOWN : "not counted";
    this.hitRate.setValue(latest(hits) === null ? none : share(latest(hits)));
    this.hitRate.show(when, [hits], 1);
    this.lookups.setValue(...(latest(lookups) === null ? [none] : [perSecond(latest(lookups)), "per second"]));
    this.lookups.show(when, [lookups], topOf(lookups));
    this.memory.setValue(byteSize(cache.bytes), `of ${byteSize(cache.max_bytes)}, ${share(cache.bytes / cache.max_bytes)}`);
    this.memory.show(when, [size], cache.max_bytes);
    this.evictions.setValue(...(latest(evictions) === null ? [none] : [perSecond(latest(evictions)), "per second"]));
    this.evictions.show(when, [evictions], topOf(evictions));
    this.table.show(when, points);
    this.advice.update(cache.advice);
  }
}

// ---- one upstream

class UpstreamView {
  constructor(upstream) {
    this.state = element("p", { className: "muted" });
    this.problem = element("p", { className: "problem", hidden: true });
    this.requests = new Chart("Requests", { format: rate });
    this.latency = new Chart("Time to reply, median and 99 %", { format: milliseconds, names: ["median", "99 %"] });
    this.failures = new Chart("Failures", { format: rate });
    this.table = new PastTable(`${upstream.label}: means of each minute`, [
      { name: "Requests", place: 0, format: perSecond },
      { name: "Median", place: 2, format: milliseconds },
      { name: "99 %", place: 3, format: milliseconds },
      { name: "Failures", place: 1, format: rate },
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
      `${count(upstream.in_flight)} in flight`,
      `${count(upstream.queued)} queued`,
      counted(upstream.reconnects, "reconnection"),
    ];
    this.state.textContent = facts.filter(Boolean).join(" · ");
    this.problem.hidden = upstream.connected_to !== null || upstream.last_error === null;
    this.problem.textContent = this.problem.hidden ? "" : `Not connected: ${upstream.last_error}`;
    const points = pointsOf("upstreams", upstream.key);
    const [requests, failures, median, slow] = [0, 1, 2, 3].map((place) => column(points, place));
    const when = times();
    this.requests.setValue(...(latest(requests) === null ? [NOT_KNOWN] : [perSecond(latest(requests)), "per second"]));
    this.requests.show(when, [requests], topOf(requests));
    if (latest(median) === null) {
      this.latency.setValue(NOT_KNOWN);
    } else {
      this.latency.value.replaceChildren(
        milliseconds(latest(median)),
        element("small", { className: "second", textContent: `99 %: ${milliseconds(latest(slow))}` }),
      );
    }
    this.latency.show(when, [median, slow], topOf(median, slow));
    this.failures.setValue(...(latest(failures) === null ? [NOT_KNOWN] : [perSecond(latest(failures)), "per second"]));
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
    ["Attached clients", count(daemon.sessions)],
    ["Open requests", count(daemon.open_requests)],
    ["Refused messages", count(daemon.refused)],
  ];
  byId("daemon").replaceChildren(...facts.map(([name, value]) => element(
    "div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }),
  )));
}

// The title alone is a live region: it changes with what is wrong, and not with each figure in the text below it.
function showDiagnosis({ worst, others }) {
  const status = worst?.status ?? "ok";
  byId("diagnosis").className = `diagnosis ${status}`;
  setText("diagnosis-title", worst ? `${status}: ${worst.check}` : "ok: the daemon finds nothing wrong");
  setText("diagnosis-seen", worst?.seen ?? "");
  setText("diagnosis-advice", worst ? `→ ${worst.advice}` : "");
  const more = others ? `${counted(others, "other finding")}. ` : "";
  setText("diagnosis-more", worst ? `${more}glidecache doctor shows all.` : "glidecache doctor checks more.");
}

function setText(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === "";
}

function show(status) {
  showDiagnosis(status.diagnosis);
  showDaemon(status.daemon);
  showList(byId("cache-list"), caches, status.caches, CacheView);
  showList(byId("upstream-list"), upstreams, status.upstreams, UpstreamView);
  byId("no-caches").hidden = status.caches.length > 0;
  showRest(byId("more-caches"), status.caches_not_shown, "smaller cache is", "smaller caches are");
  showRest(byId("more-upstreams"), status.upstreams_not_shown, "quieter upstream is", "quieter upstreams are");
}

function showRest(note, number, one, many) {
  note.hidden = number === 0;
  note.textContent = `${counted(number, one, many)} not shown.`;
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
