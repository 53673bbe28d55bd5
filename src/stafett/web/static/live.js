// Follow the record: one stream per page, with the state of the connection always visible.
import { t } from "./dom.js";

export function follow(after, onRow) {
  const live = document.getElementById("live");
  let lastGood = Date.now();
  const say = (state) => {
    live.dataset.state = state;
    const at = new Date(lastGood).toLocaleTimeString(document.documentElement.lang);
    live.textContent = state === "live" ? `● ${t("live.live")}` : `⚠ ${t("live.lost", { at })}`;
  };
  const stream = new EventSource(`/api/stream?after=${after}`);
  stream.addEventListener("row", (event) => { lastGood = Date.now(); onRow(JSON.parse(event.data), Number(event.lastEventId)); });
  stream.addEventListener("beat", () => { lastGood = Date.now(); say("live"); });
  stream.onopen = () => { lastGood = Date.now(); say("live"); };
  stream.onerror = () => say("lost");
  addEventListener("pagehide", () => stream.close());
  return stream;
}
