// The studio: which networks, which figures are changed (kept for this tab), and the run.
import { call, t } from "./dom.js";
import { refused } from "./design_said.js";

const { network } = JSON.parse(document.getElementById("start").textContent);
const kept = JSON.parse(sessionStorage.getItem("design") || "null") ?? { picked: ["sweden", "spain"], changes: {} };
const boxes = [...document.querySelectorAll("input.pick")];
kept.picked = kept.picked.filter((name) => boxes.some((box) => box.value === name)); // an older version is not in the list
const keep = () => sessionStorage.setItem("design", JSON.stringify(kept));

for (const box of document.querySelectorAll("input.pick")) {
  box.checked = kept.picked.includes(box.value);
  box.addEventListener("change", () => {
    kept.picked = [...document.querySelectorAll("input.pick:checked")].map((b) => b.value);
    keep();
  });
}

const changed = document.getElementById("changed");
const count = () => {
  const n = Object.keys(kept.changes[network] ?? {}).length;
  changed.textContent = n ? `(${t("design.changed", { n })})` : "";
};
for (const field of document.querySelectorAll("input.figure")) {
  const own = kept.changes[network]?.[field.dataset.path];
  if (own !== undefined) field.value = own;
  field.classList.toggle("edited", own !== undefined);
  field.addEventListener("change", () => {
    const mine = (kept.changes[network] ??= {});
    const value = Number(field.value);
    if (field.value === "" || value === Number(field.dataset.value)) { delete mine[field.dataset.path]; field.value = field.dataset.value; }
    else mine[field.dataset.path] = value;
    field.classList.toggle("edited", field.dataset.path in mine);
    count();
    mark();
    keep();
  });
}
count();

// The map and the list choose the same thing: a site or a bundle of lanes, whose figures are shown.
const buttons = [...document.querySelectorAll(".network-map [data-key]")];
const list = document.getElementById("site"), table = document.getElementById("figures");
const rows = [...table.querySelectorAll("tr[data-of]")].map((row) => ({ row, of: row.dataset.of.split(" "), field: row.querySelector("input") }));
function mark() {
  for (const button of buttons) {
    const edited = rows.some(({ of, field }) => of.includes(button.dataset.key) && field.classList.contains("edited"));
    button.classList.toggle("edited", edited);
  }
}
function choose(key) {
  list.value = key;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.key === key));
  for (const { row, of } of rows) row.hidden = key !== "" && !of.includes(key);
  const shown = rows.filter(({ row }) => !row.hidden).length;
  for (const about of document.querySelectorAll("[data-about]")) {
    about.hidden = about.dataset.about !== key;
    about.querySelector(".many").textContent = `· ${t("design.map.many", { n: shown })}`;
  }
  if (key !== "") table.open = true;
}
for (const button of buttons) {
  const toggle = () => choose(button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.key);
  button.addEventListener("click", toggle);
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
}
list.addEventListener("change", () => choose(list.value));
mark();
choose("");

document.getElementById("wish").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, said = document.getElementById("said");
  const changes = {};
  for (const name of kept.picked) if (Object.keys(kept.changes[name] ?? {}).length) changes[name] = kept.changes[name];
  try {
    const run = await call("POST", "/api/design/runs", {
      networks: kept.picked, changes,
      replications: Number(form.replications.value), years: Number(form.years.value), seed: Number(form.seed.value),
      assumptions: form.sampled.checked ? "sampled" : "fixed",
    });
    location.assign(`/design/runs/${run.id}`);
  } catch (no) {
    refused(said, no);
  }
});

// A network file of somebody's own: its name is in it; the version that it follows is in the list.
document.getElementById("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, text = await form.file.files[0].text();
  const name = /^[\s{]*["']?network["']?\s*:\s*["']?([^\s"',#]+)/m.exec(text)?.[1] ?? "?";
  const after = Number(document.querySelector(`[data-own="${CSS.escape(name)}"]`)?.dataset.version ?? 0);
  try {
    const saved = await call("PUT", `/api/design/own/${encodeURIComponent(name)}`, { text, reason: form.reason.value, after });
    location.assign(`/design?network=${saved.name}@${saved.version}`);
  } catch (no) { refused(document.getElementById("uploaded"), no); }
});

// A network that is to be offered no longer: with a reason, and asked once more.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form.withdraw")) return;
  event.preventDefault();
  const { name, version, title } = form.dataset;
  if (!confirm(`${t("design.own.withdraw")}: ${title}`)) return;
  try {
    await call("DELETE", `/api/design/own/${encodeURIComponent(name)}`, { reason: form.elements.reason.value, version: Number(version) });
    location.assign("/design"); // what is shown may be the one that went
  } catch (no) { refused(form.querySelector(".told"), no); }
});
