// The station: one side of one handoff or step. The scan is the primary input; nothing is shown as
// accepted before the record holds it; a mismatch is a full red stop.
import { call, h, language, pick, Refused, span, t, when } from "./dom.js";
import { follow } from "./live.js";

const start = JSON.parse(document.getElementById("start").textContent);
const root = document.getElementById("station");
const base = `/api/journeys/${start.journey}`;
let view = null;
let colleague = null; // {login, password} of a second person at this station, for one act only
let busy = false;
let said = null;

const path = () => `${base}/stations/${start.activity}/${start.side}?language=${language}${start.about ? `&about=${encodeURIComponent(start.about)}` : ""}`;

async function load() {
  try { view = await call("GET", path()); said = said?.keep ? said : null; } catch (error) {
    if (!(error instanceof Refused)) return;
    said = { red: true, text: error.message };
  }
  draw();
}

// Send one act. The key is made once: however often it is sent, it counts once.
async function act(command, extra = {}) {
  if (busy) return false;
  busy = true;
  said = null;
  const ask = { key: crypto.randomUUID(), role: view.role, command: { occurred_at: new Date().toISOString(), ...command }, ...extra };
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const done = await call("POST", `${base}/commands`, ask);
      beep(done.events.some((e) => e.type === "Stopped") ? "stop" : "ok");
      break;
    } catch (error) {
      if (error instanceof Refused && error.status !== 503) {
        said = { red: true, text: error.reasons.map((r) => r.what + (r.todo ? ` – ${r.todo}` : "")).join("; ") || error.message };
        beep("no");
        busy = false;
        await load();
        return false;
      }
      pending(ask);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  colleague = null;
  await load();
  busy = false;
  return true;
}

function pending(ask) {
  root.querySelectorAll("button, input, select").forEach((e) => { e.disabled = true; });
  let note = document.getElementById("pending");
  if (!note) { note = h("p", { class: "note amber", id: "pending", role: "alert" }); root.prepend(note); }
  note.textContent = `◌ ${t("station.pending", { what: ask.command.value ?? ask.command.type, at: when(ask.command.occurred_at) })}`;
}

let audio = null;
function beep(kind) {
  try {
    audio ??= new AudioContext();
    const tone = audio.createOscillator();
    tone.frequency.value = kind === "ok" ? 880 : 220;
    tone.type = kind === "ok" ? "sine" : "square";
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + (kind === "ok" ? 0.08 : 0.6));
  } catch { /* a station without sound still works */ }
}

const round = () => (view.round === undefined ? {} : { round: view.round });
const where = () => ({ activity: view.activity, side: view.side, about: view.about, ...round() });

function answer(check, value, method) {
  return act({ type: "Answer", ...where(), check: check.id, value, method, unit: check.unit ?? null }, colleague ? { colleague } : {});
}

// -- drawing ---------------------------------------------------------------------------------------

function draw() {
  document.querySelector(".stop")?.remove();
  if (!view) { root.replaceChildren(note()); return; }
  const parts = [h("h1", {}, `${view.activity} ${view.title}`), h("p", { class: "soft" }, `${t(`board.side.${view.side}`)} · ${view.role_title} · ${start.organisations[view.organisation] ?? view.organisation}`), due(), note()];
  if (view.stop) stop(view.stop);
  const mine = start.roles.includes(view.role) && start.organisation === view.organisation;
  if (!mine) parts.push(h("p", { class: "note" }, t("station.not-yours", { role: view.role_title, organisation: start.organisations[view.organisation] ?? view.organisation })));
  else if (view.kind === null) parts.push(h("p", { class: "note" }, `${view.status === "done" ? "✓" : "◌"} ${t(view.side === "release" && view.status === "open" ? "station.status.released" : `station.status.${view.status}`)}`), onwards());
  else if (view.barred.includes(start.person)) parts.push(h("p", { class: "note red" }, t("station.barred")));
  else if (view.blocked.length) parts.push(h("p", { class: "note red", role: "alert" }, `✖ ${t("station.blocked")} ${view.blocked.join("; ")}`));
  else parts.push(...task());
  parts.push(answered());
  root.replaceChildren(...parts.filter(Boolean));
  root.querySelector("[data-first]")?.focus();
}

function note() { return said && h("p", { class: `note ${said.red ? "red" : ""}`, role: "alert" }, said.red ? "✖ " : "", said.text); }

function due() {
  if (!view.due) return null;
  const left = (Date.parse(view.due) - Date.now()) / 1000;
  return h("p", { class: left < 0 ? "note red" : left < 3600 ? "note amber" : "soft" }, left < 0 ? `◷ ${t("station.late", { by: span(left) })}` : t("station.due", { at: when(view.due), left: span(left) }));
}

function onwards() {
  return h("p", {}, h("a", { class: "button", href: "/tasks" }, t("station.tasks")), " ", h("a", { class: "button", href: `/journeys/${start.journey}` }, t("station.journey")));
}

function task() {
  if (view.kind === "start") return [h("p", { class: "ask" }, t("station.start-what")), h("button", { class: "main", "data-first": true, onclick: () => act({ type: "Start", step: view.activity, ...round() }) }, `▶ ${t("station.start")}`)];
  if (view.kind === "acknowledge") return [signing([{ id: "read", title: t("station.read") }])];
  const next = view.checks.find((c) => c.id === view.next);
  const done = view.checks.filter((c) => c.result !== null && !c.second).length;
  const total = view.checks.length + view.documents.filter((d) => d.required).length;
  const attached = view.documents.filter((d) => d.required && d.attached).length;
  const fraction = total ? (done + attached) / total : 1;
  const bar = h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": done + attached, "aria-label": t("station.progress") }, h("i"));
  bar.firstChild.style.width = `${Math.round(100 * fraction)}%`;
  const count = h("p", { class: "soft num" }, t("station.count", { done: done + attached, total }));
  if (next) return [bar, count, asking(next), problemButton()];
  const paper = view.documents.find((d) => d.required && !d.attached);
  if (paper) return [bar, count, attaching(paper), problemButton()];
  return [bar, count, signing(options()), problemButton()];
}

function asking(check) {
  const about = [check.material_title, check.identifier_title].filter(Boolean).join(" · ");
  const parts = [h("p", { class: "ask", id: "ask" }, check.ask), about && h("p", { class: "soft" }, about)];
  if (check.second || (check.people > 1 && check.answered > 0)) {
    if (!colleague) return h("div", {}, ...parts.filter(Boolean), h("p", { class: "note" }, t("station.second")), person(() => draw()));
    parts.push(h("p", { class: "note" }, t("station.second-is", { login: colleague.login })));
  }
  if (check.kind === "scan") parts.push(scanning(check));
  if (check.kind === "choice") parts.push(h("div", { class: "choices", role: "group", "aria-labelledby": "ask" }, check.choices.map((c, i) => h("button", { "data-first": i === 0, onclick: () => answer(check, c.id, "seen") }, c.title))));
  if (check.kind === "quantity") parts.push(typing(check, h("input", { type: "number", step: "any", required: true, "data-first": true, "aria-labelledby": "ask" }), (v) => Number(v), check.unit));
  if (check.kind === "time") parts.push(h("button", { "data-first": true, onclick: () => answer(check, new Date().toISOString(), "seen") }, t("station.now")), typing(check, h("input", { type: "datetime-local", required: true, "aria-labelledby": "ask" }), (v) => new Date(v).toISOString()));
  parts.push(h("p", {}, h("button", { class: "plain", onclick: () => confirm(t("station.unknown-sure")) && answer(check, null, "seen") }, t("station.unknown"))));
  return h("section", { class: "card" }, ...parts.filter(Boolean));
}

function scanning(check) {
  const input = h("input", { class: "scanline mono", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", "data-first": true, "data-scan": true, "aria-labelledby": "ask", placeholder: t("station.scan-here") });
  let first = 0, keys = 0;
  input.addEventListener("keydown", () => { if (!input.value) { first = performance.now(); keys = 0; } keys += 1; });
  const send = () => {
    const value = input.value.trim();
    // A scanner types a character every few milliseconds; a person does not.
    const quick = keys > 5 && (performance.now() - first) / keys < 40;
    if (value) answer(check, value, quick || keys === 0 ? "scan" : "typed");
  };
  return h("form", { onsubmit: (e) => { e.preventDefault(); send(); } }, input, h("p", { class: "row" }, h("button", { class: "main", type: "submit" }, t("station.check")), check.binds ? h("span", { class: "soft" }, t("station.binds")) : null));
}

function typing(check, input, read, unit) {
  return h("form", { class: "row", onsubmit: (e) => { e.preventDefault(); if (input.value) answer(check, read(input.value), "typed"); } }, input, unit ? h("span", {}, unit) : null, h("button", { class: "main", type: "submit" }, t("station.enter")));
}

function attaching(paper) {
  const file = h("input", { type: "file", "data-first": true, id: "file", required: true });
  const fields = paper.fields.map((name) => h("p", {}, h("label", { for: `f-${name}` }, name), h("input", { id: `f-${name}`, name, required: true })));
  const sha = h("p", { class: "mono soft" });
  file.addEventListener("change", async () => {
    if (!file.files[0]) return;
    const digest = await crypto.subtle.digest("SHA-256", await file.files[0].arrayBuffer());
    sha.textContent = `SHA-256 ${[...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
  });
  return h("form", { class: "card", onsubmit: async (e) => {
    e.preventDefault();
    const form = e.currentTarget;
    try {
      const answer = await fetch("/api/documents", { method: "POST", headers: { "X-Stafett": "1", "Content-Type": file.files[0].type || "application/octet-stream" }, body: file.files[0] });
      if (!answer.ok) throw new Refused(answer.status, await answer.json());
      const stored = await answer.json();
      const values = Object.fromEntries(paper.fields.map((name) => [name, form.elements[`f-${name}`].value.trim()]));
      await act({ type: "Attach", ...where(), document: paper.id, sha256: stored.sha256, fields: values });
    } catch (error) { said = { red: true, text: error instanceof Refused ? error.message : t("station.no-network") }; draw(); }
  } }, h("p", { class: "ask" }, t("station.attach", { title: paper.title })), h("label", { for: "file" }, t("station.file")), file, sha, ...fields, h("button", { class: "main", type: "submit" }, t("station.attach-it")));
}

function options() {
  const failed = view.checks.some((c) => c.result === "fail") || view.deviations.length > 0;
  const known = { accept: t("station.accept"), "accept-with-deviation": t("station.accept-with-deviation"), quarantine: t("station.quarantine"), refuse: t("station.refuse"), release: t("station.release"), done: t("station.done") };
  return view.options.filter((o) => !(o.id === "accept" && failed) && !(o.id === "accept-with-deviation" && !failed)).map((o) => ({ id: o.id, title: known[o.id] ?? o.title }));
}

// Name, meaning and time before authentication; the same stays in the record after it.
function signing(choices) {
  const meaning = view.sign?.meaning ?? t("station.read");
  const need = view.sign ? view.sign.people - new Set(view.sign.signed).size : 1;
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true, "data-first": true });
  const reason = h("input", { id: "reason", maxlength: 400 });
  const needsReason = view.kind === "decide" || (view.kind === "receive");
  const sign = h("section", { class: "card" }, h("p", { class: "ask" }, meaning), h("p", {}, t("station.signing", { name: start.name, at: new Date().toLocaleString(language, { timeZoneName: "short" }) })));
  if (need > 1) {
    sign.append(h("p", { class: "note" }, t("station.two-sign", { n: need })), person(async (who) => { await act({ type: "Sign", ...where() }, { colleague: who }); }));
    return sign;
  }
  sign.append(h("label", { for: "password" }, t("station.password")), password);
  if (needsReason) sign.append(h("label", { for: "reason" }, view.kind === "decide" ? t("station.reason") : t("station.reason-deviation")), reason);
  sign.append(h("div", { class: "choices" }, choices.map((choice, i) => h("button", { class: i === 0 && choice.id !== "refuse" && choice.id !== "quarantine" ? "main" : "", "data-option": choice.id, onclick: () => {
    if (view.sign && !password.value) { password.focus(); return; }
    close(choice.id, reason.value.trim(), { password: password.value });
  } }, choice.title))));
  return sign;
}

function close(option, reason, extra) {
  const by = extra.password ? extra : {};
  if (view.kind === "release") return act({ type: "Release", handoff: view.activity, ...round() }, by);
  if (view.kind === "receive") return act({ type: "Receive", handoff: view.activity, decision: option, reason: option === "accept" ? null : view.deviations[0]?.code ?? reasonCode(option), note: reason, ...round() }, by);
  if (view.kind === "decide") return act({ type: "Decide", decision: view.activity, about: view.about, result: option, reason: reason || "-" }, by);
  if (view.kind === "acknowledge") return act({ type: "AcknowledgeNotice", notice: view.about }, by);
  return act({ type: "Finish", step: view.activity, result: option, ...round() }, by);
}
const reasonCode = (option) => (option === "refuse" ? "DOC_MISSING" : "TEMP_EXCURSION");

function person(then) {
  const login = h("input", { id: "colleague", required: true, autocomplete: "off" });
  const word = h("input", { id: "colleague-password", type: "password", required: true, autocomplete: "off" });
  return h("form", { onsubmit: (e) => { e.preventDefault(); colleague = { login: login.value.trim(), password: word.value }; then(colleague); } }, h("label", { for: "colleague" }, t("station.colleague")), login, h("label", { for: "colleague-password" }, t("station.colleague-password")), word, h("p", {}, h("button", { class: "main", type: "submit" }, t("station.colleague-here"))));
}

function problemButton() {
  return h("details", {}, h("summary", {}, t("station.problem")), h("form", { onsubmit: (e) => { e.preventDefault(); const f = e.currentTarget; act({ type: "RaiseDeviation", code: f.elements.code.value, about: view.activity, note: f.elements.note.value, detected: view.activity }); } },
    h("label", { for: "code" }, t("station.problem-kind")), h("select", { id: "code" }, (view.catalogue ?? []).map((d) => h("option", { value: d.id }, d.title))),
    h("label", { for: "note" }, t("station.problem-note")), h("input", { id: "note", required: true, maxlength: 400 }), h("p", {}, h("button", { type: "submit" }, t("station.problem-send")))));
}

function answered() {
  const done = view.checks.filter((c) => c.result !== null);
  if (!done.length && !view.documents.some((d) => d.attached)) return null;
  const sign = { pass: "✓", fail: "✗", unknown: "?" };
  return h("ul", { class: "done", "aria-label": t("station.answered") }, done.map((c) => h("li", {}, h("span", { "aria-hidden": "true" }, sign[c.result]), h("span", {}, c.ask, " ", h("b", {}, t(`station.result.${c.result}`)), c.tail ? h("span", { class: "mono" }, ` …${c.tail}`) : ""))),
    view.documents.filter((d) => d.attached).map((d) => h("li", {}, h("span", { "aria-hidden": "true" }, "✓"), h("span", {}, `${d.title} `, h("b", {}, t("station.attached"))))));
}

// The red stop: both identifiers, the characters that differ marked, what to do, whom it has told.
function stop(found) {
  const got = String(found.got ?? ""), expected = String(found.expected ?? "");
  const marked = (text, other) => [...text].map((ch, i) => (ch === other[i] ? ch : h("mark", {}, ch)));
  const code = `stop.${found.code}`;
  const title = t(code) === code ? t("stop.title") : t(code);
  const secret = got.startsWith("commitment:");
  const screen = h("div", { class: "stop", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "stop-title" },
    h("h1", { id: "stop-title", tabindex: "-1" }, `✖ ${title}`), h("p", {}, found.ask),
    found.expected && !secret ? h("p", { class: "ids mono" }, t("stop.scanned"), " ", marked(got, expected), h("br"), t("stop.expected"), " ", marked(expected, got)) : h("p", { class: "ids" }, secret ? t("stop.patient") : t("stop.answer", { answer: got || t("stop.unknown") })),
    h("p", {}, t("stop.told")), h("ol", {}, ["isolate", "call", "decide"].map((k) => h("li", {}, t(`stop.${k}`)))),
    h("p", { class: "row" }, h("a", { class: "button", href: `/journeys/${start.journey}` }, t("stop.journey")), h("button", { onclick: () => location.assign("/tasks") }, t("stop.tasks"))));
  document.body.append(screen);
  screen.querySelector("h1").focus();
}

// A scanner types wherever the focus is: what it types belongs to the scan field.
document.addEventListener("keydown", (event) => {
  const field = root.querySelector("[data-scan]");
  if (!field || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA|BUTTON|A|SUMMARY)$/.test(event.target.tagName)) return;
  if (event.key.length === 1) field.focus();
});

await load();
const shown = await call("GET", base);
follow(shown.position, (row) => {
  if (row.journey === start.journey && !busy) glance();
});

// What happened elsewhere is shown at once, but never wipes out what is being filled in here for
// nothing: the page is drawn again only if this side's task has changed. What is shown is compared
// after the answer has come: while it was on its way an act here may have shown the same already.
async function glance() {
  const fresh = await call("GET", path()).catch(() => null);
  if (busy || fresh === null || JSON.stringify(fresh) === JSON.stringify(view)) return;
  view = fresh;
  draw();
}
