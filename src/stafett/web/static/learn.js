// Learn: ask how far the analyses are and show them when they are there; bring logs, register trials.
import { call, h, Refused, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
const ASK_MS = 1200;

// The answer comes from the same address without the wish to make everything anew.
const plain = `${location.pathname}?${start.query}`;
if (new URLSearchParams(location.search).has("again")) history.replaceState(null, "", plain);

async function follow() {
  const box = document.getElementById("progress");
  const bar = document.getElementById("bar");
  const now = document.getElementById("now");
  for (;;) {
    await new Promise((done) => setTimeout(done, ASK_MS));
    let at;
    try { at = await call("GET", `/api/learn/progress?${start.query}`); } catch (error) { if (error instanceof Refused) break; continue; }
    const done = start.chapters.filter((name) => at.made.includes(name)).length;
    bar.value = done;
    now.textContent = `${done} / ${start.chapters.length}${at.current ? ` · ${at.current === "log" ? t("learn.reading") : t(`learn.${at.current}`)}` : ""}`;
    if (at.problem || done === start.chapters.length || !at.current) { box.hidden = true; location.reload(); return; }
  }
}
if (start.busy) follow();

const tell = (where, error) => {
  const words = error instanceof Refused ? [error.message, ...error.reasons.map((r) => `${r.field}: ${r.what} ${r.todo ?? ""}`)] : [t("learn.no-network")];
  where.replaceChildren(h("div", { class: "note red", role: "alert" }, ...words.map((word) => h("p", {}, word))));
};

document.getElementById("bring")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const where = document.getElementById("brought");
  const file = document.getElementById("file").files[0];
  const query = new URLSearchParams({ name: file.name });
  const zone = document.getElementById("zone").value.trim();
  if (zone) query.set("zone", zone);
  where.replaceChildren(t("learn.reading"));
  try {
    const answer = await fetch(`/api/learn/logs?${query}`, { method: "POST", headers: { "X-Stafett": "1", "Content-Type": "application/octet-stream" }, body: file });
    const value = await answer.json();
    if (!answer.ok) throw new Refused(answer.status, value);
    location.assign(`/learn?source=${value.source}`);
  } catch (error) { tell(where, error); }
});

for (const button of document.querySelectorAll("[data-drop]")) {
  button.addEventListener("click", async () => {
    if (!confirm(`${t("learn.drop")}: ${button.dataset.name}`)) return;
    try { await call("DELETE", `/api/learn/logs/${button.dataset.drop}`); location.reload(); } catch (error) { tell(document.getElementById("brought"), error); }
  });
}

const form = document.getElementById("trial");
document.getElementById("more")?.addEventListener("click", () => {
  const rows = document.querySelectorAll("#starts .start");
  const next = rows[rows.length - 1].cloneNode(true);
  for (const input of next.querySelectorAll("input")) input.value = "";
  document.getElementById("starts").append(next);
  next.querySelector("input").focus();
});
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const starts = {};
  for (const row of document.querySelectorAll("#starts .start")) starts[row.querySelector("[name=site]").value.trim()] = row.querySelector("[name=day]").value;
  const value = (id) => document.getElementById(id).value.trim();
  const body = {
    interface: value("t-interface"), change: value("t-change"), outcome: value("t-outcome"), expected: Number(value("t-expected")), starts,
    partners: [...form.querySelectorAll("[name=partner]:checked")].map((box) => box.value), source: new URLSearchParams(start.query).get("source") ?? "record",
  };
  try { await call("POST", "/api/learn/trials", body); location.reload(); } catch (error) { tell(document.getElementById("told"), error); }
});
for (const button of document.querySelectorAll("[data-end]")) {
  button.addEventListener("click", async () => {
    const why = prompt(t("learn.trial.end.why"));
    if (!why) return;
    try { await call("POST", `/api/learn/trials/${button.dataset.end}/end`, { why }); location.reload(); } catch (error) { tell(document.getElementById("told") ?? document.querySelector("main"), error); }
  });
}
