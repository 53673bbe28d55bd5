// The board: every live journey the organisation takes part in, ordered by time to harm.
import { call, h, pick, Refused, span, t, when } from "./dom.js";
import { follow } from "./live.js";
import * as outbox from "./outbox.js";
import { before, pageOf, rank, urgency } from "./places.js";

const start = JSON.parse(document.getElementById("start").textContent);
const body = document.querySelector("#board tbody");
const form = document.getElementById("filters");
const saved = document.getElementById("saved");
const more = document.getElementById("more");
const rows = new Map();
const drawn = new Map(); // journey -> {element, row, stamp}: a row is drawn again only if it changed
const PAGE = 200;
const FIELDS = ["q", "show", "at", "product"];
let limit = PAGE;
let found = [];
let forecasts = new Map();
let selected = null;

const nameOf = (organisation) => start.organisations[organisation] ?? organisation ?? "";

// -- one row --------------------------------------------------------------------------------------

function state(row, now) {
  const tags = [];
  if (row.status === "ended") return h("span", { class: "tag" }, "■ ", pick(row.outcome_title));
  if (row.status === "held") tags.push(h("span", { class: "tag red" }, "✖ ", t("state.stopped")));
  if (row.due !== null && Date.parse(row.due) < now) tags.push(h("span", { class: "tag red" }, "◷ ", t("state.late")));
  if (row.critical && row.status !== "held") tags.push(h("span", { class: "tag red" }, "⚠ ", t("state.critical", { n: row.critical })));
  else if (row.deviations) tags.push(h("span", { class: "tag amber" }, "⚠ ", t("state.deviations", { n: row.deviations })));
  const likely = forecasts.get(row.journey);
  if (likely && !(row.due !== null && Date.parse(row.due) < now)) tags.push(h("span", { class: "tag amber", title: `${likely.activity} ← ${likely.since}` }, "◷ ", t("outlook.board", { p: Math.round(100 * likely.miss) })));
  if (!tags.length && urgency(row, now) === "amber") tags.push(h("span", { class: "tag amber" }, "◷ ", t("state.soon")));
  if (!tags.length) tags.push(h("span", { class: "tag" }, "▸ ", t("state.on-way")));
  return tags;
}

function lanes(row) {
  const at = row.lanes.indexOf(row.baton);
  return h("div", { class: "baton" },
    h("div", { class: "lanes", "aria-hidden": "true" }, row.lanes.map((lane, i) => h("i", { class: i === at ? "baton" : i < at ? "been" : "", title: nameOf(lane) }))),
    h("small", { title: nameOf(row.baton) }, nameOf(row.baton)));
}

// "Kymriah (tisagenlecleucel)": where there is little room the brand says enough.
function product(row) {
  const at = row.product.indexOf(" (");
  return at < 0 ? row.product : [row.product.slice(0, at), h("span", { class: "rest" }, row.product.slice(at))];
}

function left(row, now) {
  if (row.due === null || row.status === "ended") return "";
  const seconds = (Date.parse(row.due) - now) / 1000;
  return seconds < 0 ? `−${span(seconds)}` : span(seconds);
}

function draw(row, now) {
  const next = row.next
    ? [row.next.organisation === start.organisation ? h("a", { href: pageOf(row.journey, row.next) }, pick(row.next.title)) : pick(row.next.title), " ", h("small", { class: "soft", title: nameOf(row.next.organisation) }, nameOf(row.next.organisation))]
    : "";
  return h("tr", { role: "row", "data-journey": row.journey, "data-act": urgency(row, now), "aria-selected": row.journey === selected ? "true" : null },
    h("td", { role: "cell", class: "coi" }, h("a", { href: `/journeys/${encodeURIComponent(row.journey)}`, class: "mono" }, row.coi)),
    h("td", { role: "cell", class: "state" }, state(row, now)), h("td", { role: "cell", class: "at" }, lanes(row)), h("td", { role: "cell", class: "next", title: pick(row.next?.title) || null }, next),
    h("td", { role: "cell", class: "n", title: row.due ? when(row.due) : null }, left(row, now)), h("td", { role: "cell", class: "product wide", title: row.product }, product(row)), h("td", { role: "cell", class: "wide", title: nameOf(row.owner) }, nameOf(row.owner)));
}

// -- what is wanted ---------------------------------------------------------------------------------

function wish() {
  return Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
}

function wanted(row, { q, show, at, product }, now) {
  if (show === "open" && row.status === "ended") return false;
  if (show === "ended" && row.status !== "ended") return false;
  if (show === "act" && !urgency(row, now)) return false;
  if (show === "deviations" && !row.deviations) return false;
  if (show === "mine" && !row.tasks.some((task) => task.organisation === start.organisation)) return false;
  if (at && row.baton !== at) return false;
  if (product && row.product !== product) return false;
  const low = q.toLowerCase();
  return !low || [row.coi, row.product, pick(row.next?.title), row.journey].some((s) => (s || "").toLowerCase().includes(low));
}

let pending = false;
function refresh() {
  if (pending) return;
  pending = true;
  // A hidden tab draws nothing: what it shows when it comes back is made then.
  (document.hidden ? setTimeout : requestAnimationFrame)(paint);
}

function paint() {
  pending = false;
  const now = Date.now();
  const wished = wish();
  found = [...rows.values()].filter((row) => wanted(row, wished, now)).map((row) => [rank(row, now), row]);
  found.sort((a, b) => before(a[0], b[0]));
  found = found.map(([, row]) => row);
  const shown = found.slice(0, limit);
  const keep = new Set(shown.map((row) => row.journey));
  for (const [journey, entry] of drawn) if (!keep.has(journey)) { entry.element.remove(); drawn.delete(journey); }
  let previous = null;
  const half = Math.floor(now / 30000); // the countdown moves twice a minute
  for (const row of shown) {
    const stamp = `${half} ${row.journey === selected}`;
    let entry = drawn.get(row.journey);
    if (!entry || entry.row !== row || entry.stamp !== stamp) {
      const element = draw(row, now);
      const focus = entry?.element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      entry?.element.replaceWith(element);
      if (focus) element.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
      entry = { element, row, stamp };
      drawn.set(row.journey, entry);
    }
    const place = previous ? previous.nextSibling : body.firstChild;
    if (entry.element !== place) body.insertBefore(entry.element, place);
    previous = entry.element;
  }
  const count = t("board.count", { shown: shown.length, of: found.length, all: rows.size });
  const counter = document.getElementById("count");
  if (counter.textContent !== count) counter.textContent = count;
  more.classList.toggle("hidden", shown.length >= found.length);
  document.getElementById("empty").classList.toggle("hidden", found.length > 0);
  const url = address(wished);
  if (url.href !== location.href) history.replaceState(null, "", url);
  document.body.dataset.painted = String(Math.round(performance.now()));
}

function address(wished) {
  const url = new URL(location.href);
  for (const name of FIELDS) {
    const plain = name === "show" ? "open" : "";
    wished[name] !== plain ? url.searchParams.set(name, wished[name]) : url.searchParams.delete(name);
  }
  return url;
}

function choices(name, values, label) {
  const field = form.elements[name];
  const chosen = field.value || field.dataset.wanted || "";
  const there = [...field.options].slice(1).map((o) => o.value).join("\n");
  const sorted = [...new Set([...values, chosen].filter(Boolean))].sort((a, b) => label(a).localeCompare(label(b)));
  if (there === sorted.join("\n")) return;
  field.replaceChildren(field.options[0], ...sorted.map((value) => h("option", { value }, label(value))));
  field.value = chosen;
}
function lists() {
  choices("at", [...rows.values()].flatMap((row) => row.lanes), nameOf);
  choices("product", [...rows.values()].map((row) => row.product), (name) => name);
}

// -- saved views, export ----------------------------------------------------------------------------

// A person's views are theirs on every device. A search that may name a patient is kept nowhere.
const patient = /\d{4}|^ch[a-z]?\d/i;
const views = "/api/board/views";
const noted = document.getElementById("view-said");
let mine = [];

const addressOf = ({ shows }) => address(shows).search;
function say(words) { noted.textContent = words ? `⚠ ${words}` : ""; }
const why = (error) => (error instanceof Refused ? [error.message, ...error.reasons.map((r) => r.what)].join(": ") : t("live.no-network"));

function shelf() {
  const here = new URL(location.href).search;
  saved.replaceChildren(...mine.map((view) => h("li", {}, h("a", { href: `/board${addressOf(view)}`, "aria-current": addressOf(view) === here ? "true" : null }, view.name), " ", h("button", { class: "plain", type: "button", "aria-label": t("board.forget", { name: view.name }), onclick: () => change("DELETE", view.name) }, "×"))));
}

async function change(method, name, shows) {
  try {
    await call(method, `${views}/${encodeURIComponent(name)}`, shows);
    mine = await call("GET", views);
    shelf();
    return true;
  } catch (error) { say(why(error)); return false; }
}

document.getElementById("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = event.currentTarget.elements.name;
  const wished = wish();
  const left = patient.test(wished.q);
  if (left) wished.q = "";
  say(left ? t("board.search-not-kept") : "");
  if (await change("PUT", field.value.trim(), wished)) field.value = "";
});

// What an earlier version kept on this device moves to the person, once.
async function fetchViews() {
  try {
    const shelf_ = `stafett-views-${start.person}`;
    for (const { name, query } of JSON.parse(localStorage.getItem(shelf_) ?? "[]")) {
      const given = new URLSearchParams(query);
      const shows = Object.fromEntries(FIELDS.filter((f) => given.get(f)).map((f) => [f, given.get(f)]));
      await call("PUT", `${views}/${encodeURIComponent(name)}`, shows).catch((error) => { if (!(error instanceof Refused)) throw error; });
    }
    localStorage.removeItem(shelf_);
    mine = await call("GET", views);
    shelf();
  } catch { /* the board is right without them */ }
}

document.getElementById("export").addEventListener("click", () => {
  const cell = (value) => { const text = String(value ?? ""); const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text; return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe; };
  const head = ["journey", "coi", "status", "product", "protocol", "baton", "owner", "next", "next_by", "due", "deviations", "critical", "changed", "position"];
  const lines = found.map((row) => [row.journey, row.coi, row.status, row.product, row.protocol, nameOf(row.baton), nameOf(row.owner), pick(row.next?.title), nameOf(row.next?.organisation), row.due, row.deviations, row.critical, row.changed, row.position]);
  const text = [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n");
  const link = h("a", { href: URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" })), download: `stafett-${new Date().toISOString().slice(0, 16).replace(":", "")}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

// -- keyboard ---------------------------------------------------------------------------------------

const help = document.getElementById("help");
document.getElementById("help-open").addEventListener("click", () => help.showModal());
document.addEventListener("keydown", (event) => {
  if (help.open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") { event.preventDefault(); event.target.blur(); } // the search stays
    return;
  }
  const list = [...body.querySelectorAll("tr")];
  const at = list.findIndex((tr) => tr.dataset.journey === selected);
  if (event.key === "/") { event.preventDefault(); form.elements.q.focus(); }
  else if (event.key === "?") help.showModal();
  else if (event.key === "j" || event.key === "k") {
    const next = list[Math.min(list.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))];
    if (next) { selected = next.dataset.journey; next.querySelector("a")?.focus(); refresh(); }
  } else if (event.key === "Enter" && selected && document.activeElement === document.body) location.assign(`/journeys/${encodeURIComponent(selected)}`);
});

const query = new URLSearchParams(location.search);
for (const name of FIELDS) {
  const value = query.get(name);
  if (value === null) continue;
  form.elements[name].dataset.wanted = value;
  form.elements[name].value = value;
}
form.addEventListener("input", () => { limit = PAGE; for (const name of ["at", "product"]) delete form.elements[name].dataset.wanted; refresh(); });
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", () => { limit += PAGE; refresh(); });
document.addEventListener("visibilitychange", refresh);
fetchViews();

const first = await call("GET", "/api/journeys", undefined, 60000);
for (const row of first.rows) rows.set(row.journey, row);
lists();
refresh();
let fresh = 0;
follow(first.position, (row) => {
  rows.set(row.journey, row);
  fresh += 1;
  document.body.dataset.received = String(fresh);
  refresh();
}, { onBeat: (beat) => { outbox.sealedTo(beat.sealed); lists(); } });
setInterval(refresh, 15000);

// What is likely late is a forecast: fetched now and then, never in the way of what has happened.
async function foresee() {
  try {
    forecasts = new Map(Object.entries(await call("GET", "/api/forecasts")));
    for (const entry of drawn.values()) entry.stamp = "";
    refresh();
  } catch { /* the board is right without it */ }
}
foresee();
setInterval(foresee, 30000);
