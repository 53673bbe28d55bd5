// My account: every change asks for the password again, and says what became of it.
import { call, h, Refused, t } from "./dom.js";
import { make } from "./passkey.js";

const said = document.getElementById("said");
let secret = "";

function say(text, wrong = false) {
  said.textContent = (wrong ? "✖ " : "✓ ") + text;
  said.className = wrong ? "note red" : "note";
  said.scrollIntoView({ block: "center" });
}
const reload = () => location.reload();

function show(codes) {
  document.getElementById("codes").classList.remove("hidden");
  document.getElementById("offer").classList.add("hidden");
  document.getElementById("code-list").replaceChildren(...codes.map((code) => h("li", {}, code)));
}

const forms = {
  async password(f) {
    await call("POST", "/api/account/password", { password: f.password.value, new: f.new.value });
    for (const field of [f.password, f.new]) field.value = "";
    say(t("account.password-changed"));
  },
  async "code-offer"(f) {
    const offer = await call("POST", "/api/account/code/offer", { password: f.password.value });
    secret = offer.secret;
    // The picture comes from our own server; it is parsed as XML, so nothing in it can run.
    const picture = new DOMParser().parseFromString(offer.svg, "image/svg+xml").documentElement;
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", t("account.qr"));
    document.getElementById("qr").replaceChildren(picture);
    document.getElementById("secret").textContent = offer.secret.match(/.{4}/g).join(" ");
    document.getElementById("offer").classList.remove("hidden");
    document.getElementById("tf-code").focus();
  },
  async "code-on"(f) {
    const password = document.getElementById("tf-password").value;
    show((await call("POST", "/api/account/code", { password, secret, code: f.code.value })).codes);
    say(t("account.code-on"));
  },
  async "code-off"(f, what) {
    const body = { password: f.password.value };
    if (what === "codes") show((await call("POST", "/api/account/code/recovery", body)).codes);
    else { await call("POST", "/api/account/code/remove", body); reload(); }
  },
  async passkey(f) {
    const { options } = await call("POST", "/api/account/passkeys/offer", { password: f.password.value });
    const credential = await make(options);
    await call("POST", "/api/account/passkeys", { name: f.name.value.trim(), credential });
    reload();
  },
};
const acts = {
  async session(id) { await call("DELETE", `/api/account/sessions/${id}`); reload(); },
  async others() { await call("DELETE", "/api/account/sessions"); reload(); },
  async "passkey-remove"(id) {
    const password = document.getElementById("pk-password").value;
    await call("POST", `/api/account/passkeys/${id}/remove`, { password });
    reload();
  },
};

async function tried(what) {
  try { await what(); } catch (error) {
    if (error instanceof Refused) say([error.message, ...error.reasons.map((r) => `${r.what} ${r.todo ?? ""}`)].join(" – "), true);
    else say(error instanceof DOMException ? t("account.passkey-cancelled") : t("live.no-network"), true);
  }
}
for (const form of document.querySelectorAll("[data-form]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tried(() => forms[form.dataset.form](form.elements, event.submitter?.value));
  });
}
for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => tried(() => acts[button.dataset.act](button.dataset.id)));
}
