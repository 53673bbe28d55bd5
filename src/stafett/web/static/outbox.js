// The outbox: what a person does is kept with its key before it is sent, sent in order, and counts
// once, whatever dies in between. Three states, all visible: held (only here), shared (in the
// record), sealed (covered by a signed checkpoint). A refused act stays until a person has seen it.
import { t } from "./dom.js";
import { sign } from "./passkey.js";
import * as store from "./store.js";

const SEND_MS = 10000;
const LATER = new Set([408, 425, 429]);
const KEPT_SHARED = 40;
const secrets = new Map(); // key -> password, colleague: in memory only, never kept
const listeners = new Set();
const channel = new BroadcastChannel("stafett-outbox");
let known = [];
let wait = 500;
let timer = null;
export let away = false; // the last attempt did not reach the record
export let signedOut = false;

export const all = () => known;
export const held = () => known.filter((act) => act.state === "held");
export const refused = () => known.filter((act) => act.state === "refused");

export function onChange(listener) { listeners.add(listener); }
async function changed(tell = true) {
  known = await store.acts();
  if (tell) channel.postMessage("changed");
  for (const listener of listeners) listener();
}
channel.onmessage = () => changed(false);

// Keep an act and begin to send it. `secret` (password, colleague) lives as long as this page.
export async function keep(act, secret = null) {
  const key = crypto.randomUUID();
  if (secret) {
    secrets.set(key, secret);
    // While this page lives it holds a lock of that name: no other page takes the act for orphaned.
    navigator.locks.request(`stafett-secret-${key}`, () => new Promise(() => {}));
  }
  const command = { occurred_at: new Date().toISOString(), ...act.command };
  const made = await store.put({ ...act, command, key, state: "held", secret: secret !== null });
  await changed();
  send();
  return made;
}

// What became of an act within `ms`: the act as shared or refused, or as still held.
export function settled(key, ms) {
  return new Promise((resolve) => {
    const look = () => {
      const act = known.find((a) => a.key === key);
      if (act && act.state === "held" && !late) return;
      listeners.delete(look);
      clearTimeout(limit);
      resolve(act ?? { key, state: "sealed" });
    };
    let late = false;
    const limit = setTimeout(() => { late = true; look(); }, ms);
    listeners.add(look);
    look();
  });
}

export async function seen(n) { await store.drop(n); await changed(); }

// What a checkpoint covers is sealed: it needs no line here any more.
export async function sealedTo(size) {
  const done = known.filter((act) => act.state === "shared" && act.position <= size);
  const old = known.filter((act) => act.state === "shared").slice(0, -KEPT_SHARED);
  for (const act of new Set([...done, ...old])) await store.drop(act.n);
  if (done.length || old.length) await changed();
}

let sending = false;
export function send() {
  clearTimeout(timer);
  if (sending) return;
  sending = true;
  // One page of this device sends at a time: that keeps the order.
  navigator.locks.request("stafett-outbox", drain).catch(() => { away = true; }).finally(() => {
    sending = false;
    if (held().length) {
      timer = setTimeout(send, wait);
      wait = Math.min(wait * 2, 15000);
    }
  });
}

async function drain() {
  await changed(false);
  for (const act of known.filter((a) => a.state === "held")) {
    const wasAway = away;
    const result = await deliver(act).catch(() => null);
    away = result === null;
    if (away || result === "later") { if (away !== wasAway) await changed(); return; }
    wait = 500;
    await store.put({ ...act, file: undefined, ...result });
    secrets.delete(act.key);
    await changed();
  }
  const late = await store.acts();
  if (late.some((a) => a.state === "held" && !known.some((k) => k.n === a.n))) await drain();
}

// Send one act. Returns what it became, "later" where its secret is in another page, or null where
// the record was not reached: a time-out, a lost connection and a 5xx are never a no.
async function deliver(act) {
  const secret = secrets.get(act.key);
  if (act.secret && !secret) return orphan(act);
  if (act.file) {
    const bytes = Uint8Array.from(atob(act.file.data), (c) => c.charCodeAt(0));
    const answer = await ask("POST", "/api/documents", bytes, act.file.type);
    if (answer.status !== 201) return verdict(answer);
  }
  const byKey = secret?.passkey || secret?.colleague?.passkey;
  const proof = byKey ? await byPasskey(act, secret.colleague?.login) : secret;
  if (proof && "refused" in proof) return proof.refused;
  const sent_at = new Date().toISOString(); // by which the tower sees that this device's clock is wrong
  const body = JSON.stringify({ key: act.key, role: act.role, command: act.command, sent_at, ...proof });
  return verdict(await ask("POST", `/api/journeys/${act.journey}/commands`, body, "application/json"));
}

// The record says what would be signed, the authenticator signs just that: nothing is sent between.
// With a colleague, it is theirs.
async function byPasskey(act, login) {
  const who = login ? { colleague: { login } } : {};
  const body = JSON.stringify({ key: act.key, role: act.role, command: act.command, ...who });
  const asked = await ask("POST", `/api/journeys/${act.journey}/signing`, body, "application/json");
  if (!asked.ok) return { refused: verdict(asked) };
  try {
    const passkey = await sign(asked.value);
    return login ? { colleague: { login, passkey } } : { passkey };
  } catch {
    return { refused: { state: "refused", problem: { status: 0, title: t("station.passkey-cancelled"), reasons: [] } } };
  }
}

async function ask(method, path, body, type) {
  const headers = { "X-Stafett": "1", ...(type ? { "Content-Type": type } : {}) };
  const answer = await fetch(path, { method, body, headers, signal: AbortSignal.timeout(SEND_MS), redirect: "error" });
  const text = await answer.text();
  let value = null;
  try { value = JSON.parse(text); } catch { if (answer.ok) throw new TypeError("not an answer of the record"); }
  return { status: answer.status, ok: answer.ok, value };
}

function verdict({ status, ok, value }) {
  signedOut = status === 401;
  if (ok) return { state: "shared", position: value.position, stopped: (value.events ?? []).some((e) => e.type === "Stopped") };
  const ours = typeof value?.type === "string" && value.type.startsWith("/problems/");
  if (status >= 500 || LATER.has(status) || status === 401 || !ours) return null;
  return { state: "refused", problem: { status, title: value.title, reasons: value.reasons ?? [] } };
}

// A signed act whose page has died: nothing keeps a password, so only the record can tell.
async function orphan(act) {
  const locks = await navigator.locks.query();
  if (locks.held.some((lock) => lock.name === `stafett-secret-${act.key}`)) return "later";
  const answer = await ask("GET", `/api/journeys/${act.journey}/acts/${act.key}`);
  if (answer.status === 404) return { state: "refused", problem: { status: 404, title: "unsigned", reasons: [] } };
  return verdict(answer);
}

export async function begin() {
  await changed(false);
  addEventListener("online", () => { wait = 500; send(); });
  addEventListener("visibilitychange", () => { if (!document.hidden) { wait = 500; send(); } });
  send();
}
