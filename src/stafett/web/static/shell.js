// On every page: whose device this is, the service worker, the outbox and its sign in the header.
import { h, put, t } from "./dom.js";
import * as outbox from "./outbox.js";
import * as store from "./store.js";

const person = document.body.dataset.person ?? "";
const badge = document.getElementById("held");

// Resolves once the device is this person's; false where nothing can be kept here.
export const ready = (async () => {
  if (!globalThis.isSecureContext || !("serviceWorker" in navigator)) return false;
  navigator.serviceWorker.register("/worker.js").catch(() => {});
  try {
    const able = await store.own(person);
    if (person) await outbox.begin();
    if (person && able && !(await caches.match("/station"))) {
      navigator.serviceWorker.ready.then((it) => it.active.postMessage("keep"));
    }
    return able;
  } catch { return false; } // private windows of some browsers have no database
})();

function draw() {
  if (!badge) return;
  const [held, refused] = [outbox.held().length, outbox.refused().length];
  badge.dataset.state = refused ? "refused" : held ? "held" : "none";
  put(badge, refused ? `✖ ${t("held.refused", { n: refused })}` : held ? `◌ ${t("held.count", { n: held })}` : "");
}
outbox.onChange(draw);

const leave = document.querySelector("form[action='/sign-out']");
leave?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const held = outbox.held().length;
  if (held && !(await sure(t("held.sign-out", { n: held })))) return;
  await store.forget();
  leave.submit();
});

function sure(what) {
  return new Promise((resolve) => {
    const box = h("dialog", { "aria-labelledby": "sure" }, h("p", { id: "sure" }, what), h("form", { method: "dialog", class: "row" }, h("button", { value: "yes" }, t("held.sign-out-yes")), h("button", { class: "main", value: "no", autofocus: true }, t("held.stay"))));
    box.addEventListener("close", () => { box.remove(); resolve(box.returnValue === "yes"); });
    document.body.append(box);
    box.showModal();
  });
}

// On a narrow screen the groups of the menu are folded; without this script the link unfolds them.
const fold = document.querySelector("a.fold");
fold?.addEventListener("click", (event) => {
  event.preventDefault();
  const open = fold.parentElement.toggleAttribute("data-open");
  fold.setAttribute("aria-expanded", String(open));
});

// One menu is open at a time; Escape and a press elsewhere close it.
const menus = [...document.querySelectorAll("details.menu")];
const shut = (but = null) => menus.forEach((menu) => { if (menu !== but) menu.open = false; });
for (const menu of menus) menu.addEventListener("toggle", () => { if (menu.open) shut(menu); });
document.addEventListener("pointerdown", (event) => shut(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && menus.find((menu) => menu.open);
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});

// On paper nothing is folded away, whatever the browser knows of print styles.
const folded = () => document.querySelectorAll("main details:not([open], .no-print)");
addEventListener("beforeprint", () => folded().forEach((one) => { one.open = true; one.dataset.printed = ""; }));
addEventListener("afterprint", () => document.querySelectorAll("details[data-printed]").forEach((one) => { one.open = false; delete one.dataset.printed; }));
