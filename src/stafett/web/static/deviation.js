// The work on one deviation: each form is one command of the journey, signed where that is due.
import { call, moment, Refused, t } from "./dom.js";
import { sign } from "./passkey.js";

const start = JSON.parse(document.getElementById("start").textContent);
const HEAVY = ["minor", "major", "critical"];
function words(error) {
  if (error instanceof Refused) return [error.message, ...error.reasons.map((r) => r.what ?? r.detail)].filter(Boolean).join(": ");
  return error instanceof DOMException ? t("station.passkey-cancelled") : t("live.lost", { at: "" });
}

// A signed act is signed by the password that was typed, or else by the person's passkey, which
// signs the very bytes of the act.
async function signature(ask, typed) {
  if (typed) return { password: typed };
  const due = await call("POST", `/api/journeys/${start.journey}/signing`, ask);
  return { passkey: await sign(due) };
}

// Meaning, name and moment stand beside the password before anything is signed.
function manifest() {
  for (const line of document.querySelectorAll(".signs")) {
    const meaning = line.dataset.meaning || line.closest("form").elements.part.value;
    line.textContent = `“${t(`work.meaning.${meaning}`)}” ${t("station.signing", { name: start.name, at: moment(new Date().toISOString()) })}`;
  }
}
manifest();
setInterval(manifest, 15000);
document.addEventListener("input", (event) => { if (event.target.name === "part") manifest(); });

function command(form, data) {
  const made = { type: form.dataset.command, deviation: start.deviation, occurred_at: new Date().toISOString() };
  for (const [name, value] of data) {
    if (name === "role" || name === "password") continue;
    if (name === "criteria") (made.criteria ??= []).push(value);
    else if (name.startsWith("impact.")) (made.impact ??= {})[name.slice(7)] = value;
    else if (name === "effective") made.effective = value === "true";
    else if (name === "due" || name === "check_by") made[name] = new Date(`${value}T12:00:00`).toISOString();
    else if (name === "originated") made.originated = value || null;
    else made[name] = value;
  }
  if (made.type === "TriageDeviation") made.criteria ??= [];
  return made;
}

for (const form of document.querySelectorAll("form[data-command]")) {
  // Made once for each form: sending again after a lost answer does nothing twice.
  let key = crypto.randomUUID();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const said = form.querySelector(".said");
    const ask = { key, role: data.get("role"), command: command(form, data) };
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      const signed = data.has("password") ? await signature(ask, data.get("password")) : {};
      await call("POST", `/api/journeys/${start.journey}/commands`, { ...ask, ...signed });
      location.reload();
    } catch (error) {
      if (error instanceof Refused) key = crypto.randomUUID();
      said.textContent = `⚠ ${words(error)}`;
      button.disabled = false;
    }
  });
}

// What the chosen criteria weigh, as the core will weigh them.
const triage = document.querySelector("form[data-command=TriageDeviation]");
function weigh() {
  const found = [...triage.querySelectorAll("input[name=criteria]:checked")].map((box) => box.dataset.weight);
  const chosen = found.length > 0;
  const at = (name) => triage.querySelector(`[name="impact.${name}"]`).value !== "none";
  if (at("identity") || at("patient")) found.push("critical");
  if (at("custody") || at("product")) found.push("major");
  const heaviest = found.sort((a, b) => HEAVY.indexOf(b) - HEAVY.indexOf(a))[0] ?? "minor";
  triage.querySelector(".weight").textContent = chosen ? t(`work.weight.${heaviest}`) : "–";
}
triage?.addEventListener("input", weigh);

const ask = document.getElementById("ask");
ask?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(ask);
  try {
    await call("POST", `/api/journeys/${start.journey}/deviations/${start.deviation}/peers`, { facts: data.get("facts"), sites: data.getAll("sites") });
    location.reload();
  } catch (error) { ask.querySelector(".said").textContent = `⚠ ${words(error)}`; }
});
