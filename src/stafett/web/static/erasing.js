// Erasing a patient: find who it is, say what goes, sign, and see that it is done and recorded.
import { call, h, moment, Refused, t, when } from "./dom.js";
import { sign as signed } from "./passkey.js";

const lines = (error) => error instanceof Refused ? [error.message, ...error.reasons.map((r) => [r.what, r.todo].filter(Boolean).join(" – "))]
  : [error instanceof DOMException ? t("station.passkey-cancelled") : t("erasing.lost")];

// Search: what is typed goes in the body, never in an address.
const search = document.getElementById("search"), found = document.getElementById("found");
function row(one) {
  const names = one.identifiers ? Object.values(one.identifiers).join(" · ") : t("erasing.is-erased");
  const where = one.journey ? h("a", { class: "mono", href: `/admin/erasure/${encodeURIComponent(one.journey)}` }, one.journey)
    : one.erased ? t("erasing.nothing-erased") : t("erasing.came-to-nothing", { at: when(one.enrolled) });
  return h("tr", {}, h("th", { scope: "row", lang: one.identifiers ? "" : null }, names), h("td", {}, where), h("td", { class: "mono" }, one.pseudonym), h("td", { class: "num" }, when(one.enrolled)));
}
search?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const every = await call("POST", "/api/erasures/search", { patient: search.elements.patient.value.trim() });
    const heads = ["erasing.who-is", "journey", "erasing.pseudonym", "erasing.enrolled"].map((key) => h("th", { scope: "col" }, t(key)));
    found.replaceChildren(h("p", { class: "num" }, t(every.length ? "erasing.found" : "erasing.none", { n: every.length })),
      every.length ? h("div", { class: "scroll card", tabindex: "0", role: "region", "aria-label": t("erasing.results") }, h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, every.map(row)))) : "");
    found.querySelector("a")?.focus();
  } catch (error) { found.replaceChildren(h("p", { class: "note red", role: "alert" }, `✖ ${lines(error).join(": ")}`)); }
});

// Asking and confirming: name, meaning and time stand there before the signature.
const start = JSON.parse(document.getElementById("start")?.textContent ?? "{}");
const form = document.getElementById("erase"), second = document.getElementById("confirm"), withdraw = document.getElementById("withdraw");
const path = `/api/journeys/${encodeURIComponent(start.journey)}/erasure`;
function manifest() {
  for (const one of document.querySelectorAll(".signs")) one.textContent = t("station.signing", { name: start.name, at: moment(new Date().toISOString()) });
}
if (form || second) { manifest(); setInterval(manifest, 15000); }
async function act(event, refused, does) {
  event.preventDefault();
  const button = event.target.querySelector("button[type=submit]");
  button.disabled = true;
  refused.className = "note red hidden";
  try {
    await does();
    location.reload();
    return;
  } catch (error) {
    refused.replaceChildren(...lines(error).map((line, n) => h("div", {}, n ? line : `✖ ${line}`)));
    refused.className = "note red";
  }
  button.disabled = false;
}
async function sign(to, asked) {
  const typed = document.getElementById("password").value;
  const by = typed ? { password: typed } : { passkey: await signed(await call("POST", `${to}/signing`, asked)) };
  await call("POST", to, { ...asked, ...by }, 60000);
}
form?.addEventListener("submit", (event) => act(event, document.getElementById("refused"), () => sign(path, {
  basis: new FormData(form).get("basis"), reason: form.elements.reason.value.trim(), documents: [...form.querySelectorAll("[name=documents]:checked")].map((c) => c.value),
})));
second?.addEventListener("submit", (event) => act(event, document.getElementById("refused"), () => sign(`${path}/confirmation`, {})));
withdraw?.addEventListener("submit", (event) => act(event, document.getElementById("not-withdrawn"), () => call("POST", `${path}/withdrawal`, { reason: withdraw.elements.why.value.trim() })));

// It is done, and the record was away: look until it has been told.
async function look() {
  try {
    const now = await call("GET", path);
    if (now.told[0]?.position) { location.reload(); return; }
  } catch { /* looked at again below */ }
  setTimeout(look, 3000);
}
if (start.waits) setTimeout(look, 3000);
