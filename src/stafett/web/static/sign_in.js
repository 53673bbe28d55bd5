// Sign in with a passkey: one button, where the browser has them.
import { call, Refused, t } from "./dom.js";
import { answer, here } from "./passkey.js";

const button = document.getElementById("passkey");
const said = document.getElementById("said");
const start = JSON.parse(document.getElementById("start").textContent);

async function signIn() {
  button.disabled = true;
  said.classList.add("hidden");
  try {
    const { options } = await call("POST", "/api/session/passkey/options");
    await call("POST", "/api/session/passkey", { assertion: await answer(options), cookie: true });
    location.assign(start.next);
  } catch (error) {
    said.textContent = "✖ " + (error instanceof Refused ? [error.message, ...error.reasons.map((r) => r.what)].join(": ") : t("account.passkey-cancelled"));
    said.classList.remove("hidden");
    button.disabled = false;
  }
}
if (button && here()) {
  button.classList.remove("hidden");
  button.addEventListener("click", signIn);
}
