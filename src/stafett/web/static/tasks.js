// My handoffs: what waits for this person, in every journey and under every protocol.
import { call, h, pick, span, t } from "./dom.js";
import { follow } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
const roles = new Set(start.roles);
const body = document.getElementById("tasks");
const rows = new Map();

function draw() {
  const now = Date.now();
  const found = [];
  for (const row of rows.values()) for (const task of row.tasks)
    if (task.organisation === start.organisation && roles.has(task.role)) found.push([row, task]);
  const harm = ([row, task]) => (row.critical || row.status === "held" ? 0 : 1e15) + (task.due === null ? 1e14 : Date.parse(task.due));
  found.sort((a, b) => harm(a) - harm(b));
  body.replaceChildren(...found.slice(0, 200).map(([row, task]) => {
    const left = task.due === null ? null : (Date.parse(task.due) - now) / 1000;
    const about = task.about ? `?about=${encodeURIComponent(task.about)}` : "";
    return h("tr", { "data-act": row.status === "held" || left < 0 ? "red" : left !== null && left < 0.00025 * (Date.parse(task.due) - Date.parse(task.since)) ? "amber" : "" },
      h("td", {}, h("a", { href: `/journeys/${row.journey}/${task.activity}/${task.side}${about}` }, `${task.activity} ${pick(task.title)}`), h("br"), h("small", { class: "soft" }, t(`board.side.${task.side}`))),
      h("td", { class: "mono" }, row.coi), h("td", {}, task.role),
      h("td", { class: "n" }, left === null ? "" : left < 0 ? `−${span(left)}` : span(left)),
      h("td", { class: "wide" }, row.product));
  }));
  document.getElementById("none").classList.toggle("hidden", found.length > 0);
}

const first = await call("GET", "/api/journeys");
for (const row of first.rows) rows.set(row.journey, row);
draw();
follow(first.position, (row) => { rows.set(row.journey, row); draw(); });
setInterval(draw, 30000);
