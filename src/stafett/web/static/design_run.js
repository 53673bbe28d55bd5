// A run that is going: how far it is, and the way to stop it. The server tells each step; it is
// asked only while its stream is lost.
import { call, t } from "./dom.js";
import { listen } from "./live.js";

const POLL_MS = 2000;
const { run } = JSON.parse(document.getElementById("start").textContent);
const path = `/api/design/runs/${run}`;
const [state, progress, count, cancel] = ["state", "progress", "count", "cancel"].map((id) => document.getElementById(id));
const going = () => cancel !== null && cancel.isConnected;
let timer = null, wanted = null, drawing = false;

function show(now) {
  progress.value = now.done;
  count.textContent = `${now.done} / ${now.total}`;
  const said = `${t(`design.state.${now.state}`)} ${now.problem}`;
  if (state.textContent.trim() !== said.trim()) state.textContent = said; // read out once
  if (now.state !== "waiting" && now.state !== "running") { stream.close(); clearTimeout(timer); cancel?.remove(); document.getElementById("live")?.remove(); }
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
    if (document.getElementById("so-far").dataset.seen !== `${want.seen} ${want.state}`) await draw().catch(() => {});
  }
  drawing = false;
}
async function draw() {
  const answer = await fetch(location.href);
  const there = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("so-far");
  const here = document.getElementById("so-far");
  if (!there) return;
  const scrolled = [...here.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
  here.replaceWith(there);
  there.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
}

async function poll() {
  clearTimeout(timer);
  await call("GET", path).then(show, () => {});
  if (going()) timer = setTimeout(poll, POLL_MS);
}
const stream = going()
  ? listen(() => `${path}/stream`, { state: show }, { onState: (now) => { clearTimeout(timer); if (now === "lost") poll(); } })
  : { close() {} };
cancel?.addEventListener("click", async () => { cancel.disabled = true; await call("DELETE", path).then(show, () => { cancel.disabled = false; }); });
