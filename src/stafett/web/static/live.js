// Follow the record: one stream per page, resumed where it broke, with its state always visible.
import { clock, t } from "./dom.js";

const DEAD_MS = 12000; // the server says something every 5 s

// Calls onRow(row, position) for each change beyond `after`: none missed, none twice. `onBeat` gets
// how much of the record is sealed; `onState` hears "live" or "lost".
export function follow(after, onRow, { onBeat, onState } = {}) {
  const live = document.getElementById("live");
  let last = after, lastGood = Date.now(), stream = null, state = "waiting", timer = null;
  const say = (now) => {
    if (live) {
      const at = clock(lastGood);
      live.dataset.state = now;
      live.textContent = now === "live" ? `● ${t("live.live")}` : `⚠ ${t("live.lost", { at })}`;
    }
    if (now !== state) { state = now; onState?.(now); }
  };
  const good = () => { lastGood = Date.now(); say("live"); };
  const begin = () => {
    stream?.close();
    clearTimeout(timer);
    stream = new EventSource(`/api/stream?after=${last}`);
    stream.addEventListener("row", (event) => {
      const position = Number(event.lastEventId);
      good();
      if (position <= last) return;
      last = position;
      onRow(JSON.parse(event.data), position);
    });
    stream.addEventListener("beat", (event) => { good(); onBeat?.(JSON.parse(event.data)); });
    stream.onerror = () => {
      say("lost");
      // The browser tries again by itself, except where the answer was not a stream (a 5xx, a 401).
      if (stream.readyState === EventSource.CLOSED) timer = setTimeout(begin, 3000);
    };
  };
  begin();
  const watch = setInterval(() => { if (Date.now() - lastGood > DEAD_MS) { say("lost"); begin(); } }, 4000);
  addEventListener("online", begin);
  addEventListener("offline", () => say("lost"));
  addEventListener("pagehide", () => { stream.close(); clearTimeout(timer); clearInterval(watch); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  return { get last() { return last; } };
}
