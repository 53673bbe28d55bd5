// The outlook of one journey: which deadlines it is likely to miss, and which interface helps most.
import { call, h, pick, span, t, when } from "./dom.js";

// Fill the place for it on the page as it is now: the page is made anew when the journey moves.
export async function draw() {
  const place = document.getElementById("outlook");
  if (place) await fill(place).catch(() => place.classList.add("hidden"));
}

async function fill(place) {
  const { deadlines, segments, titles, back, saves } = await call("GET", `/api/journeys/${place.dataset.journey}/forecast`);
  if (!segments.length) { place.classList.add("hidden"); return; }
  const seen = new Map(segments.map((s) => [s.activity, s.seen]));
  const last = segments.reduce((a, b) => (b.median_s > a.median_s ? b : a));
  const named = (activity) => `${pick(titles[activity])} (${activity})`;
  const shown = deadlines.filter((d) => d.miss >= 0.005).slice(0, 8);
  place.querySelector("div").replaceChildren(
    h("p", {}, t("outlook.rest", { activity: named(last.activity), median: span(last.median_s), low: span(last.low_s), high: span(last.high_s) })),
    !shown.length ? h("p", {}, `✓ ${t("outlook.none-missed")}`) : h("table", {}, h("thead", {}, h("tr", {}, ["outlook.deadline", "outlook.due", "outlook.miss", "outlook.expected", "outlook.helps"].map((key) => h("th", { scope: "col" }, t(key))))),
      h("tbody", {}, shown.map((d) => h("tr", {},
        h("th", { scope: "row" }, `${named(d.activity)} ← ${named(d.since)}`), h("td", { class: "num" }, d.due ? when(d.due) : "–"),
        h("td", {}, h("span", { class: d.miss >= 0.5 ? "tag amber" : "tag" }, d.miss >= 0.5 ? `◷ ${t("outlook.likely")} ` : "", `${Math.round(100 * d.miss)} %`)),
        h("td", { class: "num" }, `${when(d.done_low)} – ${when(d.done_high)}`),
        h("td", {}, d.best ? t("outlook.best", { handoff: named(d.best), gain: Math.round(100 * d.gain) }) : "–"))))),
    !saves.length ? "" : h("p", {}, t("outlook.saves"), " ", saves.slice(0, 3).map((s) => t("outlook.saves.at", { handoff: named(s.handoff), time: span(s.mean_s) })).join("; "), "."),
    !back.length ? "" : h("p", {}, t("outlook.back"), " ", back.slice(0, 3).map((b) => t("outlook.back.at", { activity: named(b.activity), p: percent(b.share), n: b.n, median: span(b.median_s) })).join("; "), "."),
    h("p", { class: "soft" }, basis(...seen.values()), " ", h("a", { href: "/forecasts" }, t("outlook.how-right"))));
}

// A share that was seen is never said to be nothing.
function percent(share) {
  return share < 0.01 ? "< 1" : Math.round(100 * share);
}

// How much was learnt: as a range only where it is one.
function basis(...numbers) {
  const n = Math.min(...numbers), most = Math.max(...numbers);
  return n === most ? t("outlook.basis.same", { n }) : t("outlook.basis", { n, most });
}
