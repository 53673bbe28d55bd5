// Register a logger: its key is shown once, here, and nowhere else. Fix one to a place.
import { call, h, Refused, t } from "./dom.js";

const refused = (error) => `✖ ${error instanceof Refused ? `${error.message}: ${error.reasons.map((r) => `${r.what}. ${r.todo}`).join(" ")}` : t("live.lost", { at: "" })}`;

const form = document.getElementById("register");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = document.getElementById("told");
  const data = new FormData(form);
  const until = data.get("until");
  const body = {
    number: data.get("number").trim(),
    model: data.get("model").trim(),
    live: data.get("live") === "true",
    calibrated_until: until ? `${until}T23:59:59Z` : null,
  };
  try {
    const made = await call("POST", "/api/loggers", body);
    const key = made.key ? t("loggers.key-once") : t("loggers.key-kept");
    told.replaceChildren(key, " ", h("code", { class: "mono" }, made.key ?? ""), h("br"), t("loggers.topic"), " ", h("code", { class: "mono" }, made.topic));
    form.reset();
  } catch (error) {
    told.textContent = refused(error);
  }
});

// Fix one to a place; an empty place takes it away. The table below is the page's, so read it again.
const place = document.getElementById("place");
place?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(place);
  const where = data.get("place").trim();
  try {
    await call("POST", `/api/loggers/${encodeURIComponent(data.get("number"))}/place`, { place: where || null, role: data.get("role") });
    location.reload();
  } catch (error) {
    document.getElementById("placed").textContent = refused(error);
  }
});
