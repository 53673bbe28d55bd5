// Onboarding: show evidence, accept or refuse it, sign. Each act is in the record before it is shown.
import { call, h, moment, Refused, t } from "./dom.js";
import { sign as signed } from "./passkey.js";

const start = JSON.parse(document.getElementById("start").textContent);
const said = document.getElementById("said");

function tell(error) {
  const words = error instanceof Refused ? [error.message, error.reasons.map((r) => r.what).join("; ")].filter(Boolean).join(": ")
    : error instanceof DOMException ? t("station.passkey-cancelled") : t("readiness.no-network");
  said.replaceChildren(h("p", { class: "note red", role: "alert" }, `✖ ${words}`));
}

async function act(body) {
  try {
    await call("POST", `/api/onboardings/${encodeURIComponent(start.id)}/acts`, body);
    location.reload();
  } catch (error) { tell(error); }
}

async function store(file) {
  const answer = await fetch("/api/documents", { method: "POST", headers: { "X-Stafett": "1", "Content-Type": file.type || "application/octet-stream" }, body: file });
  if (!answer.ok) throw new Refused(answer.status, await answer.json());
  return (await answer.json()).sha256;
}

document.querySelectorAll("form[data-act]").forEach((form) => form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = form.elements.file?.files[0];
  try {
    const sha256 = file ? await store(file) : null;
    await act({ act: form.dataset.act, topic: form.dataset.topic ?? "", text: form.elements.text.value.trim(), sha256 });
  } catch (error) { tell(error); }
}));
document.querySelectorAll("[data-accept]").forEach((button) => button.addEventListener("click", () => act({ act: "accept", topic: button.dataset.accept })));
// The password that was typed signs, or else the person's passkey, over what is accepted here.
async function signature(typed) {
  if (typed) return { password: typed };
  const due = await call("POST", `/api/onboardings/${encodeURIComponent(start.id)}/signing`, {});
  return { passkey: await signed(due) };
}

const sign = document.getElementById("sign");
function manifest() {
  sign.querySelector(".signs").textContent = t("station.signing", { name: start.name, at: moment(new Date().toISOString()) });
}
if (sign) { manifest(); setInterval(manifest, 15000); }
sign?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await act({ act: "sign", ...(await signature(document.getElementById("password").value)) });
  } catch (error) { tell(error); }
});
document.getElementById("begin")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [site, list] = document.getElementById("pair").value.split(".");
  try {
    const made = await call("POST", "/api/onboardings", { site, list });
    location.assign(`/onboarding/${made.id}`);
  } catch (error) { tell(error); }
});
