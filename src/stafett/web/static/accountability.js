// Handing accountability over: each form is one command of the journey, signed where that is due.
import { call, Refused, t } from "./dom.js";
import { sign } from "./passkey.js";

const start = JSON.parse(document.getElementById("start").textContent);
const path = `/api/journeys/${encodeURIComponent(start.journey)}`;

function words(error) {
  if (error instanceof Refused) return [error.message, ...error.reasons.map((r) => r.what ?? r.detail)].filter(Boolean).join(": ");
  return error instanceof DOMException ? t("station.passkey-cancelled") : t("live.lost", { at: "" });
}

async function signature(ask, typed) {
  if (typed) return { password: typed };
  const due = await call("POST", `${path}/signing`, ask);
  return { passkey: await sign(due) };
}

for (const form of document.querySelectorAll("form[data-command]")) {
  // Made once for each form: sending again after a lost answer does nothing twice.
  let key = crypto.randomUUID();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const made = { type: form.dataset.command, occurred_at: new Date().toISOString() };
    for (const name of ["to", "reason"]) if (data.has(name)) made[name] = data.get(name);
    if (form.dataset.accept) made.accept = form.dataset.accept === "true";
    const ask = { key, role: form.dataset.role, command: made };
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      const signed = data.has("password") ? await signature(ask, data.get("password")) : {};
      await call("POST", `${path}/commands`, { ...ask, ...signed });
      location.reload();
    } catch (error) {
      if (error instanceof Refused) key = crypto.randomUUID();
      form.querySelector(".said").textContent = `⚠ ${words(error)}`;
      button.disabled = false;
    }
  });
}
