// Read a logger's file in at its shipment: first what would be read, then, when somebody says so, the readings.
// Withdraw one that was wrong: name, meaning and time stand there before the signature.
import { call, h, moment, Refused, t } from "./dom.js";
import { sign } from "./passkey.js";

const start = JSON.parse(document.getElementById("start").textContent);
const form = document.querySelector("#logger-file form");
const said = document.getElementById("logfile-said");

async function send(dry) {
  const data = new FormData(form);
  const file = data.get("file");
  const query = new URLSearchParams({ name: file.name.slice(0, 200), dry_run: dry });
  for (const name of ["zone", "order", "unit", "column"]) if (data.get(name).trim()) query.set(name, data.get(name).trim());
  const answer = await fetch(`/api/shipments/${start.shipment}/file?${query}`, { method: "POST", headers: { "X-Stafett": "1", "Content-Type": "application/octet-stream" }, body: file });
  const value = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, value);
  return value;
}

function refused(error) {
  const words = error instanceof Refused ? [error.message, ...error.reasons.map((r) => `${r.field}: ${r.what}. ${r.todo ?? ""}`)] : [t("live.lost", { at: "" })];
  said.replaceChildren(h("div", { class: "note red", role: "alert" }, ...words.map((word, n) => h("p", {}, n ? word : `✖ ${word}`))));
  form.querySelector("details").open = true;
}

const degrees = (value) => (value === null ? "–" : `${value.toFixed(1)} °C`);
const order = { "day first": "logfile.day-first", "month first": "logfile.month-first" };

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const found = await send(true);
    const facts = [
      [t("logfile.times"), `${moment(found.first)} – ${moment(found.last)}`],
      [t("logfile.readings"), `${found.readings}${found.without_value ? ` (${t("logfile.without", { n: found.without_value })})` : ""}`],
      [t("logfile.range"), `${degrees(found.coldest_c)} … ${degrees(found.warmest_c)}`],
      [t("logfile.column"), `${found.columns.temperature_c} (${found.unit === "K" ? "K" : `°${found.unit}`})`],
      [t("logfile.in-zone"), found.zone === "as written" ? t("logfile.as-said") : found.zone],
    ];
    if (found.order) facts.push([t("logfile.order"), t(order[found.order])]);
    if (found.rows_after) facts.push([t("logfile.after"), found.rows_after]);
    const button = h("button", { class: "main", type: "button", onclick: keep }, t("logfile.do"));
    said.replaceChildren(
      h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      ...(found.names_logger ? [] : [h("p", { class: "note amber" }, `⚠ ${t("logfile.nameless")}`)]),
      h("p", { class: "row" }, button),
    );
  } catch (error) { refused(error); }
});

// Another file, or another word about it: what was looked at no longer is what would be read.
form.addEventListener("input", () => said.replaceChildren());

async function keep(event) {
  event.target.disabled = true;
  try {
    const done = await send(false);
    said.replaceChildren(h("p", { class: "note" }, `✓ ${t(done.known === done.chunks ? "logfile.known" : "logfile.done", { n: done.readings })}`));
    form.reset();
  } catch (error) { refused(error); }
}

// The list is drawn anew while the page lives: its forms are found when they are used.
document.addEventListener("toggle", ({ target }) => {
  for (const one of target.querySelectorAll?.(".withdraw .signs") ?? []) one.textContent = t("station.signing", { name: start.name, at: moment(new Date().toISOString()) });
}, true);

document.addEventListener("submit", async (event) => {
  const one = event.target;
  if (!one.matches(".withdraw")) return;
  event.preventDefault();
  const button = one.querySelector("button"), no = one.querySelector("[role=alert]");
  const path = `/api/shipments/${start.shipment}/files/${one.dataset.read}/withdrawal`;
  const asked = { reason: one.elements.reason.value.trim() }, password = one.elements.password.value;
  button.disabled = true;
  try {
    const by = password ? { password } : { passkey: await sign(await call("POST", `${path}/signing`, asked)) };
    await call("POST", path, { ...asked, ...by });
    location.reload();
  } catch (error) {
    const words = error instanceof Refused ? [error.message, ...error.reasons.map((r) => [r.what, r.todo].filter(Boolean).join(" – "))]
      : [t(error instanceof DOMException ? "station.passkey-cancelled" : "live.lost", { at: "" })];
    no.replaceChildren(...words.map((word, n) => h("div", {}, n ? word : `✖ ${word}`)));
    no.className = "note red";
    button.disabled = false;
  }
});
