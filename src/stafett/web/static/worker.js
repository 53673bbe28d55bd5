// The service worker: a station opens with no network. It keeps scripts and styles, the empty shell
// of a station and the list of tasks; what they show comes from this device's own encrypted store.
// STAMP and FILES are put in front of this by the server.
const STATIC = `static-${STAMP}`;
const PAGES = `pages-${STAMP}`;
const STATION = /^\/journeys\/[^/]+\/[^/]+\/(release|accept|step)$/;
const NETWORK_MS = 5000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(STATIC);
    await cache.addAll(FILES);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (![STATIC, PAGES].includes(name)) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (url.origin !== location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(file(event.request, url));
  else if (event.request.mode === "navigate") event.respondWith(navigate(event, url));
});

async function file(request, url) {
  const cache = await caches.open(STATIC);
  const kept = await cache.match(request, { ignoreSearch: true });
  // A page of another version of the program asks with another stamp: it gets its own from the net.
  if (kept && (!url.search || url.search === `?${STAMP}`)) return kept;
  const answer = await fetch(request);
  if (answer.ok && (!url.search || url.search === `?${STAMP}`)) cache.put(request, answer.clone());
  return answer;
}

async function navigate(event, url) {
  if (event.request.method === "POST" && url.pathname === "/sign-out") return signOut(event.request);
  if (event.request.method !== "GET") return fetch(event.request);
  if (await database("readonly", (keep) => keep.get("sign-out-due")).catch(() => false)) await finishSignOut();
  const offered = url.pathname === "/tasks" || STATION.test(url.pathname);
  if (!offered) return fetch(event.request);
  const kept = await (await caches.open(PAGES)).match(url.pathname === "/tasks" ? "/tasks" : "/station");
  try {
    const asked = fetch(event.request);
    const answer = kept ? await Promise.race([asked, tooLong()]) : await asked;
    if (answer.status >= 500 && kept) return kept;
    if (answer.ok && !answer.redirected) event.waitUntil(keep());
    return answer;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

const tooLong = () => new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), NETWORK_MS));

// The shell and the list belong to who is signed in: fetched anew once per start of the worker and
// after each sign-out.
let fresh = false;
async function keep() {
  if (fresh) return;
  const cache = await caches.open(PAGES);
  for (const path of ["/station", "/tasks"]) {
    const answer = await fetch(path, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) await cache.put(path, answer);
  }
  fresh = true;
}
self.addEventListener("message", (event) => { if (event.data === "keep") { fresh = false; event.waitUntil(keep()); } });

// Sign-out: nothing of the person stays to be seen, with the network or without.
async function signOut(request) {
  fresh = false;
  await caches.delete(PAGES);
  await database("readwrite", (keep) => { keep.delete("key"); return keep.delete("who"); });
  await database("readwrite", (views) => views.clear(), "views");
  try {
    const answer = await fetch(request);
    if (answer.status < 500) return answer;
  } catch { /* below */ }
  await database("readwrite", (keep) => keep.put(true, "sign-out-due"));
  return (await (await caches.open(STATIC)).match("/static/signed-out.html")) ?? Response.error();
}

async function finishSignOut() {
  const answer = await fetch("/sign-out", { method: "POST", headers: { "X-Stafett": "1" }, redirect: "manual" }).catch(() => null);
  if (answer && answer.status < 500) await database("readwrite", (keep) => keep.delete("sign-out-due"));
}

function database(mode, act, name = "keep") {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("stafett");
    asked.onupgradeneeded = () => asked.transaction.abort(); // no page has made it yet
    asked.onerror = () => resolve(undefined);
    asked.onsuccess = () => {
      const change = asked.result.transaction(name, mode);
      const done = act(change.objectStore(name));
      change.oncomplete = () => { asked.result.close(); resolve(done?.result); };
      change.onerror = () => reject(change.error);
    };
  });
}
