// What the record says no to, in words, where whoever asked can read it.
import { h } from "./dom.js";

export function refused(where, no) {
  const reasons = (no.reasons ?? []).map((r) => h("li", {}, [r.field, r.what, r.todo].filter(Boolean).join(" – ")));
  where.replaceChildren(h("p", { class: "problem" }, `! ${no.message}`), h("ul", {}, reasons));
}
