// Where a task is done: the address of its station's page, and of what the station shows. Pure.
import { language } from "./dom.js";

const about = (name, first) => (name ? `${first}about=${encodeURIComponent(name)}` : "");
export const pageOf = (journey, task) => `/journeys/${encodeURIComponent(journey)}/${task.activity}/${task.side}${about(task.about, "?")}`;
export const rowOf = (journey) => `/api/journeys/${encodeURIComponent(journey)}`;
export const viewOf = (journey, task) => `${rowOf(journey)}/stations/${task.activity}/${task.side}?language=${language}${about(task.about, "&")}`;

// A row's place in the order of time to harm: lower comes first. Stopped, then late, then what has an
// open deviation or little of its window left, then the calm, each by the time that is left and then
// by age, then what has ended.
export function rank(row, now) {
  if (row.status === "ended") return [4, 0, -row.position];
  if (row.critical || row.status === "held") return [0, -(row.critical || 0), row.position];
  const left = row.due === null ? Infinity : Date.parse(row.due) - now;
  if (left < 0) return [1, left, row.position];
  return [urgency(row, now) ? 2 : 3, left, row.position];
}
export function before(a, b) {
  const i = a.findIndex((value, n) => value !== b[n]); // Infinity minus itself is no number
  return i < 0 ? 0 : a[i] < b[i] ? -1 : 1;
}

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
