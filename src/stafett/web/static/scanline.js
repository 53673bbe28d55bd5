// The scan field: keyboard-wedge scanners, and the camera. What a scanner types belongs here,
// wherever the focus is; the group separator (GS) may be in it.
import { h, t } from "./dom.js";

const GS = "\x1d";
const HUMAN_MS = 40; // a scanner types a character every few milliseconds; a person does not
// The self-test symbol of stafett.identity.keyboard, and what a computer that reads Swedish makes
// of it when the scanner types American.
const test = JSON.parse(document.getElementById("scanner")?.textContent || "null");

// The form of one scan; `answer(value, method)` gets what was read.
export function scanning(check, answer) {
  const input = h("input", { class: "scanline mono", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", "data-first": true, "data-scan": true, "aria-labelledby": "ask", placeholder: t("station.scan-here") });
  const said = h("p", { class: "note hidden", role: "alert" });
  let first = 0, keys = 0;
  input.addEventListener("keydown", (event) => {
    if (!input.value) { first = performance.now(); keys = 0; }
    keys += 1;
    if (isGs(event)) { event.preventDefault(); input.value += GS; }
  });
  const send = (value, method) => {
    input.value = "";
    const tested = value && test && selfTest(value);
    if (tested) {
      said.className = `note ${tested === "right" ? "" : "red"}`;
      said.textContent = tested === "right" ? `✓ ${t("scanner.right")}` : `✖ ${t("scanner.layout")}`;
      return;
    }
    if (value) answer(value, method, `${check.ask} …${check.direct ? "" : value.slice(-4)}`);
  };
  const submit = (e) => {
    e.preventDefault();
    const quick = keys > 5 && (performance.now() - first) / keys < HUMAN_MS;
    send(input.value.replace(/^[ \r\n\t]+|[ \r\n\t]+$/g, ""), quick || keys === 0 ? "scan" : "typed");
  };
  const camera = h("button", { type: "button", onclick: async () => {
    const { look } = await import("./camera.js");
    const read = await look().catch((error) => { said.className = "note red"; said.textContent = `✖ ${t("scanner.camera-no")} ${error.message ?? ""}`; return null; });
    if (read) send(read, "scan");
  } }, `▣ ${t("scanner.camera")}`);
  return h("form", { onsubmit: submit }, input, said, h("p", { class: "row" }, h("button", { class: "main", type: "submit" }, t("station.check")), camera, check.binds ? h("span", { class: "soft" }, t("station.binds")) : null), stale());
}

// Scanners send the separator as Ctrl-], as F8, or as the character itself.
const isGs = (event) => (event.ctrlKey && (event.key === "]" || event.code === "BracketRight")) || event.key === GS;

// "right" or "layout" when `value` is the self-test symbol; kept for this shift.
export function selfTest(value) {
  const found = value === test.symbol ? "right" : value === test.swedish ? "layout" : null;
  if (found === "right") localStorage.setItem("stafett-scanner", String(Date.now()));
  return found;
}

const SHIFT_MS = 12 * 3600 * 1000;
export const tested = () => Date.now() - Number(localStorage.getItem("stafett-scanner") ?? 0) < SHIFT_MS;

function stale() {
  return tested() ? null : h("p", { class: "soft" }, `◷ ${t("scanner.untested")} `, h("a", { href: "/scanner" }, t("scanner")));
}

document.addEventListener("keydown", (event) => {
  const field = document.querySelector("[data-scan]");
  if (!field || event.altKey || event.metaKey || (event.ctrlKey && !isGs(event))) return;
  if (/^(INPUT|SELECT|TEXTAREA|BUTTON|A|SUMMARY)$/.test(event.target.tagName)) return;
  if (event.key.length === 1) field.focus();
});
