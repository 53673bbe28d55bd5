// What a station shows while acts are held here: the last known view, with these acts put into it.
// A held answer is neither right nor wrong: only the record says so. Pure.
import { surely } from "./identify.js";

export const isHere = (act, place) => act.journey === place.journey && act.activity === place.activity && act.side === place.side && act.about === place.about;

const isOpen = (check) => !check.held && (check.result === null || check.second || (check.result === "unknown" && !check.critical));

// `view` with `acts` (held, of this place, oldest first). Gives each check `held` (the value kept
// here), each document `held`, the check to answer now as `next`, and `stopped` where an act kept
// here must stop everything.
export function project(view, acts, offline) {
  const mine = acts.filter((act) => act.state === "held" && (act.command.round ?? view.round) === view.round);
  const found = { ...view, checks: view.checks.map((c) => ({ ...c })), documents: view.documents.map((d) => ({ ...d })), held: mine.length, stopped: null };
  for (const act of mine) {
    const { type } = act.command;
    if (type === "Start" && found.kind === "start") Object.assign(found, { kind: "work", status: "open" });
    if (type === "Attach") for (const d of found.documents) if (d.id === act.command.document) Object.assign(d, { attached: true, held: true });
    if (type !== "Answer") { if (act.secret) found.signing = act; continue; }
    const check = found.checks.find((c) => c.id === act.command.check);
    if (!check) continue;
    check.held = act;
    const verdict = surely(check, act.command.value, act.command.method);
    if (verdict && check.critical) found.stopped = { act, check, verdict };
  }
  // A second person proves who they are by password or passkey, which only the record can verify.
  for (const c of found.checks) c.waits = offline && c.people > 1 && (c.second || (c.answered > 0 && c.result === null));
  let open = found.checks.filter((c) => isOpen(c) && !c.waits);
  if (open.some((c) => c.when === "before")) open = open.filter((c) => c.when === "before");
  found.next = open[0]?.id ?? null;
  found.waiting = found.checks.filter((c) => c.waits || (c.held && c.people > 1));
  return found;
}
