// A practice station: drawn by the same code as a real one; what lies on the table stands beside it.
// Nothing here is a journey: only the result of the drill goes into the record.
import { call, h, Refused, t } from "./dom.js";
import { draw as drawStation } from "./stationview.js";
import { clear, stop } from "./stop.js";

const start = JSON.parse(document.getElementById("start").textContent);
const root = document.getElementById("station"), table = document.getElementById("table");
const path = `/api/practice/${encodeURIComponent(start.drill)}`;
// A colleague is always at hand in practice, and nothing is ever held back by the network.
const s = { start, place: { journey: "PRACTICE" }, held: [], refused: [], all: [], said: null, able: true, offline: false, away: false, signedOut: false, colleague: { login: t("training.colleague") }, setColleague: () => {}, seen: () => {}, act, draw };
let view = null, busy = false;

async function act(command) {
  if (busy) return false;
  busy = true;
  s.said = null;
  try { view = await call("POST", `${path}/commands`, { command: { occurred_at: new Date().toISOString(), ...command } }); } catch (error) {
    if (!(error instanceof Refused)) throw error;
    s.said = { red: true, text: error.reasons.map((r) => r.what + (r.todo ? ` – ${r.todo}` : "")).join("; ") || error.message };
  }
  busy = false;
  draw();
  return true;
}

function draw() {
  clear();
  if (view.result) { over(view.result); if (view.stopped) shown(); return; }
  const scene = view.scene;
  table.replaceChildren(h("h2", {}, t("training.table")), scene ? h("p", { class: "lies" }, scene.kind === "scan" ? [t("training.label"), " ", h("button", { type: "button", class: "mono", onclick: () => scan(scene.shown) }, scene.shown)] : [t("training.see"), " ", h("b", {}, scene.kind === "time" ? t("training.clock") : scene.shown)]) : h("p", {}, t("training.nothing-more")));
  drawStation(root, view.station, s);
}

// Pressing the label is what a scanner does: it types it and Enter.
function scan(text) {
  const field = root.querySelector("[data-scan]");
  if (!field) return;
  field.value = text;
  field.closest("form").requestSubmit();
}

function shown() {
  const f = view.station.stop;
  const screen = stop({ ...f, direct: String(f.got ?? "").startsWith("sha256:"), shared: true }, [{ label: t("training.to-result"), onclick: () => screen.remove() }]);
  screen.querySelector(".told").textContent = `⚠ ${t("training.banner")}`;
}

function over(result) {
  const good = ["recognised", "clean"].includes(result.verdict);
  document.getElementById("give-up").remove();
  table.remove();
  root.replaceChildren(h("section", { class: `note ${good ? "" : "red"}`, role: "alert" }, h("h1", {}, `${good ? "✓" : "✖"} ${t(`training.verdict.${result.verdict}`)}`),
    h("p", {}, result.fault ? t("training.was", { fault: view.station.catalogue.find((d) => d.id === result.fault)?.title ?? result.fault }) : t("training.was-nothing")),
    result.seconds !== null && result.verdict === "recognised" ? h("p", { class: "num" }, t("training.took", { seconds: result.seconds })) : ""),
    h("p", { class: "row" }, h("a", { class: "button main", href: "/training" }, t("training.another"))));
}

document.getElementById("give-up").addEventListener("click", async () => { view = await call("DELETE", path); draw(); });
try { view = await call("GET", path); draw(); } catch (error) { root.replaceChildren(h("p", { class: "note red", role: "alert" }, `✖ ${t("training.gone")}`)); }
