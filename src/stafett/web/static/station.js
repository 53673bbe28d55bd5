// The station: one side of one handoff or step. The scan is the primary input; every act is kept on
// this device before it is sent; nothing is shown as accepted before the record holds it; a sure
// mismatch is a full red stop at once, with the network or without.
import { call, h, pick, Refused, t } from "./dom.js";
import { canonical, surely } from "./identify.js";
import { follow } from "./live.js";
import * as outbox from "./outbox.js";
import { rowOf, viewOf } from "./places.js";
import { isHere, project } from "./project.js";
import { scanning } from "./scanline.js";
import { ready } from "./shell.js";
import { draw as drawView } from "./stationview.js";
import { beep, clear, stop } from "./stop.js";
import * as store from "./store.js";

const start = JSON.parse(document.getElementById("start").textContent);
if (location.pathname === "/station") location.replace("/tasks"); // the page of no handoff: kept for use offline
const [, , journey, activity, side] = location.pathname.split("/").map(decodeURIComponent);
const place = { journey, activity, side, about: new URLSearchParams(location.search).get("about") ?? "" };
const base = rowOf(journey);
const path = viewOf(journey, place);
const ANSWER_MS = 1200; // after this a person goes on; the act stays held

let owner = null; // the organisation that answers for the journey
const s = { view: null, at: null, offline: false, busy: false, said: null, colleague: null, able: true, start, place };

async function load(whole = true) {
  try {
    s.view = await call("GET", path, undefined, 6000);
    s.offline = false;
    s.at = null;
    if (s.able) store.remember(path, s.view);
  } catch (error) {
    if (error instanceof Refused) s.said = { red: true, text: error.message };
    else await fromMemory();
  }
  draw(whole);
}

async function fromMemory() {
  s.offline = true;
  const kept = s.view ? null : await store.recall(path).catch(() => null);
  if (kept) [s.view, s.at] = [kept.value, kept.at];
}

// -- acts -----------------------------------------------------------------------------------------

// Do one thing: kept here first, then sent. Resolves to true once the record has it.
async function act(command, { secret = null, words = "", file } = {}) {
  if (s.busy) return false;
  if (secret && s.offline) { s.said = { red: true, text: t("station.sign-offline") }; draw(); return false; }
  s.busy = true;
  s.said = null;
  const stopped = stopping(command);
  if (stopped) halt(stopped); // red before anything else, even before it is kept
  const kept = await keep({ ...place, role: s.view.role, command, words, file }, secret);
  const done = kept && (await outbox.settled(kept.key, secret ? 30000 : ANSWER_MS));
  s.colleague = null;
  s.busy = false;
  if (!done) { draw(); return false; }
  if (done.state === "refused") beep("no");
  else if (done.state === "held") s.offline = outbox.away;
  else beep(done.stopped ? "stop" : "ok");
  if (done.state === "held") draw(); else await load();
  return done.state === "shared" || done.state === "sealed";
}

async function keep(line, secret) {
  if (s.able) {
    try { return await outbox.keep(line, secret); } catch { s.able = false; }
  }
  s.said = { red: true, text: t("station.cannot-keep") };
  return null;
}

// What must stop at once, as far as this side can know.
function stopping(command) {
  if (command.type !== "Answer") return null;
  const check = s.view.checks.find((c) => c.id === command.check);
  const verdict = surely(check, command.value, command.method);
  return verdict && check.critical ? { check, verdict, value: command.value } : null;
}

function halt({ check, value }) {
  if (check.kind === "scan" && value !== null) beep("stop");
  stop({ code: check.kind === "scan" ? "IDENTITY_MISMATCH" : "", ask: check.ask, got: shown(check, value), expected: check.kind === "scan" ? check.known : null, shared: false }, ways());
}
const shown = (check, value) => (check.kind === "choice" ? check.choices.find((c) => c.id === value)?.title ?? value : value);
const ways = () => [{ label: t("stop.journey"), href: `/journeys/${journey}` }, { label: t("stop.tasks"), href: "/tasks" }];

// -- drawing --------------------------------------------------------------------------------------

let drawn = "";
function draw(whole = true) {
  const held = outbox.held().filter((a) => isHere(a, place));
  const refused = outbox.refused().filter((a) => isHere(a, place));
  const root = document.getElementById("station");
  if (!s.view) {
    root.replaceChildren(h("p", { class: "note red", role: "alert" }, s.said?.text ?? t("station.nothing-kept")));
    return;
  }
  const shownView = project(s.view, held, s.offline);
  const all = outbox.all().filter((a) => isHere(a, place));
  // Drawing anew what stands there already would only take the field from under a scanner's keys.
  const now = JSON.stringify([shownView, all.map((a) => [a.n, a.state]), s.offline, s.said, s.able, outbox.away, outbox.signedOut]);
  if (!whole && now === drawn) return;
  drawn = now;
  if (!s.view.stop && !shownView.stopped) clear();
  if (s.view.stop) {
    const f = s.view.stop;
    stop({ ...f, direct: String(f.got ?? "").startsWith("commitment:"), shared: true }, ways(), told(), mine() && f.deviation ? stopActs(f) : null);
  } else if (shownView.stopped) {
    const { act: kept, check } = shownView.stopped;
    stop({ code: check.kind === "scan" ? "IDENTITY_MISMATCH" : "", ask: check.ask, got: shown(check, kept.command.value), expected: check.kind === "scan" ? check.known : null, shared: false }, ways());
  }
  drawView(root, shownView, { ...s, act, draw, setColleague: (who) => { s.colleague = who; }, held, refused, all, away: outbox.away, signedOut: outbox.signedOut, seen: outbox.seen });
}

// Whom a stop reaches: the other side, and who answers for the journey.
function told() {
  const found = new Map();
  const add = (id, part) => { if (id && id !== start.organisation) found.set(id, [...(found.get(id) ?? []), part]); };
  add(s.view.counterpart, t("stop.other-side"));
  add(s.view.organisation, t("stop.other-side"));
  add(owner, t("stop.owner"));
  return [...found].map(([id, parts]) => ({ name: start.organisations[id] ?? id, part: parts.join(", "), phone: start.phones?.[id] }));
}
const mine = () => start.roles.includes(s.view.role) && start.organisation === s.view.organisation;

// What is done at once about a stop is written down with the deviation that it is.
function stopActs(f) {
  const write = (what) => act({ type: "TakeImmediateAction", deviation: f.deviation, what }, { words: what });
  const check = { ...(s.view.checks.find((c) => c.id === f.check) ?? { kind: "scan" }), ask: f.ask, binds: false };
  const scan = () => {
    const form = scanning(check, (value) => {
      const read = canonical(check.structure, value);
      const word = read === null ? "seen" : read === f.expected ? "fits" : "not";
      write(t(`stop.rescan-${word}`, { got: `…${value.slice(-4)}` }));
    });
    setTimeout(() => form.querySelector("[data-scan]").focus());
    return form;
  };
  return { write, scan };
}

// A protocol by its title, with the version that stands beside its identifier.
function protocolName(named) {
  const [name, ...version] = named.split(" ");
  return [pick(start.protocols[name]) || name, ...version].join(" ");
}

// The identity banner of a shell that was opened without a network.
async function banner() {
  const box = document.querySelector(".identity");
  if (!box || box.dataset.journey === journey) return;
  const row = await call("GET", base, undefined, 6000).catch(() => null) ?? (await store.recall(base).catch(() => null))?.value;
  if (!row) return;
  const cells = { coi: row.coi, product: row.product, protocol: protocolName(row.protocol), owner: start.organisations[row.owner] ?? row.owner };
  for (const [name, value] of Object.entries(cells)) box.querySelector(`[data-id="${name}"]`).textContent = value;
  document.title = `${row.coi} · Stafett`;
}

s.able = await ready;
await banner();
await load();
const row = await call("GET", base, undefined, 6000).catch(() => null);
if (row && s.able) store.remember(base, row);
owner = (row ?? (await store.recall(base).catch(() => null))?.value)?.owner ?? null;
if (s.view?.stop) draw();
let wasHeld = outbox.held().length;
outbox.onChange(() => {
  if (s.busy) return;
  const now = outbox.held().length;
  if (now < wasHeld) load(false); // something reached the record, or was refused
  else draw(false);
  wasHeld = now;
});
follow(row?.position ?? 0, (changed) => { if (changed.journey === journey && !s.busy) glance(); }, {
  onBeat: (beat) => outbox.sealedTo(beat.sealed),
  onState: (state) => {
    if (state === "live") { outbox.send(); if (!s.busy) load(false); }
    else { s.offline = true; if (!s.busy) draw(false); }
  },
});

// What happened elsewhere is shown at once, but never wipes out what is being filled in here for
// nothing: the page is drawn again only if this side's task has changed. What is shown is compared
// after the answer has come: while it was on its way an act here may have shown the same already.
async function glance() {
  const fresh = await call("GET", path).catch(() => null);
  if (s.busy || fresh === null || JSON.stringify(fresh) === JSON.stringify(s.view)) return;
  s.view = fresh;
  if (s.able) store.remember(path, fresh);
  draw(false);
}
