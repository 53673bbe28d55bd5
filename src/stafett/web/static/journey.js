// A journey's page: made again when the record moves on; deviations are acknowledged and answers
// corrected, each in a small dialog that says what it is and asks for a reason.
import { call, h, Refused, t } from "./dom.js";
import { follow } from "./live.js";
import * as outbox from "./outbox.js";
import { draw as drawOutlook } from "./outlook.js";

const start = JSON.parse(document.getElementById("start").textContent);
const path = `/api/journeys/${encodeURIComponent(start.journey)}`;
drawOutlook();
const shown = await call("GET", path);
let timer = null;
let last = shown.position;
follow(shown.position, (row) => {
  if (row.journey !== start.journey || row.position <= last) return;
  last = row.position;
  clearTimeout(timer);
  timer = setTimeout(refresh, 150);
}, { onBeat: (beat) => outbox.sealedTo(beat.sealed) });

async function refresh() {
  if (document.querySelector("dialog[open]")) { timer = setTimeout(refresh, 1000); return; }
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.getAttribute("href");
  const section = (d) => `${d.closest("section")?.getAttribute("aria-labelledby")} ${d.className}`;
  const open = new Map([...document.querySelectorAll("#main details")].map((d) => [section(d), d.open]));
  const live = document.getElementById("live");
  const main = fresh.getElementById("main");
  main.querySelectorAll("details").forEach((d) => { d.open = open.get(section(d)) ?? d.open; });
  await Promise.all([...main.querySelectorAll("details[data-page][open]")].map(fill));
  main.querySelector("#live").replaceWith(live); // the stream goes on writing into the same element
  document.getElementById("main").replaceChildren(...main.childNodes);
  drawOutlook();
  if (focused) document.querySelector(`#main a[href="${CSS.escape(focused)}"]`)?.focus();
}

// What few look at, and is large, is fetched when it is unfolded; its link leads there without us.
async function fill(details) {
  const answer = await fetch(details.dataset.page, { headers: { Accept: "text/html" } }).catch(() => null);
  const there = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("events");
  if (!there) return; // the link stays
  details.querySelector("#events")?.remove();
  details.append(there);
}
document.addEventListener("toggle", ({ target }) => { if (target.open && target.matches("details[data-page]") && !target.querySelector("#events")) fill(target); }, true);

// Ask for `fields` under a heading; `send(values)` makes the command. Stays open until it is
// recorded or a person leaves it.
function ask(title, what, fields, send) {
  const said = h("p", { class: "note red hidden", role: "alert" });
  const inputs = fields.map(({ name, label, field }) => { field.id = `ask-${name}`; field.name = name; return [h("label", { for: field.id }, label), field]; });
  const box = h("dialog", { "aria-labelledby": "ask-title" }, h("h2", { id: "ask-title" }, title), what && h("p", {}, what), said,
    h("form", { onsubmit: async (event) => {
      event.preventDefault();
      const button = box.querySelector("button.main");
      button.disabled = true;
      try { await call("POST", `${path}/commands`, send(Object.fromEntries(new FormData(event.currentTarget)))); box.close(); } catch (error) {
        said.textContent = `✖ ${error instanceof Refused ? error.reasons.map((r) => r.what + (r.todo ? ` – ${r.todo}` : "")).join("; ") || error.message : t("live.no-network")}`;
        said.classList.remove("hidden");
        button.disabled = false;
      }
    } }, inputs, h("p", { class: "row" }, h("button", { class: "main", type: "submit" }, t("journey.save")), h("button", { type: "button", onclick: () => box.close() }, t("station.back")))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

const key = () => crypto.randomUUID();
const now = () => new Date().toISOString();
const text = (more = {}) => h("input", { required: true, maxlength: 1000, ...more });
const myRole = () => shown.tasks.find((task) => start.roles.includes(task.role))?.role ?? start.roles[0];

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-deviation], button[data-correct]");
  if (!button) return;
  const { deviation, correct, title } = button.dataset;
  const made = key();
  if (correct) correction(button.dataset, made);
  else ask(`${t("deviation.acknowledge")}: ${title}`, t("journey.acknowledge-what"), [], () => ({ key: made, role: myRole(), command: { type: "AcknowledgeDeviation", deviation, occurred_at: now() } }));
});

function correction({ correct, role, kind, unit, value, ask: question, choices }, made) {
  let field;
  if (kind === "choice") { field = h("select", { required: true }, Object.entries(JSON.parse(choices)).map(([id, words]) => h("option", { value: id }, words))); field.value = value; }
  else field = text(kind === "quantity" ? { type: "number", step: "any", value } : { value });
  ask(`${t("journey.correct")}: ${question}`, t("journey.correct-what"), [{ name: "value", label: t("journey.new-value") + (unit ? ` (${unit})` : ""), field }, { name: "reason", label: t("journey.reason"), field: text() }],
    (given) => ({ key: made, role, command: { type: "Correct", position: Number(correct), field: "value", value: kind === "quantity" ? Number(given.value) : given.value, reason: given.reason, occurred_at: now() } }));
}
