// Labels: print, then take the sheet as PDF or ZPL; say what became of each.
import { call, h, t } from "./dom.js";
import { refused, say } from "./admin.js";

for (const form of document.querySelectorAll("form[data-print-labels]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    const [lot, identifier] = JSON.parse(form.elements.target.value);
    try {
      const sheet = await call("POST", form.dataset.printLabels, { lot, identifier, copies: Number(form.elements.copies.value), reason: form.elements.reason.value.trim() });
      say([h("span", {}, t("labels.said.printed", { sheet: sheet.sheet })), " ", h("a", { class: "button", href: sheet.pdf, download: "" }, "PDF"), " ", h("a", { class: "button", href: sheet.zpl, download: "" }, "ZPL"), " ", h("a", { class: "button", href: location.pathname }, t("labels.said.again"))]);
    } catch (error) { refused(error); button.disabled = false; }
  });
}
for (const button of document.querySelectorAll("button[data-fate]")) {
  button.addEventListener("click", async () => {
    const reason = document.getElementById(`why-${button.dataset.label}`).value.trim();
    try {
      await call("POST", `${button.dataset.path}/${button.dataset.label}`, { fate: button.dataset.fate, reason });
      location.reload();
    } catch (error) { refused(error); }
  });
}
