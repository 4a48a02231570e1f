// Figures as text: the same as glidecached/formatting.py makes for the commands, which a test compares with these.

export const NOT_KNOWN = "–";
const BYTE_UNITS = ["B", "KB", "MB", "GB", "TB"];
const KILO = 1024;
const SECONDS_PER = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

// A number with that many decimals. A tie goes to the even digit, as in Python; `toFixed` takes the larger one.
function fixed(value, decimals) {
  const tie = (value * 2 ** (decimals + 1)) % 2 === 1; // no other value is exactly between two
  if (!tie) return value.toFixed(decimals);
  const below = Math.floor(value * 10 ** decimals);
  return ((below + (below % 2)) / 10 ** decimals).toFixed(decimals);
}

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

// `1,234,567`
export const count = (number) => (number === null ? NOT_KNOWN : grouped(fixed(number, 0)));

// `1 cache`, `2 caches`, `1,234 entries`
export const counted = (number, noun, nouns = `${noun}s`) => `${count(number)} ${number === 1 ? noun : nouns}`;

// `1,234`; small rates have one decimal: `0.4`
export function perSecond(rate) {
  if (rate === null) return NOT_KNOWN;
  return rate > 0 && rate < 10 ? fixed(rate, 1) : count(rate);
}

// A fraction as `97.3 %`
export const share = (part) => (part === null ? NOT_KNOWN : `${fixed(part * 100, 1)} %`);

// `12.3 MB`; a KB is 1024 bytes
export function byteSize(number) {
  let unit = 0;
  while (number >= KILO && unit < BYTE_UNITS.length - 1) [number, unit] = [number / KILO, unit + 1];
  return `${fixed(number, unit === 0 || number >= 100 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

// `3 d 4 h`, `12 min 5 s`, `7 s`: the two largest units
export function duration(seconds) {
  let rest = Math.trunc(seconds);
  const parts = [];
  for (const [unit, length] of SECONDS_PER) {
    const number = Math.floor(rest / length);
    rest %= length;
    if (number || (unit === "s" && !parts.length)) parts.push(`${number} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

// `0.35 ms`, `12 ms`, `1.2 s`
export function latency(microseconds) {
  if (microseconds === null) return NOT_KNOWN;
  const milliseconds = microseconds / 1_000;
  if (milliseconds >= 1_000) return `${fixed(milliseconds / 1_000, 1)} s`;
  return `${fixed(milliseconds, milliseconds < 10 ? 2 : 0)} ms`;
}

// A time to live: `60 s`, `1.5 s`, `250 ms`, `for ever`
export function ttl(milliseconds) {
  if (milliseconds === 0) return "for ever";
  if (milliseconds < 1_000) return `${milliseconds} ms`;
  if (milliseconds % 1_000) return `${fixed(milliseconds / 1_000, 1)} s`;
  return duration(milliseconds / 1_000);
}
