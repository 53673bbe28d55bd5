// The editor of a network. The server makes each change, checks it and writes the page anew; here
// is what the network is now, what it was before, and what was filled in.
import { call, t } from "./dom.js";
import { refused } from "./design_said.js";

const start = JSON.parse(document.getElementById("start").textContent);
const [told, undo, saved] = ["told", "undo", "saved"].map((id) => document.getElementById(id));
const before = [];
let network = JSON.parse(start.network);

function show(html) {
  const old = document.getElementById("parts"), here = document.activeElement?.id;
  const open = [...old.querySelectorAll("details[open]")].map((d) => d.id);
  const next = new DOMParser().parseFromString(html, "text/html").getElementById("parts");
  for (const id of open) next.querySelector(`#${id}`)?.setAttribute("open", "");
  old.replaceWith(next);
  (document.getElementById(here) ?? (here ? next.querySelector("summary") : null))?.focus();
  undo.disabled = before.length === 0;
}

async function act(wish, from = network) {
  try {
    const now = await call("POST", "/api/design/draft", wish ? { network: from, act: wish } : { network: from });
    if (wish) before.push(from);
    network = now.network;
    show(now.page);
    const n = now.findings.length;
    told.textContent = n ? t("design.edit.now-wrong", { n }) : t("design.edit.now-right");
  } catch (no) { refused(told, no); }
}

const number = (value) => (value === "" ? null : Number(value));
const filled = {
  "add-site": (form) => {
    const data = new FormData(form), lat = number(data.get("lat")), lon = number(data.get("lon"));
    const places = {};
    for (const [name, value] of data) if (name.startsWith("places:")) places[name.slice(7)] = Number(value);
    return {
      do: "add-site", title: data.get("title"), owner: data.get("owner") || data.get("owner_name"), roles: data.getAll("role"),
      at: lat === null && lon === null ? null : [lat, lon], share: Number(data.get("share")) / 100, places,
    };
  },
  "add-lane": (form) => ({
    do: "add-lane", origin: form.origin.value, to: form.to.value, days: Number(form.days.value), mode: form.mode.value || null, km: number(form.km.value),
  }),
};

document.addEventListener("submit", (event) => {
  const make = filled[event.target.dataset.do];
  if (!make) return;
  event.preventDefault();
  act(make(event.target));
});
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-act]");
  if (button) act(JSON.parse(button.dataset.act));
});
document.addEventListener("change", (event) => {
  const { role } = event.target.dataset;
  if (role && event.target.value) act({ do: "give-role", role, who: event.target.value });
});
undo.addEventListener("click", () => act(null, before.pop()));

document.getElementById("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, title, reason } = event.target;
  const text = JSON.stringify({ ...network, network: name.value, title: title.value });
  try {
    const kept = await call("PUT", `/api/design/own/${encodeURIComponent(name.value)}`, {
      text, reason: reason.value, after: name.value === start.name ? start.after : 0,
    });
    const ref = `${kept.name}@${kept.version}`;
    const chosen = JSON.parse(sessionStorage.getItem("design") || "null") ?? { picked: [], changes: {} };
    chosen.picked = [...chosen.picked.filter((x) => x.split("@")[0] !== kept.name), ref].slice(-4);
    sessionStorage.setItem("design", JSON.stringify(chosen));
    location.assign(`/design?network=${ref}`);
  } catch (no) { refused(saved, no); }
});
