// What the page waits for is worked out meanwhile: each step is shown, and the answer put in its
// place when it is there.
import { t } from "./dom.js";
import { progress, redraw } from "./progress.js";

const begin = () => {
  const { runs } = document.getElementById("answer").dataset;
  if (!runs) return;
  const bar = document.getElementById("progress"), count = document.getElementById("count");
  const end = () => { following.close(); finish(); };
  const following = progress(`/api/design/going/${runs}`, (now) => {
    bar.value = now.done;
    count.textContent = `${now.done} / ${now.total}`;
    if (!now.going) end();
  }, finish);
};
async function finish() {
  if (!await redraw("answer").catch(() => false)) { location.reload(); return; }
  const answer = document.getElementById("answer");
  const there = !answer.dataset.runs && !answer.querySelector("[role=alert]"); // an alert speaks for itself
  document.getElementById("state").textContent = there ? t("incentives.computed") : "";
  begin(); // what asked for one thing may now ask for the next
}
begin();
