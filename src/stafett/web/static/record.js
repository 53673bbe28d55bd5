// The audit page: check a proof here, from a file or of a journey, and say what is wrong.
import { day, h, t } from "./dom.js";
import { verify } from "./proof.js";

const outcome = document.getElementById("outcome");
const policy = document.getElementById("policy").textContent;
const file = document.getElementById("file");
const journey = document.getElementById("journey");

// What is wrong, in the reader's language: the check gives a code and its values.
function fault({ code, values: { part, ...values } }) {
  return t(`record.fault.${code}`, part ? { ...values, part: t(`record.part.${part}`, values) } : values);
}

function show(found, raw, name) {
  const sound = found.problems.length === 0;
  const parts = [
    h("p", { class: sound ? "note" : "note red", "data-sound": String(sound) }, sound ? `✓ ${t("record.sound")}` : `✖ ${t("record.unsound")}`, ` · ${found.stream}`),
    h("p", {}, t("record.sum", { n: found.entries, m: found.signatures, origin: found.origin, size: String(found.size) })),
  ];
  if (found.cosigned.length) parts.push(h("p", {}, t("record.cosigners", { names: found.cosigned.join(", ") })));
  if (!found.checked) parts.push(h("p", { class: "note amber" }, `⚠ ${t("record.no-browser")}`));
  if (!sound) {
    parts.push(h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("record.where")), h("th", { scope: "col" }, t("record.wrong")))),
      h("tbody", {}, found.problems.slice(0, 50).map((p) => h("tr", {}, h("td", {}, t(`record.place.${p.place}`, p.at)), h("td", {}, fault(p)))))));
  }
  if (sound) parts.push(h("p", { class: "soft" }, t("record.to-here", { n: found.entries })));
  parts.push(h("p", { class: "soft" }, t("record.key-here")));
  if (name) {
    const link = h("a", { class: "button", download: name }, t("record.download"));
    link.href = URL.createObjectURL(new Blob([raw], { type: "application/json" }));
    parts.push(h("p", {}, link));
  }
  outcome.replaceChildren(...parts);
}

async function check(raw, name) {
  outcome.replaceChildren(h("p", {}, t("record.reading")));
  show(await verify(raw, { policy }), raw, name);
}

async function fetched() {
  const wanted = journey.value.trim();
  const answer = await fetch(`/api/journeys/${encodeURIComponent(wanted)}/proof`);
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const why = (problem.reasons ?? []).map((r) => `${r.what} ${r.todo ?? ""}`).join(" · ");
    outcome.replaceChildren(h("p", { class: "note amber" }, `⚠ ${problem.title ?? answer.status}`, why ? ` · ${why}` : ""));
    return;
  }
  await check(new Uint8Array(await answer.arrayBuffer()), `${wanted}.proof.json`);
  const kept = await fetch(`/api/journeys/${encodeURIComponent(wanted)}/retention`);
  if (kept.ok) outcome.append(h("p", {}, retention(await kept.json())));
}

// How long the law asks for this journey's record, and what the years are counted from.
function retention({ until, since, assumed, years, source }) {
  if (until === null) return t("record.kept-open", { years, source });
  return t(assumed ? "record.kept-assumed" : "record.kept", { until: day(until), since: day(since), years, source });
}

file.addEventListener("change", async () => { if (file.files[0]) await check(new Uint8Array(await file.files[0].arrayBuffer())); });
document.getElementById("check").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (journey.value.trim()) await fetched();
  else if (file.files[0]) await check(new Uint8Array(await file.files[0].arrayBuffer()));
});
const asked = new URLSearchParams(location.search).get("journey");
if (asked) { journey.value = asked; fetched(); }
