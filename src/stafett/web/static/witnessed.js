// A small element that says how the record stands: signed, and witnessed by whom, how long ago.
import { clock, h, span, t } from "./dom.js";

const EVERY_MS = 5000;
const element = document.getElementById("witnessed");
let lastGood = Date.now();

// When the policy's number of witnesses had looked: the newest moment that a quorum vouches for.
function lookedAt(standing) {
  const sights = standing.seen.filter((w) => w.counts && w.current && w.at).map((w) => Date.parse(w.at));
  sights.sort((a, b) => b - a);
  return sights[Math.max(standing.needed, 1) - 1];
}

function sayClock({ of, state, ahead_s }) {
  const n = Math.round(Math.abs(ahead_s));
  if (state !== "out") return t("clock.unsure", { n });
  if (of === "server") return ahead_s > 0 ? t("clock.server-ahead", { n }) : t("clock.server-behind", { n });
  return ahead_s > 0 ? t("clock.database-ahead", { n }) : t("clock.database-behind", { n });
}

function say(standing) {
  const values = { n: standing.cosigned, m: standing.witnesses, needed: standing.needed };
  let state = "live";
  let text;
  if (standing.stopped) { state = "stopped"; text = `✖ ${t("record.stopped")}`; }
  else if (standing.witnesses === 0) text = `○ ${t("record.nobody")}`;
  else if (!standing.quorum) { state = "lost"; text = `⚠ ${t("record.too-few", values)}`; }
  else text = `◉ ${t("record.witnessed", { ...values, age: span((Date.now() - lookedAt(standing)) / 1000) })}`;
  element.dataset.state = state;
  // Told to a screen reader only when the kind of answer changes, not each time the age does.
  element.setAttribute("aria-live", element.dataset.said === state ? "off" : "polite");
  element.dataset.said = state;
  element.textContent = text;
  const told = document.getElementById("clocks");
  const wrong = standing.clocks.filter((c) => c.state === "out" || c.state === "unsure");
  const lines = wrong.map((c) => `⚠ ${[sayClock(c), c.blocks && t("clock.blocks")].filter(Boolean).join(" ")}`);
  if (told && told.textContent.trim() !== lines.join("")) told.replaceChildren(...wrong.map((c, i) => h("p", { class: `note ${c.state === "out" ? "red" : "amber"}` }, lines[i])));
  element.title = standing.stopped || standing.trouble || "";
}

async function look() {
  try {
    const answer = await fetch("/api/record");
    if (!answer.ok) throw new Error(String(answer.status));
    lastGood = Date.now();
    say(await answer.json());
  } catch {
    if (Date.now() - lastGood > 2 * EVERY_MS) {
      element.dataset.state = element.dataset.said = "lost";
      element.textContent = `⚠ ${t("record.lost", { at: clock(lastGood) })}`;
    }
  }
  setTimeout(look, EVERY_MS);
}
if (element) look();
