// Administration: a form says where it goes (data-api); what it holds is sent as JSON, and what
// became of it is said. A field named `x[]` is one of a list, `x{key}` one of a table.
import { call, h, Refused, t } from "./dom.js";

const said = document.getElementById("said");

export function say(nodes, wrong = false) {
  said.replaceChildren(wrong ? "✖ " : "✓ ", ...[nodes].flat());
  said.className = wrong ? "note red" : "note";
  said.scrollIntoView({ block: "center" });
}
export function refused(error) {
  const lines = error instanceof Refused ? [error.message, ...error.reasons.map((r) => `${r.field}: ${r.what}${r.todo ? " – " + r.todo : ""}`)] : [t("admin.said.lost")];
  say(lines.map((line) => h("div", {}, line)), true);
}

function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    const list = field.name.match(/^(\w+)\[\]$/), table = field.name.match(/^(\w+)\{(\w+)\}$/);
    if (list) { body[list[1]] ??= []; if (field.checked) body[list[1]].push(field.value); }
    else if (table) { body[table[1]] ??= {}; if (field.value) body[table[1]][table[2]] = field.value; }
    else if (field.type === "date") body[field.name] = new Date(field.value + "T23:59:59").toISOString();
    else if (field.type === "number") { if (field.value !== "") body[field.name] = field.valueAsNumber; }
    else body[field.name] = field.value.trim();
  }
  return body;
}

for (const form of document.querySelectorAll("form[data-api]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = bodyOf(form);
    const action = event.submitter?.dataset.api ?? form.dataset.api;
    let [method, path] = action.split(" ");
    // `{id}` in the address is a field of the form, and not of the body.
    path = path.replace(/\{(\w+)\}/g, (_, name) => { const value = body[name]; delete body[name]; return encodeURIComponent(value); });
    if (event.submitter?.dataset.only) for (const name of Object.keys(body)) if (name !== "reason") delete body[name];
    const buttons = form.querySelectorAll("button");
    buttons.forEach((b) => { b.disabled = true; });
    try {
      const answer = await call(method, path, body);
      if (answer?.link) {
        const link = location.origin + answer.link;
        say([h("div", {}, t("admin.said.link")), h("div", {}, h("a", { class: "mono wrap", href: link, id: "link" }, link))]);
        form.reset();
      } else { sessionStorage.setItem("stafett-said", "done"); location.reload(); return; }
    } catch (error) { refused(error); }
    buttons.forEach((b) => { b.disabled = false; });
  });
}
if (said && sessionStorage.getItem("stafett-said")) {
  sessionStorage.removeItem("stafett-said");
  say(t("admin.said.done"));
}
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
