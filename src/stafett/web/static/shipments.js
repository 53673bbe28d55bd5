// Shipments, live: load the page's content again when a shipment on it was looked at.
import { listen } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
let timer = null;
let loading = false;

listen(() => "/api/shipments/stream", {
  shipment: ({ id }) => {
    if ((start.shipment && start.shipment !== id) || timer) return;
    timer = setTimeout(refresh, 1000);
  },
});

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
    const main = fresh.getElementById("main");
    main.querySelector("#live").replaceWith(document.getElementById("live")); // written into as before
    const bringing = document.getElementById("logger-file"); // somebody may be at it
    if (bringing) main.querySelector("#logger-file")?.replaceWith(bringing);
    const files = document.getElementById("logger-files");
    if (files?.querySelector("details[open]")) main.querySelector("#logger-files")?.replaceWith(files);
    document.getElementById("main").replaceChildren(...main.childNodes);
    document.querySelectorAll("#main .scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
    if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus();
  } finally { loading = false; }
}
