// The badge of every page: how many alerts wait. It listens only while the page is looked at.
const badge = document.getElementById("badge");
let stream = null;

function show({ waiting, critical }) {
  badge.classList.toggle("hidden", waiting === 0);
  badge.textContent = String(waiting);
  badge.classList.toggle("red", critical > 0);
}
function listen() {
  if (document.visibilityState === "hidden") { stream?.close(); stream = null; return; }
  if (stream) return;
  stream = new EventSource("/api/alerts/stream");
  stream.addEventListener("count", (event) => show(JSON.parse(event.data)));
}
if (badge) {
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  listen();
}
