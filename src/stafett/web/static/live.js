// Follow what changes: one stream per page, taken up again where it broke, its state always visible.
import { clock, put, t } from "./dom.js";

const DEAD_MS = 12000; // the server says something every 5 s

// Listens at `address()` for the events named in `heard`, each told as (data, id), and for beats.
// `onState` hears "live" or "lost". Returns `{close}`: nothing more is listened to.
export function listen(address, heard, { onState } = {}) {
  const live = document.getElementById("live");
  let lastGood = Date.now(), stream = null, state = "waiting", timer = null;
  const say = (now) => {
    if (live) {
      const at = clock(lastGood);
      live.dataset.state = now;
      put(live, now === "live" ? `● ${t("live.live")}` : `⚠ ${t("live.lost", { at })}`);
    }
    if (now !== state) { state = now; onState?.(now); }
  };
  const good = () => { lastGood = Date.now(); say("live"); };
  const begin = () => {
    stream?.close();
    clearTimeout(timer);
    stream = new EventSource(address());
    for (const [name, hear] of Object.entries({ beat: () => {}, ...heard })) {
      stream.addEventListener(name, (event) => { good(); hear(JSON.parse(event.data), Number(event.lastEventId)); });
    }
    stream.onerror = () => {
      say("lost");
      // The browser tries again by itself, except where the answer was not a stream (a 5xx, a 401).
      if (stream.readyState === EventSource.CLOSED) timer = setTimeout(begin, 3000);
    };
  };
  const lost = () => say("lost");
  const watch = setInterval(() => { if (Date.now() - lastGood > DEAD_MS) { say("lost"); begin(); } }, 4000);
  const close = () => { stream.close(); clearTimeout(timer); clearInterval(watch); removeEventListener("online", begin); removeEventListener("offline", lost); };
  begin();
  addEventListener("online", begin);
  addEventListener("offline", lost);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  return { close };
}

// Calls onRow(row, position) for each change of the record beyond `after`: none missed, none twice.
// `onBeat` gets how much of the record is sealed.
export function follow(after, onRow, { onBeat, onState } = {}) {
  let last = after;
  listen(() => `/api/stream?after=${last}`, {
    row: (row, position) => {
      if (position <= last) return;
      last = position;
      onRow(row, position);
    },
    beat: (beat) => onBeat?.(beat),
  }, { onState });
  return { get last() { return last; } };
}
