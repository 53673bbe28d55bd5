// The editor of a network. The server makes each change, checks it and writes the page anew; here
// is what the network is now, what it was before, and what was filled in.
import { call, t } from "./dom.js";
import { movable } from "./design_move.js";
import { refused } from "./design_said.js";

const start = JSON.parse(document.getElementById("start").textContent);
const [told, undo, saved] = ["told", "undo", "saved"].map((id) => document.getElementById(id));
const before = [];
let network = JSON.parse(start.network);

// What stood in a field when the page was written.
const stood = (field) => (field.tagName === "SELECT" ? ([...field.options].find((o) => o.defaultSelected) ?? field.options[0])?.value : field.defaultValue);
// The fields of a form that were filled in differently, by name.
const altered = (form) => Object.fromEntries([...form.elements].filter((f) => f.name && f.value !== stood(f)).map((f) => [f.name, f.value]));

function show(html, sent) {
  const old = document.getElementById("parts"), here = document.activeElement?.id;
  const open = [...old.querySelectorAll("details[open]")].map((d) => d.id);
  const there = new DOMParser().parseFromString(html, "text/html"), next = there.getElementById("parts");
  for (const id of open) there.getElementById(id)?.setAttribute("open", "");
  // What is being filled in elsewhere is not lost with the page.
  for (const form of old.querySelectorAll("form")) {
    if (form === sent) continue;
    for (const field of form.elements) {
      const again = field.id && field.type !== "checkbox" && field.value !== stood(field) && there.getElementById(field.id);
      if (again) again.dataset.typed = field.value;
    }
  }
  old.replaceWith(next);
  for (const field of next.querySelectorAll("[data-typed]")) field.value = field.dataset.typed;
  (document.getElementById(here) ?? (here ? next.querySelector("summary") : null))?.focus();
  undo.disabled = before.length === 0;
}

// Makes a change, and says how the network stands after it, below `lead`; whether it was made.
async function act(wish, from = network, sent = null, lead = "") {
  try {
    const now = await call("POST", "/api/design/draft", wish ? { network: from, act: wish } : { network: from });
    if (wish) before.push(from);
    network = now.network;
    show(now.page, sent);
    const n = now.findings.length, assumed = now.assumed.length;
    told.textContent = [
      lead, n ? t("design.edit.now-wrong", { n }) : t("design.edit.now-right"),
      assumed ? t("design.edit.now-assumed", { n: assumed }) : "",
    ].join(" ").trim();
    return true;
  } catch (no) { refused(told, no); return false; }
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
  "change-site": (form) => {
    const now = altered(form), { lat, lon, owner, owner_name } = form.elements, wish = {}, places = {};
    if ("title" in now) wish.title = now.title;
    if ("owner" in now) wish.owner = owner.value || owner_name.value;
    if ("lat" in now || "lon" in now) wish.at = lat.value === "" && lon.value === "" ? null : [number(lat.value), number(lon.value)];
    if ("share" in now) wish.share = Number(now.share) / 100;
    for (const [name, value] of Object.entries(now)) if (name.startsWith("places:")) places[name.slice(7)] = Number(value);
    if (Object.keys(places).length) wish.places = places;
    return Object.keys(wish).length ? { do: "change-site", site: form.dataset.key, ...wish } : null;
  },
  "change-lane": (form) => {
    const now = altered(form), wish = {};
    if ("days" in now) wish.days = Number(now.days);
    if ("mode" in now) wish.mode = now.mode || null;
    if ("km" in now) wish.km = number(now.km);
    return Object.keys(wish).length ? { do: "change-lane", kind: form.dataset.kind, lane: form.dataset.key, ...wish } : null;
  },
  "add-lane": (form) => ({
    do: "add-lane", origin: form.origin.value, to: form.to.value, days: Number(form.days.value), mode: form.mode.value || null, km: number(form.km.value),
  }),
};

// A site that was moved on the map: its form says where, and the same act as the form's is sent.
let moving = Promise.resolve();
movable((site, lat, lon, words) => {
  const name = site.dataset.key.slice(site.dataset.key.indexOf(":") + 1);
  const fields = [["lat", lat], ["lon", lon]].map(([field, value]) => [document.getElementById(`c-${name}-${field}`), value]);
  for (const [field, value] of fields) if (field) field.value = value;
  moving = moving.then(async () => {
    const made = await act({ do: "change-site", site: name, at: [lat, lon] }, network, null, words);
    if (!made) for (const [field] of fields) if (field) field.value = field.defaultValue;
    return made;
  });
  return moving;
}, (words) => { told.textContent = words; });

document.addEventListener("submit", (event) => {
  const make = filled[event.target.dataset.do];
  if (!make) return;
  event.preventDefault();
  const wish = make(event.target);
  if (wish) act(wish, network, event.target);
  else told.textContent = t("design.edit.unaltered");
});
// What is chosen on the map is changed beside it: a site, or the first lane that leads there.
function choose(key) {
  const kind = key.slice(0, key.indexOf(":")), name = key.slice(kind.length + 1);
  const rows = [...document.querySelectorAll(".design-rows > li")];
  const lane = kind === "lane" && rows.find((row) => row.dataset.ends?.split(" ").includes(name));
  const form = (lane || rows.find((row) => row.dataset.site === name))?.querySelector(".design-change");
  if (!form) return;
  form.open = true;
  form.querySelector("summary").focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-act]"), place = event.target.closest?.(".network-map [data-key]");
  if (button) act(JSON.parse(button.dataset.act));
  if (place) choose(place.dataset.key);
});
document.addEventListener("keydown", (event) => {
  const place = event.target.closest?.(".network-map [data-key]");
  if (!place || (event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  choose(place.dataset.key);
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
