// The board: every live journey the organisation takes part in, ordered by time to harm.
import { call, h, pick, span, t } from "./dom.js";
import { follow } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
const body = document.querySelector("#board tbody");
const rows = new Map();
const drawn = new Map();
let forecasts = new Map();
const LIMIT = 200;
let position = 0;
let selected = null;

// Lower comes first: stopped, then late, then what will be late soonest, then the rest by age.
function rank(row, now) {
  if (row.status === "ended") return [4, -row.position];
  if (row.critical || row.status === "held") return [0, -(row.critical || 0)];
  if (row.due === null) return [3, row.position];
  const left = Date.parse(row.due) - now;
  return left < 0 ? [1, left] : [2, left];
}
const before = (a, b) => a[0] - b[0] || a[1] - b[1];

function urgency(row, now) {
  if (row.status === "ended") return "";
  if (row.critical || row.status === "held") return "red";
  if (row.due !== null && Date.parse(row.due) < now) return "red";
  if (row.due !== null && Date.parse(row.due) - now < 0.25 * (Date.parse(row.due) - Date.parse(row.since))) return "amber";
  return row.deviations ? "amber" : "";
}

function state(row, now) {
  const tags = [];
  if (row.status === "ended") return h("span", { class: "tag" }, "■ ", pick(row.outcome_title));
  if (row.status === "held") tags.push(h("span", { class: "tag red" }, "✖ ", t("state.stopped")));
  if (row.due !== null && Date.parse(row.due) < now) tags.push(h("span", { class: "tag red" }, "◷ ", t("state.late")));
  if (row.critical && row.status !== "held") tags.push(h("span", { class: "tag red" }, "⚠ ", t("state.critical", { n: row.critical })));
  else if (row.deviations) tags.push(h("span", { class: "tag amber" }, "⚠ ", t("state.deviations", { n: row.deviations })));
  const likely = forecasts.get(row.journey);
  if (likely && !(row.due !== null && Date.parse(row.due) < now)) tags.push(h("span", { class: "tag amber", title: `${likely.activity} ← ${likely.since}` }, "◷ ", t("outlook.board", { p: Math.round(100 * likely.miss) })));
  if (!tags.length) tags.push(h("span", { class: "tag" }, "▸ ", t("state.on-way")));
  return tags;
}

function lanes(row) {
  const at = row.lanes.findIndex((lane) => lane === row.baton);
  return h("div", {},
    h("div", { class: "lanes", "aria-hidden": "true" }, row.lanes.map((lane, i) => h("i", { class: i === at ? "baton" : i < at ? "been" : "", title: start.organisations[lane] ?? lane }))),
    h("small", {}, start.organisations[row.baton] ?? row.baton ?? ""));
}

function station(row, task) {
  const about = task.about ? `?about=${encodeURIComponent(task.about)}` : "";
  return `/journeys/${row.journey}/${task.activity}/${task.side}${about}`;
}

function left(row, now) {
  if (row.due === null || row.status === "ended") return "";
  const seconds = (Date.parse(row.due) - now) / 1000;
  return seconds < 0 ? `−${span(seconds)}` : span(seconds);
}

function draw(row, now) {
  const next = row.next
    ? [row.next.organisation === start.organisation ? h("a", { href: station(row, row.next) }, pick(row.next.title)) : pick(row.next.title), h("br"), h("small", { class: "soft" }, start.organisations[row.next.organisation] ?? row.next.organisation)]
    : "";
  return h("tr", { "data-journey": row.journey, "data-act": urgency(row, now), "aria-selected": row.journey === selected ? "true" : null },
    h("td", {}, h("a", { href: `/journeys/${row.journey}`, class: "mono" }, row.coi)),
    h("td", {}, state(row, now)), h("td", {}, lanes(row)), h("td", {}, next),
    h("td", { class: "n" }, left(row, now)), h("td", { class: "wide" }, row.product), h("td", { class: "wide" }, start.organisations[row.owner] ?? row.owner));
}

function wanted(row, q, show) {
  if (show === "open" && row.status === "ended") return false;
  if (show === "ended" && row.status !== "ended") return false;
  if (show === "act" && !urgency(row, Date.now())) return false;
  if (show === "mine" && !row.tasks.some((task) => task.organisation === start.organisation)) return false;
  return !q || [row.coi, row.product, pick(row.next?.title), row.journey].some((s) => (s || "").toLowerCase().includes(q));
}

let pending = false;
function refresh() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    const now = Date.now();
    const form = new FormData(document.getElementById("filters"));
    const q = String(form.get("q") || "").trim().toLowerCase();
    const show = String(form.get("show") || "open");
    const found = [...rows.values()].filter((row) => wanted(row, q, show));
    found.sort((a, b) => before(rank(a, now), rank(b, now)));
    const shown = found.slice(0, LIMIT);
    const keep = new Set(shown.map((row) => row.journey));
    for (const [journey, entry] of drawn) if (!keep.has(journey)) { entry.element.remove(); drawn.delete(journey); }
    let previous = null;
    for (const row of shown) {
      const minute = Math.floor(now / 30000);
      let entry = drawn.get(row.journey);
      if (!entry || entry.row !== row || entry.minute !== minute || entry.selected !== (row.journey === selected)) {
        const element = draw(row, now);
        const focus = entry?.element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        entry?.element.replaceWith(element);
        if (focus) element.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
        entry = { element, row, minute, selected: row.journey === selected };
        drawn.set(row.journey, entry);
      }
      const place = previous ? previous.nextSibling : body.firstChild;
      if (entry.element !== place) body.insertBefore(entry.element, place);
      previous = entry.element;
    }
    document.getElementById("count").textContent = t("board.count", { shown: shown.length, of: found.length, all: rows.size });
    const url = new URL(location.href);
    q ? url.searchParams.set("q", q) : url.searchParams.delete("q");
    show !== "open" ? url.searchParams.set("show", show) : url.searchParams.delete("show");
    if (url.href !== location.href) history.replaceState(null, "", url);
  });
}

// Keyboard: / search, j and k move, Enter opens, ? says so.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur?.();
    return;
  }
  const list = [...body.querySelectorAll("tr")];
  const at = list.findIndex((tr) => tr.dataset.journey === selected);
  if (event.key === "/") { event.preventDefault(); document.getElementById("q").focus(); }
  else if (event.key === "j" || event.key === "k") {
    const next = list[Math.min(list.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))];
    if (next) { selected = next.dataset.journey; next.querySelector("a")?.focus(); refresh(); }
  } else if (event.key === "Enter" && selected && document.activeElement === document.body) location.assign(`/journeys/${selected}`);
});

const query = new URLSearchParams(location.search);
document.getElementById("q").value = query.get("q") || "";
document.getElementById("show").value = query.get("show") || "open";
document.getElementById("filters").addEventListener("input", refresh);
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());

const first = await call("GET", "/api/journeys");
position = first.position;
for (const row of first.rows) rows.set(row.journey, row);
refresh();
follow(position, (row) => { rows.set(row.journey, row); refresh(); });
setInterval(refresh, 15000);

// What is likely late is a forecast: fetched now and then, never in the way of what has happened.
async function foresee() {
  try {
    forecasts = new Map(Object.entries(await call("GET", "/api/forecasts")));
    for (const entry of drawn.values()) entry.minute = -1;
    refresh();
  } catch { /* the board is right without it */ }
}
foresee();
setInterval(foresee, 30000);
