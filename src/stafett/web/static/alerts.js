// My alerts: taken with one act, handed over with two people's. The list is always the whole present.
import { call, h, pick, Refused, span, t } from "./dom.js";
import { listen } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
const body = document.querySelector("#alerts tbody");
let shown = [];
const SIGN = { critical: ["✖", "red"], major: ["⚠", "amber"], warning: ["◷", "amber"], minor: ["·", ""] };

function draw() {
  const now = Date.now();
  const along = new Map();
  for (const { alert } of shown) if (alert.joined !== null) along.set(alert.joined, (along.get(alert.joined) ?? 0) + 1);
  const there = new Set(shown.map(({ alert }) => alert.id));
  const heads = shown.filter(({ alert }) => alert.joined === null || !there.has(alert.joined));
  const focus = document.activeElement?.dataset?.take;
  body.replaceChildren(...heads.slice(0, 200).map(({ alert, title, place, why, role, holder }) => {
    const [sign, colour] = SIGN[alert.urgency];
    const open = alert.acknowledged === null;
    const what = alert.cause.startsWith("D") ? h("a", { href: `/deviations/${alert.journey}/${alert.cause.split(".")[0]}` }, pick(title)) : alert.code === "ACCOUNTABILITY_OFFERED" ? h("a", { href: `/journeys/${alert.journey}/accountability` }, t("alert.accountability")) : alert.kind === "silence" ? t("alert.silence") : pick(title);
    return h("tr", { id: `a${alert.id}`, "data-act": open ? colour : "", role: "row" },
      h("td", { role: "cell" }, h("span", { class: `tag ${open ? colour : ""}` }, `${sign} `, t(`urgency.${alert.urgency}`)), alert.rung > 0 ? h("small", {}, " ", t("alert.rung", { n: alert.rung + 1 })) : ""),
      h("td", { role: "cell", class: "what" }, what, h("br"), h("small", { class: "soft" }, `${pick(place)}${along.get(alert.id) ? ` · ${t("alert.along", { n: along.get(alert.id) })}` : ""}`), h("br"), h("small", { class: "why", ...(why === alert.why ? { lang: "" } : {}) }, why)),
      h("td", { role: "cell", class: "mono" }, h("a", { href: `/journeys/${alert.journey}` }, alert.journey)),
      h("td", { role: "cell" }, role, alert.deputy ? h("small", { class: "soft" }, ` ${t("alerts.deputy")}`) : ""),
      h("td", { role: "cell", class: "n" }, span((now - Date.parse(alert.raised)) / 1000)),
      h("td", { role: "cell", class: "act" }, open ? h("button", { class: colour === "red" ? "main" : "", "data-take": alert.id }, t("alert.take")) : h("span", {}, "✓ ", holder ?? "", h("br"), h("small", { class: "soft" }, t(`alert.until.${alert.worse}`)))));
  }));
  if (focus) body.querySelector(`[data-take="${focus}"]`)?.focus();
  document.getElementById("none").classList.toggle("hidden", heads.length > 0);
}

listen(() => "/api/alerts/stream", { alerts: ({ alerts }) => { shown = alerts; draw(); } });
setInterval(draw, 15000);

const words = (error) => (error instanceof Refused ? [error.message, ...error.reasons.map((r) => r.what ?? r.detail)].filter(Boolean).join(": ") : t("live.lost", { at: "" }));
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-take], button[data-accept], button[data-drop], button[data-again]");
  if (!button) return;
  button.disabled = true;
  try {
    if (button.dataset.take) await call("POST", `/api/alerts/${button.dataset.take}/acknowledge`, {});
    else if (button.dataset.accept) { await call("POST", `/api/alerts/handovers/${button.dataset.accept}/accept`); location.reload(); }
    else if (button.dataset.again) { await call("POST", `/api/alerts/unmailed/${button.dataset.again}/again`); location.reload(); }
    else { await call("DELETE", `/api/roster/${button.dataset.drop}`); location.reload(); }
  } catch (error) { alert(words(error)); button.disabled = false; }
});

function onSubmit(id, saidId, send, again) {
  const form = document.getElementById(id);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = document.getElementById(saidId);
    try { await send(new FormData(form), form); said.textContent = `✓ ${t("alerts.saved")}`; if (again) location.reload(); } catch (error) { said.textContent = `⚠ ${words(error)}`; }
  });
}
onSubmit("handover", "said", (data) => call("POST", "/api/alerts/handovers", Object.fromEntries(data)), true);
onSubmit("mail", "mail-said", (data) => call("PUT", "/api/me/mail", Object.fromEntries(data)), false);
onSubmit("hours", "hours-said", async (data, form) => {
  const person = form.querySelector("#h-person option:checked");
  for (const role of person.dataset.roles.split(" "))
    await call("PUT", "/api/roster", { person: person.value, role, days: data.getAll("days").map(Number), begins: `${data.get("begins")}:00`, ends: `${data.get("ends")}:00`, zone: data.get("zone"), deputy: data.has("deputy") });
}, true);
