// The few helpers that every page shares: build elements safely, call the API, format times.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

// Write a text where it is another: a live region that is written anew is read out anew.
export function put(element, text) { if (element && element.textContent !== text) element.textContent = text; }

const said = JSON.parse(document.getElementById("words")?.textContent || "{}");
export const language = document.documentElement.lang || "en";
export function t(key, values = {}) {
  const form = (Number(values.n) === 1 && said[`${key}.one`]) || (said[key] ?? key); // of one thing: in the singular
  return form.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// A text of a protocol: in the reader's language, else in English.
export const pick = (text) => (text && typeof text === "object" ? text[language] ?? text.en ?? Object.values(text)[0] : text) ?? "";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
  get reasons() { return this.problem.reasons || []; }
}

// The record was not reached: no network, no answer in time, or a server that is not itself. Never
// to be taken for a no.
export class Away extends Error {}

// One call to the API. Throws Refused when the record says no, Away when it was not reached.
export async function call(method, path, body, ms = 15000) {
  const answer = await fetch(path, {
    signal: AbortSignal.timeout(ms),
    method,
    headers: { "X-Stafett": "1", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch((error) => { throw new Away(String(error)); });
  if (answer.status === 401 && !path.startsWith("/api/session")) { location.assign("/sign-in?next=" + encodeURIComponent(location.pathname + location.search)); throw new Refused(401, {}); }
  if (answer.status >= 500) throw new Away(`HTTP ${answer.status}`);
  const text = await answer.text().catch((error) => { throw new Away(String(error)); });
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { throw new Away("not an answer of the record"); }
  if (!answer.ok) throw new Refused(answer.status, value || {});
  return value;
}

// Times are told in the organisation's zone, whatever the device is set to, and say which; by the
// 24-hour clock and the day before the month, in English too, as the server and the paper have them.
export const zone = document.body?.dataset.zone || undefined;
const written = language === "en" ? "en-GB" : language;
const short = new Intl.DateTimeFormat(written, { timeZone: zone, timeZoneName: "short", hour: "2-digit", minute: "2-digit", day: "2-digit", month: "short" });
const long = new Intl.DateTimeFormat(written, { timeZone: zone, timeZoneName: "short", dateStyle: undefined, year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hours = new Intl.DateTimeFormat(written, { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const days = new Intl.DateTimeFormat(written, { timeZone: zone, year: "numeric", month: "short", day: "numeric" });
export const clock = (at) => hours.format(new Date(at));
export const day = (iso) => days.format(new Date(iso));
export const when = (iso) => (iso ? short.format(new Date(iso)) : "");
export const moment = (iso) => (iso ? long.format(new Date(iso)) : "");

// A length of time in the largest two units: 3 d 4 h, 2 h 5 min, 40 s.
export function span(seconds) {
  const s = Math.abs(Math.round(seconds));
  const [d, hh, m] = [Math.floor(s / 86400), Math.floor((s % 86400) / 3600), Math.floor((s % 3600) / 60)];
  if (d) return `${d} d ${hh} h`;
  if (hh) return `${hh} h ${m} min`;
  if (m) return `${m} min`;
  return `${s} s`;
}
