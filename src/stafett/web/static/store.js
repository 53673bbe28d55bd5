// What this device keeps, in IndexedDB: acts that are not in the record yet, and the last known
// views of a person's own tasks. Everything is encrypted under a key that the server gives the
// person at every sign-in and that is forgotten here at sign-out: acts nobody has shared outlive a
// sign-out as sealed envelopes, which only the same person can open; views do not outlive it.
import { openDB } from "./vendor/idb-8.0.4/index.js";

const NAME = "stafett";
const STRICT = { durability: "strict" };
const opened = openDB(NAME, 1, {
  upgrade(db) {
    db.createObjectStore("keep"); // "who", "key", "sign-out-due"
    db.createObjectStore("acts", { keyPath: "n", autoIncrement: true }).createIndex("person", "person");
    db.createObjectStore("views", { keyPath: "id" });
  },
});

export const who = async () => (await (await opened).get("keep", "who")) ?? "";
const keyOf = async () => (await opened).get("keep", "key");

async function close(key, value) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const data = new TextEncoder().encode(JSON.stringify(value));
  return { iv, data: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, data) };
}
async function open(key, box) {
  const data = await crypto.subtle.decrypt({ name: "AES-GCM", iv: box.iv }, key, box.data);
  return JSON.parse(new TextDecoder().decode(data));
}

// Make this device `person`'s: what was kept for somebody else to look at goes, and so does their
// key. Returns false where there is no key yet and no way to get one.
export async function own(person) {
  const db = await opened;
  if ((await who()) !== person) {
    await forget();
    await db.put("keep", person, "who");
  }
  if (!person || (await keyOf())) return true;
  try {
    const answer = await fetch("/api/device-key", { signal: AbortSignal.timeout(8000) });
    if (!answer.ok) return false;
    const raw = Uint8Array.from(atob((await answer.json()).key), (c) => c.charCodeAt(0));
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    await db.put("keep", key, "key");
    return true;
  } catch { return false; }
}

// Sign-out: the key and every view go; envelopes that are not shared yet stay closed.
export async function forget() {
  const db = await opened;
  const all = db.transaction(["keep", "views"], "readwrite");
  await Promise.all([all.objectStore("keep").delete("key"), all.objectStore("keep").delete("who"), all.objectStore("views").clear(), all.done]);
  for (const name of await caches.keys()) if (name.startsWith("pages")) await caches.delete(name);
}

// -- acts -----------------------------------------------------------------------------------------

// Keep an act before anything is sent; it is on disk when this returns.
export async function put(act) {
  const [db, key, person] = [await opened, await keyOf(), await who()];
  if (!key) throw new Error("this device has no key");
  const { n, ...inside } = act;
  const line = { person, box: await close(key, inside) };
  if (n !== undefined) line.n = n;
  const change = db.transaction("acts", "readwrite", STRICT);
  const made = await change.store.put(line);
  await change.done;
  return { ...inside, n: made };
}

export async function drop(n) {
  const change = (await opened).transaction("acts", "readwrite", STRICT);
  await change.store.delete(n);
  await change.done;
}

// Every act of the person who sits here, oldest first.
export async function acts() {
  const [db, key, person] = [await opened, await keyOf(), await who()];
  if (!key || !person) return [];
  const found = [];
  for (const line of await db.getAllFromIndex("acts", "person", person)) {
    try { found.push({ ...(await open(key, line.box)), n: line.n }); } catch { /* another key: stays closed */ }
  }
  return found;
}

// How many envelopes of other people wait on this device.
export async function others() {
  const [db, person] = [await opened, await who()];
  return (await db.getAll("acts")).filter((line) => line.person !== person).length;
}

// -- views ----------------------------------------------------------------------------------------

export async function remember(name, value) {
  const [db, key, person] = [await opened, await keyOf(), await who()];
  if (!key) return;
  await db.put("views", { id: `${person} ${name}`, box: await close(key, { at: Date.now(), value }) });
}

// The last known `value` of `name`, and when (ms) it was true; null if there is none.
export async function recall(name) {
  const [db, key, person] = [await opened, await keyOf(), await who()];
  const line = key && (await db.get("views", `${person} ${name}`));
  return line ? open(key, line.box) : null;
}

// Forget every view whose name is not among `names`.
export async function keepOnly(names) {
  const [db, person] = [await opened, await who()];
  const wanted = new Set(names.map((name) => `${person} ${name}`));
  const change = db.transaction("views", "readwrite");
  for (const id of await change.store.getAllKeys()) if (!wanted.has(id)) change.store.delete(id);
  await change.done;
}
