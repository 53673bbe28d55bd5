// A journey's page: load it again when the record moves on; acknowledge deviations.
import { call, Refused, t } from "./dom.js";
import { follow } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
const shown = await call("GET", `/api/journeys/${start.journey}`);
let timer = null;
follow(shown.position, (row) => {
  if (row.journey !== start.journey || row.position <= shown.position) return;
  clearTimeout(timer);
  timer = setTimeout(refresh, 150);
});

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.getAttribute("href");
  const open = [...document.querySelectorAll("details")].map((d) => d.open);
  document.getElementById("live").removeAttribute("id");
  const main = fresh.getElementById("main");
  main.querySelectorAll("details").forEach((d, i) => { d.open = open[i]; });
  document.getElementById("main").replaceChildren(...main.childNodes);
  document.getElementById("live").textContent = `● ${t("live.live")}`;
  if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-deviation]");
  if (!button) return;
  const role = shown.tasks.find((task) => start.roles.includes(task.role))?.role ?? start.roles[0];
  const command = { type: "AcknowledgeDeviation", deviation: button.dataset.deviation, occurred_at: new Date().toISOString() };
  const ask = { key: crypto.randomUUID(), role, command };
  button.disabled = true;
  try { await call("POST", `/api/journeys/${start.journey}/commands`, ask); } catch (error) {
    alert(error instanceof Refused ? error.message : t("live.lost", { at: "" }));
    button.disabled = false;
  }
});
