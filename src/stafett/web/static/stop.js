// The red stop: three words, both identifiers with the characters that differ, what to do, whom it
// has told. It cannot be dismissed: one quarantines, calls, or scans again what was picked up wrongly.
import { h, t } from "./dom.js";

// `found`: {code, ask, got, expected, shared, direct}. `ways`: [{label, href | onclick}].
export function stop(found, ways) {
  document.querySelector(".stop")?.remove();
  const got = String(found.got ?? ""), expected = String(found.expected ?? "");
  const marked = (text, other) => [...text].map((ch, i) => (ch === other[i] ? ch : h("mark", {}, ch)));
  const code = `stop.${found.code}`;
  const title = t(code) === code ? t("stop.title") : t(code);
  const both = found.expected && !found.direct;
  const screen = h("div", { class: "stop", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "stop-title", "aria-describedby": "stop-what" },
    h("h1", { id: "stop-title", tabindex: "-1" }, `✖ ${title}`), h("p", { id: "stop-what" }, found.ask),
    both
      ? h("dl", { class: "ids mono" }, h("dt", {}, t("stop.scanned")), h("dd", {}, marked(got, expected)), h("dt", {}, t("stop.expected")), h("dd", {}, marked(expected, got)))
      : h("p", { class: "ids" }, found.direct ? t("stop.patient") : t("stop.answer", { answer: got || t("stop.unknown") })),
    h("p", { class: "told" }, found.shared ? `● ${t("stop.told")}` : `◌ ${t("stop.not-told")}`),
    h("ol", {}, ["isolate", "call", "decide"].map((k) => h("li", {}, t(`stop.${k}`)))),
    h("p", { class: "row" }, ways.map((way) => (way.href ? h("a", { class: "button", href: way.href }, way.label) : h("button", { onclick: way.onclick }, way.label)))));
  document.body.append(screen);
  screen.querySelector("h1").focus();
  return screen;
}

export const clear = () => document.querySelector(".stop")?.remove();

let audio = null;
export function beep(kind) {
  try {
    audio ??= new AudioContext();
    const tone = audio.createOscillator();
    tone.frequency.value = kind === "ok" ? 880 : 220;
    tone.type = kind === "ok" ? "sine" : "square";
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + (kind === "ok" ? 0.08 : 0.6));
  } catch { /* a station without sound still works */ }
}
