// Shipments, live: load the page's content again when a shipment on it was looked at.
import { clock, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
let lastGood = Date.now();
let timer = null;
let loading = false;

function say(state) {
  const live = document.getElementById("live");
  live.dataset.state = state;
  const at = clock(lastGood);
  live.textContent = state === "live" ? `● ${t("live.live")}` : `⚠ ${t("live.lost", { at })}`;
}

const stream = new EventSource("/api/shipments/stream");
stream.addEventListener("shipment", (event) => {
  lastGood = Date.now();
  const { id } = JSON.parse(event.data);
  if ((start.shipment && start.shipment !== id) || timer) return;
  timer = setTimeout(refresh, 1000);
});
stream.addEventListener("beat", () => { lastGood = Date.now(); say("live"); });
stream.onopen = () => { lastGood = Date.now(); say("live"); };
stream.onerror = () => say("lost");
addEventListener("pagehide", () => stream.close());

async function refresh() {
  timer = null;
  if (loading) return;
  loading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement?.getAttribute("href");
    const scrolled = [...document.querySelectorAll("#main .scroll")].map((s) => s.scrollLeft);
    document.getElementById("main").replaceChildren(...fresh.getElementById("main").childNodes);
    document.querySelectorAll("#main .scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
    if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus();
    say("live");
  } finally { loading = false; }
}
