// Judge a case of another site: closed answers, given once.
import { call, Refused, t } from "./dom.js";

for (const form of document.querySelectorAll("form[data-case]"))
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("POST", `/api/peers/${form.dataset.case}`, Object.fromEntries(new FormData(form)));
      location.reload();
    } catch (error) {
      form.querySelector("[role=status]").textContent = `⚠ ${error instanceof Refused ? error.message : t("live.lost", { at: "" })}`;
    }
  });
