// How far something is that the server works out: told by its stream, which is taken up again where
// it broke; asked for only while that is lost.
import { call, Refused } from "./dom.js";
import { listen } from "./live.js";

const POLL_MS = 2000;

// `show(now)` hears each step, `gone()` that it is not there any more. Returns `{close}`.
export function progress(path, show, gone = () => {}) {
  let timer = null, lost = false;
  const failed = (error) => { if (error instanceof Refused && error.status === 404) { close(); gone(); } };
  const poll = async () => {
    clearTimeout(timer);
    await call("GET", path).then(show, failed);
    if (lost) timer = setTimeout(poll, POLL_MS);
  };
  const onState = (now) => { lost = now === "lost"; clearTimeout(timer); if (lost) poll(); };
  const stream = listen(() => `${path}/stream`, { state: show }, { onState });
  function close() { lost = false; clearTimeout(timer); stream.close(); }
  return { close };
}

// Put the part of this page named `id` in its place, as the server writes it now; what is typed and
// focused beside it stays. False where the page has no such part any more.
export async function redraw(id) {
  const answer = await fetch(location.href);
  const there = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
  const here = document.getElementById(id);
  if (!there) return false;
  const scrolled = [...here.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
  here.replaceWith(there);
  there.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
  return true;
}
