// A run that is going: how far it is, and the way to stop it.
import { call, t } from "./dom.js";

const { run } = JSON.parse(document.getElementById("start").textContent);
const [state, progress, count, cancel] = ["state", "progress", "count", "cancel"].map((id) => document.getElementById(id));

// The figures so far: the server writes them into the page, in its words; they are taken from there.
async function see(now) {
  const here = document.getElementById("so-far");
  if (here.dataset.seen === `${now.seen} ${now.state}`) return;
  const answer = await fetch(location.href);
  const there = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("so-far");
  if (there) here.replaceWith(there);
}

async function look() {
  const now = await call("GET", `/api/design/runs/${run}`);
  progress.value = now.done;
  count.textContent = `${now.done} / ${now.total}`;
  state.textContent = `${t(`design.state.${now.state}`)} ${now.problem}`;
  if (now.state === "done") location.reload();
  else {
    await see(now);
    if (now.state === "waiting" || now.state === "running") setTimeout(look, 700);
    else cancel?.remove();
  }
}
cancel?.addEventListener("click", async () => { cancel.disabled = true; await call("DELETE", `/api/design/runs/${run}`); });
look();
