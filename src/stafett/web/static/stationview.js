// How a station looks: one task, one obvious next action; what is only held here says so.
import { h, moment, put, span, t, when } from "./dom.js";
import { here } from "./passkey.js";
import { scanning } from "./scanline.js";

// Draw `view` (a projected view) into `root`; `s` is the station: its state, `act` and `draw`.
export function draw(root, view, s) {
  const { start } = s;
  const of = start.organisations[view.organisation] ?? view.organisation;
  const parts = [h("h1", {}, `${view.activity} ${view.title}`), h("p", { class: "soft" }, `${t(`board.side.${view.side}`)} · ${view.role_title} · ${of}`), due(view), connection(view, s), ...refusals(s), note(s)];
  const mine = start.roles.includes(view.role) && start.organisation === view.organisation;
  if (!mine) parts.push(h("p", { class: "note" }, t("station.not-yours", { role: view.role_title, organisation: of })));
  else if (view.kind === null) parts.push(h("p", { class: "note", "data-spoken": true }, `${view.status === "done" ? "✓" : "◌"} ${t(view.side === "release" && view.status === "open" ? "station.status.released" : `station.status.${view.status}`)}`), onwards(s));
  else if (view.barred.includes(start.person)) parts.push(h("p", { class: "note red" }, t("station.barred")));
  else if (view.blocked.length) parts.push(h("p", { class: "note red", "data-alarm": true }, `✖ ${t("station.blocked")} ${view.blocked.join("; ")}`));
  else parts.push(...(view.supplied ?? []).map((name) => h("p", { class: "note amber" }, "▲ ", h("a", { href: `/deviations/${encodeURIComponent(view.journey)}/${encodeURIComponent(name)}` }, t("station.supplied", { deviation: name })))), ...(view.awaits ?? []).map((name) => h("p", { class: "note red", "data-alarm": true }, "✖ ", h("a", { href: `/deviations/${encodeURIComponent(view.journey)}/${encodeURIComponent(name)}` }, t("station.awaits", { deviation: name })))), ...task(view, s));
  parts.push(answered(view));
  const before = kept(root);
  root.replaceChildren(...parts.filter(Boolean));
  root.querySelector("[data-first]")?.focus();
  carry(root, before, view.next);
  root.dataset.check = view.next ?? "";
  speak(root);
}

// What a screen reader says by itself: what went wrong, the line, what is done. Each in a place that
// stays, so that it is said once, and not again whenever the station is drawn.
function speak(root) {
  const words = (e) => [...e.childNodes].filter((n) => !n.matches?.("button, ul")).map((n) => n.textContent.trim()).filter(Boolean).join(" ");
  const texts = (which) => [...root.querySelectorAll(which)].map(words).join(" ");
  put(document.getElementById("alarm"), texts("[data-alarm]"));
  put(document.getElementById("line"), texts("#offline, #pending"));
  put(document.getElementById("spoken"), texts("[data-spoken]"));
}

// What is being filled in, what is open and where the keyboard is outlive a drawing, as long as they
// belong to the same question: a button that was reached by Tab is not lost to what others do.
function kept(root) {
  const fields = [...root.querySelectorAll("input:not([type=file]), select")].filter((e) => e.value);
  const open = [...root.querySelectorAll("details[open] > summary")].map(same);
  const at = document.activeElement;
  return { check: root.dataset.check, active: root.contains(at) ? same(at) : null, open, values: fields.map((e) => [e.id || "scan", e.value]) };
}
function carry(root, before, next) {
  if (before.check !== (next ?? "")) return;
  for (const summary of before.open) summary(root)?.parentElement.setAttribute("open", "");
  for (const [id, value] of before.values) {
    const field = id === "scan" ? root.querySelector("section.card input:not([id])") : root.querySelector(`#${CSS.escape(id)}`);
    if (field) field.value = value;
  }
  before.active?.(root)?.focus();
}
// How an element is found again: by its id, else by what it says.
function same({ id, tagName, textContent }) {
  return (root) => (id ? root.querySelector(`#${CSS.escape(id)}`) : [...root.querySelectorAll(tagName)].find((e) => textContent && e.textContent === textContent));
}

function note({ said }) { return said && h("p", { class: `note ${said.red ? "red" : ""}`, [said.red ? "data-alarm" : "data-spoken"]: true }, said.red ? "✖ " : "", said.text); }

function due(view) {
  if (!view.due) return null;
  const left = (Date.parse(view.due) - Date.now()) / 1000;
  return h("p", { class: left < 0 ? "note red" : left < 3600 ? "note amber" : "soft" }, left < 0 ? `◷ ${t("station.late", { by: span(left) })}` : t("station.due", { at: when(view.due), left: span(left) }));
}

// Held here, shared, sealed: where this person's acts at this station are.
function connection(view, s) {
  const shared = s.all.filter((a) => a.state === "shared").length;
  const parts = [];
  if (!s.able) parts.push(h("p", { class: "note amber", "data-alarm": true }, `⚠ ${t("station.cannot-keep")}`));
  if (s.signedOut) parts.push(h("p", { class: "note red", "data-alarm": true }, `✖ ${t("station.signed-out")} `, h("a", { href: `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}` }, t("sign-in"))));
  if (s.offline || s.away) parts.push(h("p", { class: "note amber", id: "offline" }, `⚠ ${t("station.offline")}`, s.at ? ` ${t("station.as-of", { at: when(new Date(s.at).toISOString()) })}` : ""));
  if (s.held.length) parts.push(h("div", { class: "note amber", id: "pending" }, h("b", {}, `◌ ${t("held.here", { n: s.held.length })}`), h("ul", {}, s.held.map((a) => h("li", {}, t("held.act", { what: a.words || a.command.type, at: when(a.command.occurred_at) }))))));
  if (shared) parts.push(h("p", { class: "soft", id: "shared" }, `● ${t("held.shared", { n: shared })}`));
  return parts.length ? h("div", {}, parts) : null;
}

// A refused act stays until a person has seen why.
function refusals(s) {
  return s.refused.map((a) => {
    const why = a.problem.title === "unsigned" ? t("held.unsigned") : a.problem.reasons.map((r) => r.what + (r.todo ? ` – ${r.todo}` : "")).join("; ") || a.problem.title;
    return h("div", { class: "note red refusal", "data-alarm": true }, h("b", {}, `✖ ${t("held.refusal", { what: a.words || a.command.type, at: when(a.command.occurred_at) })}`), h("p", {}, why), h("button", { onclick: () => s.seen(a.n) }, t("held.seen")));
  });
}

function onwards({ place }) {
  return h("p", {}, h("a", { class: "button main", href: "/tasks" }, t("station.tasks")), " ", h("a", { class: "button", href: `/journeys/${place.journey}` }, t("station.journey")));
}

const round = (view) => (view.round === undefined ? {} : { round: view.round });
const where = (view) => ({ activity: view.activity, side: view.side, about: view.about, ...round(view) });

function task(view, s) {
  if (view.kind === "start") return [h("p", { class: "ask" }, t("station.start-what")), h("button", { class: "main", "data-first": true, onclick: () => s.act({ type: "Start", step: view.activity, ...round(view) }, { words: t("station.start") }) }, `▶ ${t("station.start")}`)];
  if (view.kind === "acknowledge") return [signing(view, s, [{ id: "read", title: t("station.read") }])];
  const next = view.checks.find((c) => c.id === view.next);
  const done = view.checks.filter((c) => (c.result !== null && !c.second) || c.held).length;
  const total = view.checks.length + view.documents.filter((d) => d.required).length;
  const attached = view.documents.filter((d) => d.required && d.attached).length;
  const bar = h("progress", { max: total || 1, value: total ? done + attached : 1, "aria-label": t("station.progress") });
  const count = h("p", { class: "soft num" }, t("station.count", { done: done + attached, total }));
  if (next) return [bar, count, asking(view, s, next), trouble(view, s)];
  const paper = view.documents.find((d) => d.required && !d.attached);
  if (paper) return [bar, count, attaching(view, s, paper), trouble(view, s)];
  if (s.offline || view.held) return [bar, count, waits(view, s), trouble(view, s)];
  return [bar, count, signing(view, s, options(view)), trouble(view, s)];
}

// Everything that can be done here is done: the rest is the record's.
function waits(view, s) {
  const why = [view.waiting.length && t("station.second-offline"), t("station.sign-offline")].filter(Boolean);
  return h("section", { class: "card", id: "waits" }, h("p", { class: "ask" }, s.offline ? t("station.wait-network") : t("station.wait-record")), h("ul", {}, why.map((w) => h("li", {}, w))));
}

function asking(view, s, check) {
  const about = [check.material_title, check.identifier_title].filter(Boolean).join(" · ");
  const parts = [h("p", { class: "ask", id: "ask" }, check.ask), about && h("p", { class: "soft" }, about)];
  const answer = (value, method, words) => s.act({ type: "Answer", ...where(view), check: check.id, value, method, unit: check.unit ?? null }, { words: words ?? `${check.ask} ${value ?? t("stop.unknown")}`, secret: s.colleague ? { colleague: s.colleague } : null });
  if (check.second || (check.people > 1 && check.answered > 0)) {
    if (!s.colleague) return h("div", {}, ...parts.filter(Boolean), h("p", { class: "note" }, t("station.second")), person(s, () => s.draw()));
    parts.push(h("p", { class: "note" }, t("station.second-is", { login: s.colleague.login })));
  }
  if (check.kind === "scan") parts.push(scanning(check, answer));
  if (check.kind === "choice") parts.push(h("div", { class: "choices", role: "group", "aria-labelledby": "ask" }, check.choices.map((c, i) => h("button", { "data-first": i === 0, onclick: () => answer(c.id, "seen", `${check.ask} ${c.title}`) }, c.title))));
  if (check.kind === "quantity") parts.push(typing(h("input", { type: "number", step: "any", required: true, "data-first": true, "aria-labelledby": "ask" }), (v) => answer(Number(v), "typed"), check.unit));
  if (check.kind === "time") parts.push(h("button", { "data-first": true, onclick: () => answer(new Date().toISOString(), "seen") }, t("station.now")), typing(h("input", { type: "datetime-local", required: true, "aria-labelledby": "ask" }), (v) => answer(new Date(v).toISOString(), "typed")));
  parts.push(unknown(() => answer(null, "seen")));
  return h("section", { class: "card" }, ...parts.filter(Boolean));
}

// "I cannot tell" blocks: asked twice, on the page itself.
function unknown(then) {
  const box = h("div", {}, h("button", { class: "plain", onclick: () => box.replaceChildren(h("p", { class: "note amber" }, t("station.unknown-sure")), h("p", { class: "row" }, h("button", { onclick: then }, t("station.unknown-yes")), h("button", { class: "main", onclick: () => box.replaceWith(unknown(then)) }, t("station.back")))) }, t("station.unknown")));
  return box;
}

function typing(input, then, unit) {
  return h("form", { class: "row", onsubmit: (e) => { e.preventDefault(); const { value } = input; input.value = ""; if (value) then(value); } }, input, unit ? h("span", {}, printed(unit)) : null, h("button", { class: "main", type: "submit" }, t("station.enter")));
}

function attaching(view, s, paper) {
  const file = h("input", { type: "file", "data-first": true, id: "file", required: true });
  const fields = paper.fields.map((field) => h("p", {}, h("label", { for: `f-${field.id}` }, called(field)), blank(field)));
  const sha = h("p", { class: "mono soft hash" });
  // Where there is a camera in the hand, a photo of the paper is one press away.
  const photo = matchMedia("(pointer: coarse)").matches && h("input", { type: "file", accept: "image/*", capture: "environment", id: "photo" });
  let read = null;
  const take = (from, other) => {
    const chosen = from.files[0];
    if (chosen && other) other.value = "";
    file.required = from === file || !chosen;
    read = chosen && chosen.arrayBuffer().then(async (bytes) => {
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      const sha256 = [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("");
      sha.textContent = `SHA-256 ${sha256}`;
      return { sha256, file: { type: chosen.type || "application/octet-stream", data: base64(new Uint8Array(bytes)) } };
    });
  };
  file.addEventListener("change", () => take(file, photo));
  if (photo) photo.addEventListener("change", () => take(photo, file));
  return h("form", { class: "card", onsubmit: async (e) => {
    e.preventDefault();
    const form = e.currentTarget;
    const values = Object.fromEntries(paper.fields.map((field) => [field.id, said(field, form.elements[`f-${field.id}`].value.trim())]));
    const found = await read;
    await s.act({ type: "Attach", ...where(view), document: paper.id, sha256: found.sha256, fields: values }, { words: paper.title, file: found.file });
  } }, h("p", { class: "ask" }, t("station.attach", { title: paper.title })), photo && [h("label", { for: "photo" }, t("station.photo")), photo], h("label", { for: "file" }, t(photo ? "station.or-file" : "station.file")), file, sha, ...fields, h("button", { class: "main", type: "submit" }, t("station.attach-it")));
}

// An empty field of a document, as it is filled in: a time has no zone on screen and gets this one's.
function blank({ id, kind, min, max, choices }) {
  const common = { id: `f-${id}`, name: id, required: true };
  if (kind === "choice") return h("select", common, h("option", { value: "" }, "–"), ...choices.map((one) => h("option", { value: one }, word(`field-choice.${one}`, one))));
  if (kind === "time") return h("input", { ...common, type: "datetime-local" });
  if (kind === "number") return h("input", { ...common, type: "number", step: "any", min: min ?? undefined, max: max ?? undefined });
  return h("input", { ...common, maxlength: 400 });
}

// A unit as people read it: °C for UCUM's Cel; what is counted, without its braces.
const UNITS = { Cel: "°C", "[degF]": "°F", deg: "°", "[g]": "g", "mm[Hg]": "mmHg" };
const printed = (unit) => UNITS[unit] ?? (unit.startsWith("{") ? word(`field.${unit.slice(1, -1)}`, unit.slice(1, -1)) : unit.replace(/[[\]{}]/g, ""));

// `weight_kg` in kg is called "weight (kg)"; a field that has no words is called by its name.
function called({ id, unit }) {
  const ending = unit ? `_${unit.toLowerCase().replace("°", "")}` : "";
  const name = ending && id.endsWith(ending) ? id.slice(0, -ending.length) : id;
  return word(`field.${id}`, name) + (unit && !unit.startsWith("{") ? ` (${printed(unit)})` : "");
}
const word = (key, name) => { const found = t(key); return found === key ? name.replaceAll("_", " ") : found; };

function said({ kind }, value) {
  return kind === "time" && value ? new Date(value).toISOString() : value;
}

function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}

function options(view) {
  const failed = view.checks.some((c) => c.result === "fail") || view.deviations.length > 0;
  const known = { accept: t("station.accept"), "accept-with-deviation": t("station.accept-with-deviation"), quarantine: t("station.quarantine"), refuse: t("station.refuse"), release: t("station.release"), done: t("station.done") };
  return view.options.filter((o) => !(o.id === "accept" && failed) && !(o.id === "accept-with-deviation" && !failed)).map((o) => ({ id: o.id, title: known[o.id] ?? o.title }));
}

// Name, meaning and time before authentication; the same stays in the record after it.
function signing(view, s, choices) {
  const meaning = view.sign?.meaning ?? t("station.read");
  const need = view.sign ? view.sign.people - new Set(view.sign.signed).size : 1;
  const sign = h("section", { class: "card" }, h("p", { class: "ask" }, meaning), h("p", {}, t("station.signing", { name: s.start.name, at: moment(new Date().toISOString()) })));
  if (need > 1) {
    sign.append(h("p", { class: "note" }, t("station.two-sign", { n: need })), person(s, (colleague) => s.act({ type: "Sign", ...where(view) }, { secret: { colleague }, words: meaning })));
    return sign;
  }
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true, "data-first": true });
  const text = h("input", { id: "reason", maxlength: 400 });
  const codes = [...new Set(view.deviations.map((d) => d.code))];
  const list = [...view.catalogue].sort((a, b) => codes.includes(b.id) - codes.includes(a.id));
  const code = h("select", { id: "code-why" }, codes.length ? null : h("option", { value: "" }, "–"), list.map((d) => h("option", { value: d.id }, d.title)));
  const byKey = Boolean(s.start.passkey && view.sign);
  if (byKey) password.required = false;
  if (view.sign) sign.append(h("label", { for: "password" }, t("station.password")), password, byKey ? h("p", { class: "soft" }, t("station.or-passkey")) : null);
  if (view.kind === "receive") sign.append(h("label", { for: "code-why" }, t("station.reason-deviation")), code, h("label", { for: "reason" }, t("station.note")), text);
  if (view.kind === "decide") sign.append(h("label", { for: "reason" }, t("station.reason")), text);
  const missing = h("p", { class: "note red hidden", role: "alert" });
  const need_ = (what, field) => { missing.textContent = `✖ ${what}`; missing.classList.remove("hidden"); field.focus(); };
  sign.append(missing, h("div", { class: "choices" }, choices.map((choice, i) => h("button", { class: i === 0 && choice.id !== "refuse" && choice.id !== "quarantine" ? "main" : "", "data-option": choice.id, onclick: () => {
    if (view.sign && !password.value && !byKey) return need_(t("station.password-missing"), password);
    if (view.kind === "receive" && choice.id !== "accept" && !code.value) return need_(t("station.reason-missing"), code);
    if (view.kind === "decide" && !text.value.trim()) return need_(t("station.reason-missing"), text);
    return close(view, s, choice, { code: code.value, note: text.value.trim() }, password.value ? { password: password.value } : byKey ? { passkey: true } : null);
  } }, choice.title))));
  return sign;
}

function close(view, s, choice, why, secret) {
  const extra = { words: choice.title, secret };
  if (view.kind === "release") return s.act({ type: "Release", handoff: view.activity, ...round(view) }, extra);
  if (view.kind === "receive") return s.act({ type: "Receive", handoff: view.activity, decision: choice.id, reason: choice.id === "accept" ? null : why.code, note: why.note, ...round(view) }, extra);
  if (view.kind === "decide") return s.act({ type: "Decide", decision: view.activity, about: view.about, result: choice.id, reason: why.note }, extra);
  if (view.kind === "acknowledge") return s.act({ type: "AcknowledgeNotice", notice: view.about }, extra);
  return s.act({ type: "Finish", step: view.activity, result: choice.id, ...round(view) }, extra);
}

// A colleague says who they are, and proves it with their password or, act by act, their passkey.
function person(s, then) {
  const login = h("input", { id: "colleague", required: true, autocomplete: "off" });
  const word = h("input", { id: "colleague-password", type: "password", autocomplete: "off", required: !here() });
  const came = (e) => {
    e.preventDefault();
    const who = { login: login.value.trim(), ...(word.value ? { password: word.value } : { passkey: true }) };
    s.setColleague(who);
    then(who);
  };
  return h("form", { onsubmit: came }, h("label", { for: "colleague" }, t("station.colleague")), login, h("label", { for: "colleague-password" }, t("station.colleague-password")), word, here() && h("p", { class: "soft" }, t("station.colleague-passkey")), h("p", {}, h("button", { class: "main", type: "submit" }, t("station.colleague-here"))));
}

function trouble(view, s) {
  const code = h("select", { id: "code", required: true }, h("option", { value: "" }, "–"), view.catalogue.map((d) => h("option", { value: d.id }, d.title)));
  const words = h("input", { id: "note", maxlength: 400, required: true });
  return h("details", {}, h("summary", {}, t("station.problem")), h("form", { onsubmit: (e) => { e.preventDefault(); s.act({ type: "RaiseDeviation", code: code.value, about: view.activity, note: words.value.trim(), detected: view.activity }, { words: code.selectedOptions[0].text }); } },
    h("label", { for: "code" }, t("station.problem-kind")), code, h("label", { for: "note" }, t("station.problem-note")), words, h("p", {}, h("button", { type: "submit" }, t("station.problem-send")))));
}

function answered(view) {
  const done = view.checks.filter((c) => c.result !== null || c.held);
  if (!done.length && !view.documents.some((d) => d.attached)) return null;
  const sign = { pass: "✓", fail: "✗", unknown: "?" };
  const tail = (c) => (c.held ? (c.kind === "scan" && !c.direct ? String(c.held.command.value ?? "").slice(-4) : null) : c.tail);
  return h("ul", { class: "done", "aria-label": t("station.answered") },
    done.map((c) => h("li", { "data-held": c.held ? true : null }, h("span", { "aria-hidden": "true" }, c.held ? "◌" : sign[c.result]), h("span", {}, c.ask, " ", h("b", {}, c.held ? t("held.unconfirmed") : t(`station.result.${c.result}`)), tail(c) ? h("span", { class: "mono" }, ` …${tail(c)}`) : ""))),
    view.documents.filter((d) => d.attached).map((d) => h("li", {}, h("span", { "aria-hidden": "true" }, d.held ? "◌" : "✓"), h("span", {}, `${d.title} `, h("b", {}, d.held ? t("held.unconfirmed") : t("station.attached"))))));
}
