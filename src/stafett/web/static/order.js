// Order a therapy: fill the choices from the API, send once.
import { call, h, pick, Refused, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
const form = document.getElementById("order");
const said = document.getElementById("said");
const [protocols, networks] = await Promise.all([call("GET", "/api/protocols"), call("GET", "/api/networks")]);
form.network.append(...Object.keys(networks).map((name) => h("option", {}, name)));
form.protocol.append(...protocols.map((p) => h("option", { value: p.name }, `${pick(p.title)} (${p.version})`)));
function products() {
  const chosen = protocols.find((p) => p.name === form.protocol.value);
  form.product.replaceChildren(...(chosen?.products ?? []).map((name) => h("option", { value: name }, pick(start.products[name]) || name)));
}
form.protocol.addEventListener("change", products);
products();

let key = crypto.randomUUID();
form.addEventListener("input", () => { key = crypto.randomUUID(); });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  said.classList.add("hidden");
  try {
    const done = await call("POST", "/api/journeys", { key, role: form.role.value, protocol: form.protocol.value, product: form.product.value || null, network: form.network.value, wristband: form.wristband.value.trim() });
    location.assign(`/journeys/${done.journey}`);
  } catch (error) {
    said.textContent = error instanceof Refused ? [error.message, ...error.reasons.map((r) => `${r.field}: ${r.what} ${r.todo ?? ""}`)].join(" – ") : t("order.no-network");
    said.classList.remove("hidden");
    button.disabled = false;
  }
});
