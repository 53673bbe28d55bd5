// Where a task is done: the address of its station's page, and of what the station shows. Pure.
import { language } from "./dom.js";

const about = (name, first) => (name ? `${first}about=${encodeURIComponent(name)}` : "");
export const pageOf = (journey, task) => `/journeys/${encodeURIComponent(journey)}/${task.activity}/${task.side}${about(task.about, "?")}`;
export const rowOf = (journey) => `/api/journeys/${encodeURIComponent(journey)}`;
export const viewOf = (journey, task) => `${rowOf(journey)}/stations/${task.activity}/${task.side}?language=${language}${about(task.about, "&")}`;

// A row's place in the order of time to harm: lower comes first. Stopped, then late, then what will
// be late soonest, then the rest by age, then what has ended.
export function rank(row, now) {
  if (row.status === "ended") return [4, -row.position];
  if (row.critical || row.status === "held") return [0, -(row.critical || 0)];
  if (row.due === null) return [3, row.position];
  const left = Date.parse(row.due) - now;
  return left < 0 ? [1, left] : [2, left];
}
export const before = (a, b) => a[0] - b[0] || a[1] - b[1];

// "red" acts now, "amber" will breach: a quarter of the window is left, or a deviation is open.
export function urgency(row, now) {
  if (row.status === "ended") return "";
  if (row.critical || row.status === "held") return "red";
  return pressing(row, now) || (row.deviations ? "amber" : "");
}

// The same for one task (or row) by its own window alone.
export function pressing({ due, since }, now) {
  if (due === null) return "";
  const left = Date.parse(due) - now;
  if (left < 0) return "red";
  return since !== null && left < 0.25 * (Date.parse(due) - Date.parse(since)) ? "amber" : "";
}
