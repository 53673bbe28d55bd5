// The red stop: three words, both identifiers with the characters that differ, what to do, whom it
// has told. It cannot be dismissed: one sets aside, calls, or scans again what was picked up wrongly;
// each is written down, and none lifts the stop.
import { h, put, t } from "./dom.js";

// `found`: {code, ask, got, expected, shared, direct, done}. `ways`: [{label, href | onclick}].
// `told`: [{name, part, phone}]. `acts`: {write(words), scan(then)} once the record knows of it.
// The same stop shown again, because more is known of it, is not said again: only what is new.
export function stop(found, ways, told = [], acts = null) {
  const got = String(found.got ?? ""), expected = String(found.expected ?? "");
  const code = `stop.${found.code}`;
  const title = t(code) === code ? t("stop.title") : t(code);
  const reached = found.shared ? `● ${t("stop.told")} ${told.map((one) => `${one.name} (${one.part})`).join(", ")}` : `◌ ${t("stop.not-told")}`;
  const key = JSON.stringify([found.code, found.ask]), whole = JSON.stringify([found, told, acts !== null]);
  let screen = document.querySelector(".stop");
  if (screen?.dataset.key !== key) {
    screen?.remove();
    screen = h("div", { class: "stop", "data-key": key, role: "alertdialog", "aria-modal": "true", "aria-labelledby": "stop-title", "aria-describedby": "stop-what" },
      h("h1", { id: "stop-title", tabindex: "-1" }, `✖ ${title}`), h("p", { id: "stop-what" }, found.ask),
      h("div", { class: "found" }), h("p", { class: "told", role: "status" }), h("div", { class: "rest" }));
    document.body.append(screen);
    screen.querySelector("h1").focus();
  }
  put(screen.querySelector(".told"), reached);
  if (screen.dataset.whole === whole) return screen;
  screen.dataset.whole = whole;
  const both = found.expected && !found.direct;
  const marked = (text, other) => [...text].map((ch, i) => (ch === other[i] ? ch : h("mark", {}, ch)));
  screen.querySelector(".found").replaceChildren(both
    ? h("dl", { class: "ids mono" }, h("dt", {}, t("stop.scanned")), h("dd", {}, marked(got, expected)), h("dt", {}, t("stop.expected")), h("dd", {}, marked(expected, got)))
    : h("p", { class: "ids" }, found.direct ? t("stop.patient") : t("stop.answer", { answer: got || t("stop.unknown") })));
  screen.querySelector(".rest").replaceChildren(...[
    h("ol", {},
      h("li", {}, t("stop.isolate"), acts && h("p", {}, h("button", { "data-stop": "aside", onclick: () => acts.write(t("stop.set-aside-done")) }, t("stop.set-aside")))),
      h("li", {}, t("stop.call"), h("ul", { class: "calls" }, told.map((one) => h("li", {}, calling(one, acts))))),
      h("li", {}, t("stop.decide")),
      acts && both ? h("li", {}, again(found, acts)) : null),
    found.done?.length ? h("div", { class: "done-so-far" }, h("h2", {}, t("stop.done")), h("ul", {}, found.done.map((what) => h("li", {}, `✓ ${what}`)))) : null,
    h("p", { class: "row" }, ways.map((way) => (way.href ? h("a", { class: "button", href: way.href }, way.label) : h("button", { onclick: way.onclick }, way.label))))].filter(Boolean));
  return screen;
}

// A number is dialled by a telephone and shown everywhere; pressing it writes down that one called.
function calling({ name, phone }, acts) {
  if (!phone) return `${t("stop.call-who", { who: name })} – ${t("stop.no-number")}`;
  return h("a", { class: "button", href: `tel:${phone.replaceAll(/[^+0-9]/g, "")}`, onclick: () => acts?.write(t("stop.called", { who: `${name}, ${phone}` })) }, `☎ ${t("stop.call-who", { who: name })} ${phone}`);
}

function again(found, acts) {
  const box = h("div", {}, h("p", {}, t("stop.rescan-what")), h("button", { "data-stop": "again", onclick: () => box.replaceChildren(acts.scan()) }, t("stop.rescan")));
  return box;
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
