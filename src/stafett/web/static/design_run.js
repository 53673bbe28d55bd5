// A run that is going: how far it is, what it found so far, and the way to stop it.
import { call, t } from "./dom.js";
import { progress, redraw } from "./progress.js";

const { run } = JSON.parse(document.getElementById("start").textContent);
const path = `/api/design/runs/${run}`;
const [state, bar, count, cancel] = ["state", "progress", "count", "cancel"].map((id) => document.getElementById(id));
let wanted = null, drawing = false;

function show(now) {
  bar.value = now.done;
  count.textContent = `${now.done} / ${now.total}`;
  const said = `${t(`design.state.${now.state}`)} ${now.problem}`;
  if (state.textContent.trim() !== said.trim()) state.textContent = said; // read out once
  if (now.state !== "waiting" && now.state !== "running") { following.close(); cancel?.remove(); document.getElementById("live")?.remove(); }
  if (now.state === "done") location.reload();
  else see(now);
}

// The figures so far: the server writes them into the page, in its words; they are taken from there,
// the newest only where more than one step came meanwhile.
async function see(now) {
  wanted = now;
  if (drawing) return;
  drawing = true;
  while (wanted) {
    const want = wanted;
    wanted = null;
    if (document.getElementById("so-far").dataset.seen !== `${want.seen} ${want.state}`) await redraw("so-far").catch(() => {});
  }
  drawing = false;
}

const following = cancel ? progress(path, show) : { close() {} };
cancel?.addEventListener("click", async () => { cancel.disabled = true; await call("DELETE", path).then(show, () => { cancel.disabled = false; }); });
