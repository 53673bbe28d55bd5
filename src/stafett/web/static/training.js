// Training: begin a drill; check what was read.
import { call, h, Refused, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
const said = document.getElementById("said");
const tell = (error) => said.replaceChildren(h("p", { class: "note red", role: "alert" }, `✖ ${error instanceof Refused ? [error.message, error.reasons.map((r) => r.what + (r.todo ? ` – ${r.todo}` : "")).join("; ")].filter(Boolean).join(": ") : t("live.no-network")}`));

document.getElementById("begin")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const made = await call("POST", "/api/practice", JSON.parse(document.getElementById("place").value));
    location.assign(`/practice/${made.id}`);
  } catch (error) { tell(error); }
});

document.getElementById("check")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const questions = [...document.querySelectorAll("[data-question]")];
  const answers = questions.map((q) => Number(q.querySelector("input:checked").value));
  try {
    const found = await call("POST", `/api/training/${encodeURIComponent(start.protocol)}/${encodeURIComponent(start.role)}`, { answers, language: start.language });
    if (found.passed) { location.assign("/training"); return; }
    questions.forEach((q, n) => q.classList.toggle("wrong", found.wrong.includes(n)));
    said.replaceChildren(h("p", { class: "note red", role: "alert" }, `✖ ${t("training.again", { n: found.wrong.length })}`));
  } catch (error) { tell(error); }
});
