// Which trials could this patient be asked about: decided here, on the public list. Nothing that is
// typed on this page is sent anywhere; the same rule is stafett.registry.match, which tests hold it to.
import { h, t } from "./dom.js";

export const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export function couldJoin(trial, facts) {
  if (!["not-yet-recruiting", "recruiting", "by-invitation"].includes(trial.status)) return false;
  if (facts.age !== null) {
    if (trial.minimum_age !== null && facts.age < trial.minimum_age) return false;
    // "up to 17 years" lasts until the eighteenth birthday
    if (trial.maximum_age !== null && facts.age >= trial.maximum_age + 1) return false;
  }
  if (["female", "male"].includes(facts.sex) && !["all", facts.sex].includes(trial.sex)) return false;
  const told = trial.indications.map(plain).join(" ");
  if (plain(facts.indication).split(/\s+/).filter(Boolean).some((word) => !told.includes(word))) return false;
  const wanted = facts.countries.map(plain);
  return !wanted.length || trial.sites.some((site) => wanted.includes(plain(site.country)));
}

const form = document.getElementById("match");
if (form) start();

async function start() {
  const said = document.getElementById("said"), found = document.getElementById("found");
  const booking = JSON.parse(document.getElementById("booking").textContent);
  let trials = [];
  try { trials = (await (await fetch("/registry/trials.json?status=open")).json()).trials; } catch { said.textContent = `⚠ ${t("registry.match.failed")}`; return; }
  window.couldJoin = (facts) => trials.filter((trial) => couldJoin(trial, facts)).map((trial) => trial.id);
  said.textContent = t("registry.match.ready", { n: trials.length });
  const value = (id) => document.getElementById(id).value.trim();
  const look = () => {
    const facts = { age: value("age") === "" ? null : Number(value("age")), sex: value("sex") || null, indication: value("indication"), countries: value("country") ? [value("country")] : [] };
    const hits = trials.filter((trial) => couldJoin(trial, facts));
    said.textContent = t("registry.match.found", { n: hits.length, all: trials.length });
    found.replaceChildren(...hits.slice(0, 100).map((trial) => card(trial, booking)));
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); look(); });
  form.addEventListener("change", look);
}

function card(trial, booking) {
  const where = trial.sites.map((site) => {
    const here = booking.filter((b) => b.organisation === site.organisation);
    const slots = here.map((b) => {
      const c = b.capacity;
      const said = t(`registry.match.${c.slots ? "slot" : "no-slot"}`, { resource: c.resource, n: c.slots });
      const more = [c.first_free && t("registry.first-free", { day: c.first_free }), b.live ? t("registry.live") : t("registry.stated", { day: c.on })];
      return `${said} (${more.filter(Boolean).join("; ")})`;
    }).join(", ");
    return h("li", {}, `${site.city ?? site.name}, ${site.country}: ${t(`registry.status.${site.status}`)}; `, slots || t("registry.slots-unknown"));
  });
  return h("section", { class: "card" }, h("h2", {}, h("a", { href: `/registry/trials/${trial.id}` }, trial.title)), h("p", {}, h("span", { class: "mono" }, trial.id), ` · ${trial.sponsor}`, trial.made_up ? h("span", { class: "tag amber" }, t("registry.made-up-tag")) : ""), h("ul", {}, where));
}
