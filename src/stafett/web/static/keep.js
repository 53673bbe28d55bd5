// Forms for the registry's entries, made from the schema that the server checks them against.
import { call, h, Refused, t } from "./dom.js";

const start = JSON.parse(document.getElementById("start").textContent);
const said = document.getElementById("said");
const root = document.getElementById("entry");
let serial = 0;

const deref = (schema, all) => {
  if (schema.$ref) return deref(all.$defs[schema.$ref.split("/").pop()], all);
  const parts = (schema.anyOf ?? []).filter((s) => s.type !== "null");
  return parts.length ? { ...deref(parts[0], all), optional: true } : schema;
};
const title = (name) => { const key = `registry.field.${name}`; const found = t(key); return found === key ? name.replaceAll("_", " ") : found; };

// Each field is {node, read()}: read gives the value, or undefined for "not given".
function field(name, schema, value, all, required) {
  const s = deref(schema, all), id = `f${++serial}-${name}`;
  if (s.type === "object") return group(name, s, value ?? {}, all);
  if (s.type === "array") return list(name, deref(s.items ?? {}, all), value ?? [], all);
  if (s.type === "boolean") {
    const box = h("input", { type: "checkbox", id });
    box.checked = Boolean(value);
    return { node: h("p", {}, h("label", { for: id }, box, ` ${title(name)}`)), read: () => box.checked };
  }
  if (s.enum) {
    const pick = h("select", { id }, s.optional || !required ? h("option", { value: "" }, "–") : null, s.enum.map((word) => h("option", { value: word }, word)));
    pick.value = value ?? (required ? s.enum[0] : "");
    return { node: label(id, name, pick, required), read: () => pick.value || undefined };
  }
  if (name === "sha256") return document_(id, name, value, required);
  const number = s.type === "number" || s.type === "integer";
  const long = (s.maxLength ?? 0) > 1000;
  const input = long ? h("textarea", { id, rows: 3 }) : h("input", { id, type: number ? "number" : "text", step: s.type === "integer" ? 1 : "any", required });
  input.value = value ?? "";
  return { node: label(id, name, input, required), read: () => (input.value.trim() === "" ? (long && required ? "" : undefined) : number ? Number(input.value) : input.value.trim()) };
}

// A document is chosen as a file: it is stored first, and the entry names it by its content.
function document_(id, name, value, required) {
  const input = h("input", { id, required, class: "mono" }), file = h("input", { type: "file", id: `${id}-file` });
  input.value = value ?? "";
  file.addEventListener("change", async () => {
    const one = file.files[0];
    if (!one) return;
    const answer = await fetch("/api/documents", { method: "POST", headers: { "X-Stafett": "1", "Content-Type": one.type || "application/octet-stream" }, body: one });
    const done = await answer.json();
    if (!answer.ok) return tell(true, done.title, (done.reasons ?? []).map((r) => r.what));
    input.value = done.sha256;
    const called = file.closest("fieldset").querySelector("input[id$='-file_name']");
    if (called) called.value = one.name.replace(/[^A-Za-z0-9_.-]/g, "_").replace(/\.(?=.*\.)/g, "_").replace(/^[^A-Za-z0-9]+/, "").replace(/[^.]*$/, (end) => end.toLowerCase());
  });
  const node = h("div", {}, label(id, name, input, required), h("p", {}, h("label", { for: file.id }, t("registry.document.choose")), file));
  return { node, read: () => input.value.trim() || undefined };
}

function label(id, name, input, required) {
  const key = `registry.hint.${name === "id" ? `id.${start.kind}` : name}`, hint = t(key);
  if (hint === key) return h("p", {}, h("label", { for: id }, title(name), required ? " *" : ""), input);
  input.setAttribute("aria-describedby", `${id}-hint`);
  return h("p", {}, h("label", { for: id }, title(name), required ? " *" : ""), input, h("small", { class: "soft", id: `${id}-hint` }, hint));
}

function group(name, schema, value, all) {
  const fields = Object.entries(schema.properties).map(([key, s]) => [key, field(key, s, value[key], all, (schema.required ?? []).includes(key))]);
  const node = h("fieldset", {}, h("legend", {}, title(name)), h("div", { class: "fields" }, fields.map(([, f]) => f.node)));
  return { node, read: () => { const out = Object.fromEntries(fields.map(([key, f]) => [key, f.read()]).filter(([, v]) => v !== undefined)); return Object.keys(out).length ? out : undefined; } };
}

function list(name, item, values, all) {
  if (item.type === "string") {
    const id = `f${++serial}-${name}`, area = h("textarea", { id, rows: Math.max(2, values.length) });
    area.value = values.join("\n");
    return { node: h("p", {}, h("label", { for: id }, `${title(name)} (${t("registry.one-a-line")})`), area), read: () => area.value.split("\n").map((l) => l.trim()).filter(Boolean) };
  }
  const items = [], box = h("div");
  const add = (value) => {
    const f = field(name, item, value, all, true);
    const entry = { f, node: h("div", { class: "row" }, f.node, h("button", { type: "button", onclick: () => { items.splice(items.indexOf(entry), 1); entry.node.remove(); } }, t("registry.remove"))) };
    items.push(entry);
    box.append(entry.node);
  };
  values.forEach(add);
  const more = h("button", { type: "button", onclick: () => add(undefined) }, `+ ${title(name)}`);
  return { node: h("div", {}, box, more), read: () => items.map((i) => i.f.read()).filter((v) => v !== undefined) };
}

function tell(red, text, items = []) {
  said.replaceChildren(h("div", { class: `note ${red ? "red" : ""}` }, `${red ? "✖" : "✓"} ${text}`, items.length ? h("ul", {}, items.map((i) => h("li", {}, i))) : ""));
}
const reasons = (error) => (error instanceof Refused ? error.reasons.map((r) => `${r.field}: ${r.what}${r.todo ? ` – ${r.todo}` : ""}`) : []);

if (root) {
  const all = await (await fetch(`/api/registry/schema/${start.kind}`)).json();
  const whole = group(start.kind, deref(all, all), start.value ?? {}, all);
  const why = h("input", { id: "why", maxlength: 1000 });
  root.append(whole.node, h("label", { for: "why" }, `${t("registry.reason")} *`), why, h("p", {}, h("button", { class: "main", type: "submit" }, t("registry.save"))));
  root.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = whole.read() ?? {};
    try {
      const done = await call("PUT", `/api/registry/${start.kind}/${encodeURIComponent(value.id ?? "")}`, { value, reason: why.value, after: start.value ? start.after : 0 });
      tell(false, t("registry.saved", { id: done.id, version: done.version }));
      start.after = done.version;
      start.value ??= value;
    } catch (error) { tell(true, error.message, reasons(error)); }
  });
}

const upload = document.getElementById("import");
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const dry = Boolean(event.submitter?.dataset.dry);
  const file = document.getElementById("file").files[0];
  const partial = document.getElementById("partial").checked;
  const answer = await fetch(`/api/registry/import?partial=${partial}&dry_run=${dry}`, { method: "POST", headers: { "X-Stafett": "1", "Content-Type": "application/octet-stream" }, body: file });
  const found = await answer.json();
  if (!answer.ok) tell(true, found.title, (found.reasons ?? []).map((r) => `${r.field}: ${r.what}`));
  else tell(false, t(found.written ? "registry.import.done" : "registry.import.would", { read: found.read, fresh: found.new, changed: found.changed, same: found.same, broken: found.problems.length }), found.problems.slice(0, 50).map((p) => `${p.row} (${p.id}): ${p.field}: ${p.what}`));
});
