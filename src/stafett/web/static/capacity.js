// The calendar of slot chains: a block dragged along its lane opens the consequences of that move;
// nothing is moved here. With the arrow keys a focused block does the same (with Shift by days, Enter
// opens); the form on the chain's own page too.
import { call, Refused, t, when } from "./dom.js";

const start = JSON.parse(document.getElementById("start")?.textContent || "{}");
const key = () => `page-${crypto.randomUUID()}`;

// -- drag -----------------------------------------------------------------------------------------
const picture = document.querySelector(".lanes-picture");
let drag = null;
if (picture) {
  const perPixel = () => Number(picture.dataset.seconds) / (Number(picture.dataset.width) * picture.getBoundingClientRect().width / picture.viewBox.baseVal.width);
  picture.addEventListener("dragstart", (event) => event.preventDefault());
  picture.addEventListener("pointerdown", (event) => {
    const block = event.target.closest("a.block");
    if (!block || event.button !== 0) return;
    drag = { block, x: event.clientX, begins: null };
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x;
    if (Math.abs(dx) < 4 && !drag.begins) return;
    event.preventDefault();
    const hours = Math.round(dx * perPixel() / 3600);
    drag.begins = new Date(Date.parse(drag.block.dataset.begins) + hours * 3600e3).toISOString();
    const scale = picture.viewBox.baseVal.width / picture.getBoundingClientRect().width;
    drag.block.setAttribute("transform", `translate(${dx * scale} 0)`);
    document.getElementById("said").textContent = t("capacity.dragging", { at: when(drag.begins) });
  });
  addEventListener("pointerup", () => {
    if (drag?.begins) {
      const { chain, link } = drag.block.dataset;
      picture.addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true });
      location.assign(`/capacity/${chain}?link=${encodeURIComponent(link)}&begins=${encodeURIComponent(drag.begins)}`);
    }
    drag = null;
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drag) { drag.block.removeAttribute("transform"); drag = null; document.getElementById("said").textContent = ""; }
  });

  // -- keys ---------------------------------------------------------------------------------------
  let keyed = null;
  const leave = () => {
    keyed?.block.removeAttribute("transform");
    keyed = null;
    document.getElementById("said").textContent = "";
  };
  picture.addEventListener("keydown", (event) => {
    const block = event.target.closest("a.block");
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (block && step) {
      event.preventDefault();
      if (keyed?.block !== block) { leave(); keyed = { block, hours: 0 }; }
      keyed.hours += step * (event.shiftKey ? 24 : 1);
      keyed.begins = new Date(Date.parse(block.dataset.begins) + keyed.hours * 3600e3).toISOString();
      block.setAttribute("transform", `translate(${keyed.hours * 3600 * Number(picture.dataset.width) / Number(picture.dataset.seconds)} 0)`);
      document.getElementById("said").textContent = t("capacity.keyed", { at: when(keyed.begins) });
    } else if (keyed && event.key === "Enter") {
      event.preventDefault();
      location.assign(`${block.getAttribute("href")}&begins=${encodeURIComponent(keyed.begins)}`);
    } else if (keyed && event.key === "Escape") leave();
  });
  picture.addEventListener("focusout", () => keyed && leave());
}

// -- acts -----------------------------------------------------------------------------------------
const acts = {
  move: (reason) => call("POST", `/api/capacity/chains/${start.chain}/move`, { key: key(), seen: start.seen, slots: start.slots, reason }),
  confirm: () => call("POST", `/api/capacity/chains/${start.chain}/confirm`, { key: key(), seen: start.seen }),
  cancel: (reason) => call("POST", `/api/capacity/chains/${start.chain}/cancel`, { key: key(), seen: start.seen, reason }),
  happened: async (reason, form) => {
    const at = new Date(form.get("at")).toISOString();
    const made = await call("POST", "/api/capacity/replans", { kind: form.get("kind"), chain: start.chain, link: form.get("link"), at });
    return `/capacity/replans/${made.id}`;
  },
  closed: async (reason, form) => `/capacity/replans/${(await call("POST", "/api/capacity/replans", { kind: "closed", resource: form.get("resource") })).id}`,
  choose: (reason, form, option) => call("POST", `/api/capacity/replans/${start.replan}/choose`, { key: key(), seen: start.seen, option: Number(option), reason }),
  accept: () => call("POST", `/api/capacity/replans/${start.replan}/accept`, { key: key(), seen: start.seen }),
  decline: (reason) => call("POST", `/api/capacity/replans/${start.replan}/decline`, { key: key(), seen: start.seen, reason }),
  delist: (reason, form, patient) => call("POST", `/api/capacity/waiting/${encodeURIComponent(patient)}/remove`, { reason: t("capacity.over-reason") }),
  adopt: (reason) => call("POST", "/api/capacity/rule", { rule: start.rule, seen: start.seen, reason }),
};
for (const form of document.querySelectorAll("form[data-act]"))
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const said = new FormData(form);
      const next = await acts[form.dataset.act](said.get("reason"), said, form.dataset.option);
      location.assign(typeof next === "string" ? next : location.pathname);
    } catch (error) {
      button.disabled = false;
      const why = error instanceof Refused ? [error.message, ...error.reasons.map((r) => `${r.field}: ${r.what}. ${r.todo ?? ""}`)].join(" – ") : t("live.lost", { at: "" });
      form.querySelector("[role=status]").textContent = `⚠ ${why}`;
    }
  });
