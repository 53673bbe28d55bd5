// Order a therapy: fill the choices from the API, send once.
import { call, h, pick, Refused, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
const form = document.getElementById("order");
const said = document.getElementById("said");
const [protocols, networks] = await Promise.all([call("GET", "/api/protocols"), call("GET", "/api/networks")]);
// Where there is a choice nothing is chosen beforehand: what was left as it stood would be treated.
function offer(select, choices) {
  select.replaceChildren(...choices.map(([value, text]) => h("option", { value }, text)));
  if (choices.length > 1) select.prepend(h("option", { value: "", selected: true }, t("order.choose")));
  select.disabled = !choices.length;
  select.required = true;
}
offer(form.network, Object.keys(networks).map((name) => [name, start.networks[name] || name]));
offer(form.protocol, protocols.map((p) => [p.name, `${pick(p.title)} (${p.version})`]));
function products() {
  const chosen = protocols.find((p) => p.name === form.protocol.value);
  offer(form.product, (chosen?.products ?? []).map((name) => [name, pick(start.products[name]) || name]));
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
