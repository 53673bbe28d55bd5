// My handoffs: what waits for this person, in every journey and under every protocol; and what is
// about to be late for the whole organisation. One surface across all protocols of a hospital.
import { Away, call, h, pick, put, span, t, when } from "./dom.js";
import { follow } from "./live.js";
import * as outbox from "./outbox.js";
import { pageOf, pressing, rowOf, viewOf } from "./places.js";
import { ready } from "./shell.js";
import * as store from "./store.js";

const start = JSON.parse(document.getElementById("start").textContent);
const roles = new Set(start.roles);
const body = document.getElementById("tasks");
const form = document.getElementById("queue");
const rows = new Map();
const LIMIT = 200;
const STATIONS = 40; // so many stations are kept for use without a network
let offline = null; // when what is shown was true, if there is no network

const isMine = (task) => task.organisation === start.organisation && roles.has(task.role);
const isOurs = (task) => task.organisation === start.organisation;

function pairs(queue, now) {
  const found = [];
  for (const row of rows.values())
    for (const task of row.tasks) {
      if (!(queue === "mine" ? isMine(task) : isOurs(task))) continue;
      if (queue === "late" && !pressing(task, now) && row.status !== "held") continue;
      found.push([row, task]);
    }
  const harm = ([row, task]) => (row.critical || row.status === "held" ? 0 : 1e15) + (task.due === null ? 1e14 : Date.parse(task.due));
  return found.sort((a, b) => harm(a) - harm(b));
}

function draw() {
  const now = Date.now();
  const queue = form.elements.queue.value;
  const found = pairs(queue, now);
  const at = document.activeElement?.getAttribute?.("href");
  body.replaceChildren(...found.slice(0, LIMIT).map(([row, task]) => line(row, task, now)));
  if (at) body.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus();
  const none = document.getElementById("none");
  none.textContent = t(`tasks.none.${queue}`);
  none.classList.toggle("hidden", found.length > 0);
  put(document.getElementById("count"), found.length ? t("tasks.count", { n: found.length }) : "");
  const note = document.getElementById("offline");
  note.classList.toggle("hidden", offline === null);
  put(note, offline === null ? "" : `⚠ ${t("tasks.offline", { at: offline ? when(new Date(offline).toISOString()) : "–" })}`);
  const url = new URL(location.href);
  queue === "mine" ? url.searchParams.delete("queue") : url.searchParams.set("queue", queue);
  if (url.href !== location.href) history.replaceState(null, "", url);
}

function line(row, task, now) {
  const left = task.due === null ? null : (Date.parse(task.due) - now) / 1000;
  const act = row.status === "held" || row.critical ? "red" : pressing(task, now);
  const sign = row.status === "held" ? `✖ ${t("state.stopped")}` : act === "red" && left < 0 ? `◷ ${t("state.late")}` : act === "amber" ? `◷ ${t("state.soon")}` : "";
  const title = `${task.activity} ${pick(task.title)}`;
  return h("tr", { role: "row", "data-act": act },
    h("td", { role: "cell" }, isMine(task) ? h("a", { href: pageOf(row.journey, task) }, title) : h("a", { href: `/journeys/${encodeURIComponent(row.journey)}` }, title), h("br"), h("small", { class: "soft" }, t(`board.side.${task.side}`))),
    h("td", { role: "cell", class: "n" }, left === null ? "" : left < 0 ? `−${span(left)}` : span(left), sign && [h("br"), h("span", { class: `tag ${act}` }, sign)]),
    h("td", { role: "cell", class: "mono" }, row.coi), h("td", { role: "cell", class: "wide" }, pick(start.role_titles[task.role]) || task.role.replaceAll("_", " ")),
    h("td", { role: "cell", class: "wide" }, row.product));
}

// Keep the list, and the stations that this person may soon stand at, for when there is no network.
let keeping = false;
const seenAt = new Map();
async function keep() {
  if (keeping || offline !== null || !(await ready)) return;
  keeping = true;
  try {
    const mine = pairs("mine", Date.now()).slice(0, STATIONS);
    const names = ["tasks"];
    await store.remember("tasks", [...new Set(mine.map(([row]) => row))]);
    for (const [row, task] of mine) {
      const path = viewOf(row.journey, task);
      names.push(path, rowOf(row.journey));
      if (seenAt.get(path) === row.position) continue;
      await store.remember(path, await call("GET", path));
      await store.remember(rowOf(row.journey), row);
      seenAt.set(path, row.position);
    }
    await store.keepOnly(names);
    document.body.dataset.kept = String(mine.length);
  } catch { /* the network went: what was kept stays */ } finally { keeping = false; }
}

let soon = null;
function changed() { draw(); clearTimeout(soon); soon = setTimeout(keep, 400); }

form.elements.queue.value = new URLSearchParams(location.search).get("queue") ?? "mine";
form.addEventListener("input", draw);
form.addEventListener("submit", (event) => event.preventDefault());
await ready;
let position = 0;
async function load() {
  try {
    const first = await call("GET", "/api/journeys");
    rows.clear();
    for (const row of first.rows) rows.set(row.journey, row);
    position = first.position;
    offline = null;
  } catch (error) {
    if (!(error instanceof Away)) throw error;
    const kept = await store.recall("tasks").catch(() => null);
    if (!rows.size && kept) for (const row of kept.value) rows.set(row.journey, row);
    offline = kept?.at ?? 0;
  }
  changed();
}
await load();
follow(position, (row) => { rows.set(row.journey, row); changed(); }, {
  onBeat: (beat) => outbox.sealedTo(beat.sealed),
  onState: (state) => {
    if (state === "live") { outbox.send(); if (offline !== null) load(); } else { offline = Date.now(); draw(); }
  },
});
setInterval(draw, 30000);
