// The self-test of a scanner at the start of a shift: the symbol that holds every sign that matters.
import { call, Refused, t, when } from "./dom.js";
import { selfTest } from "./scanline.js";

const said = document.getElementById("said");
const typed = document.getElementById("typed");
const say = (ok, text) => { said.className = `note ${ok ? "" : "red"}`; said.textContent = `${ok ? "✓" : "✖"} ${text}`; };
const last = () => {
  const at = Number(localStorage.getItem("stafett-scanner") ?? 0);
  document.getElementById("last").textContent = at ? t("scanner.last", { at: when(new Date(at).toISOString()) }) : "";
};

async function check(value) {
  typed.value = "";
  typed.focus();
  if (!value) return;
  if (selfTest(value) === "right") { say(true, t("scanner.right")); last(); return; }
  try {
    await call("POST", "/api/scanner/self-test", { typed: value.slice(0, 200) });
  } catch (error) {
    say(false, error instanceof Refused && error.reasons[0] ? `${error.reasons[0].what} – ${error.reasons[0].todo}` : t("scanner.layout"));
  }
}

document.getElementById("test").addEventListener("submit", (event) => { event.preventDefault(); check(typed.value.trim()); });
document.getElementById("camera").addEventListener("click", async () => {
  try {
    const { look } = await import("./camera.js");
    await check(await look());
  } catch (error) { say(false, `${t("scanner.camera-no")} ${error.message ?? ""}`); }
});
last();
