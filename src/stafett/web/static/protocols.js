// Admit a protocol: choose a file, see the proof and what changes for whom, then say why.
import { h, pick, Refused, t } from "./dom.js";
import { refused, say } from "./admin.js";

const start = JSON.parse(document.getElementById("start").textContent);
const [file, result, admit, reason, lower, back] = ["file", "proof", "admit", "reason", "lower", "back"].map((id) => document.getElementById(id));
let text = null;

async function send(path) {
  const answer = await fetch(path, { method: "POST", headers: { "X-Stafett": "1", "Content-Type": "application/octet-stream" }, body: text });
  const value = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, value);
  return value;
}
const cell = (value, tag = "td") => h(tag, tag === "th" ? { scope: "col" } : {}, value);
const table = (caption, heads, rows) => h("div", { class: "scroll", tabindex: "0" }, h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map((x) => cell(x, "th")))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((x) => cell(x)))))));

function finding(f) {
  const trace = f.trace.length ? h("details", {}, h("summary", {}, t("admin.proof.trace")), h("ol", {}, f.trace.map((step) => h("li", {}, step)))) : null;
  return [f.severity === "error" ? "✖" : "▲", f.line, h("div", {}, h("b", {}, f.title), " ", h("span", { class: "mono soft" }, f.code), h("div", {}, f.what), h("div", { class: "soft" }, f.why, " ", f.mend), trace)];
}
file.addEventListener("change", async () => {
  admit.classList.add("hidden");
  result.replaceChildren();
  if (!file.files[0]) return;
  text = await file.files[0].arrayBuffer();
  try {
    const proof = await send(`/api/admin/protocols/proof?language=${start.language}`);
    const verdict = proof.proven ? h("p", { class: "note" }, "✓ ", t("admin.proof.proven", { n: proof.markings })) : h("p", { class: "note red", role: "alert" }, "✖ ", t("admin.proof.not"));
    const against = proof.in_force ? t("admin.proof.differs", { version: proof.in_force }) : t("admin.proof.new");
    result.replaceChildren(
      h("h2", {}, `${proof.name} ${proof.version}`), h("p", { class: "mono soft wrap" }, `sha256 ${proof.sha256}`), verdict,
      ...(proof.findings.length ? [table(t("admin.proof.findings"), ["", t("admin.proof.line"), t("admin.proof.what")], proof.findings.map(finding))] : []),
      ...(proof.differs.length ? [table(against, [t("admin.proof.whom"), t("admin.proof.where"), t("admin.proof.what")], proof.differs.map((d) => [d.role === "*" ? t("admin.proof.all") : pick(start.role_titles[d.role]) || d.role, d.where, d.what]))] : [h("p", {}, proof.in_force ? t("admin.proof.same", { version: proof.in_force }) : against)]),
    );
    lower.classList.toggle("hidden", !proof.lower);
    lower.firstElementChild.textContent = proof.lower ? `▲ ${t("admin.proof.lower", { version: proof.version, in_force: proof.in_force })}` : "";
    back.required = proof.lower;
    back.checked = false;
    admit.classList.toggle("hidden", !proof.proven);
  } catch (error) { refused(error); }
});
admit.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const done = await send(`/api/admin/protocols?reason=${encodeURIComponent(reason.value)}${back.checked ? "&back=true" : ""}`);
    say(t("admin.proof.admitted", { name: done.name, version: done.version }));
    admit.classList.add("hidden");
  } catch (error) { refused(error); }
});
