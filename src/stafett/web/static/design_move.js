// A site on the map is moved: dragged by pointer, or by the arrow keys. `put(site, lat, lon, words)`
// is told where it came to stand, and says whether it may; `say(words)` is read out.
import { language, t } from "./dom.js";

const START = 4; // px before a press becomes a drag: a click chooses
const REST_MS = 700; // after the last arrow key
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200]; // km
const KM = 111.2; // a degree of latitude
const ARROWS = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const degrees = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });

const round = (value) => Math.round(value * 1000) / 1000;
const frame = (svg) => Object.fromEntries(["west", "north", "across", "down", "width", "height"].map((k) => [k, Number(svg.dataset[k])]));
const siteOf = (target) => target.closest?.(".network-map[data-west] .site[data-key]");
const called = (site) => site.querySelector(".name").textContent;

// Draws a site, and the ends of its lanes, at a point of the picture.
function draw(site, x, y) {
  const { x: x0, y: y0 } = site.dataset;
  site.setAttribute("transform", `translate(${x - x0} ${y - y0})`);
  for (const line of site.ownerSVGElement.querySelectorAll(".lane line")) {
    for (const n of [1, 2]) {
      const was = line.dataset[`end${n}`] ?? `${line.getAttribute(`x${n}`)} ${line.getAttribute(`y${n}`)}`;
      if (was !== `${x0} ${y0}`) continue;
      line.dataset[`end${n}`] = was;
      line.setAttribute(`x${n}`, x);
      line.setAttribute(`y${n}`, y);
    }
  }
}
const back = (site) => { draw(site, Number(site.dataset.x), Number(site.dataset.y)); site.classList.remove("moving"); };

function pointed(event, svg) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [x, y];
}
const inside = (f, x, y) => x >= 0 && y >= 0 && x <= f.width && y <= f.height;
const there = (f, x, y) => [f.north - y / f.down, f.west + x / f.across];
const shown = (f, lat, lon) => [(lon - f.west) * f.across, (f.north - lat) * f.down];

export function movable(put, say) {
  let drag = null, dragged = false, keyed = null;
  const words = (site, lat, lon) => t("design.edit.moved", { what: called(site), lat: degrees.format(lat), lon: degrees.format(lon) });
  const down = async (site, lat, lon) => {
    const at = [Math.max(-90, Math.min(90, lat)), Math.max(-180, Math.min(180, lon))].map(round);
    [site.dataset.lat, site.dataset.lon] = at; // the next key goes on from here
    say(words(site, ...at));
    if (!(await put(site, ...at, words(site, ...at)))) back(site);
  };

  document.addEventListener("pointerdown", (event) => {
    const site = siteOf(event.target);
    dragged = false;
    if (!site || event.button !== 0) return;
    drag = { site, from: [event.clientX, event.clientY], id: event.pointerId };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const [dx, dy] = [event.clientX - drag.from[0], event.clientY - drag.from[1]];
    if (!dragged && Math.hypot(dx, dy) < START) return;
    if (!dragged) { dragged = true; drag.site.classList.add("moving"); drag.site.setPointerCapture(event.pointerId); }
    event.preventDefault();
    draw(drag.site, ...pointed(event, drag.site.ownerSVGElement));
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const { site } = drag, svg = site.ownerSVGElement;
    drag = null;
    if (!dragged) return;
    const f = frame(svg), [x, y] = pointed(event, svg);
    if (!inside(f, x, y)) { back(site); say(t("design.edit.off-map", { what: called(site) })); return; }
    site.focus();
    down(site, ...there(f, x, y));
  });
  const dropped = () => { if (drag && dragged) back(drag.site); drag = null; };
  document.addEventListener("pointercancel", dropped);
  // The click that ends a drag chooses nothing.
  document.addEventListener("click", (event) => { if (dragged && siteOf(event.target)) { event.stopPropagation(); dragged = false; } }, true);

  // By keys the mark goes ahead of the record: where it rests for a moment, it is put down.
  const rest = () => {
    if (!keyed) return;
    clearTimeout(keyed.timer);
    const { site, lat, lon } = keyed;
    keyed = null;
    down(site, lat, lon);
  };
  document.addEventListener("keydown", (event) => {
    const site = siteOf(event.target);
    if (!site) return;
    if (event.key === "Escape" && (keyed || drag)) {
      if (keyed) { clearTimeout(keyed.timer); back(keyed.site); keyed = null; }
      dropped();
      say(t("design.edit.unmoved", { what: called(site) }));
      return;
    }
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) { if (event.key === "Enter" || event.key === " ") rest(); return; }
    event.preventDefault();
    const f = frame(site.ownerSVGElement), { lat, lon } = site.dataset;
    if (keyed && keyed.site !== site) rest();
    keyed ??= lat === undefined ? { site, lat: there(f, f.width / 2, f.height / 2)[0], lon: there(f, f.width / 2, f.height / 2)[1] } : { site, lat: Number(lat), lon: Number(lon) };
    const step = STEPS.find((km) => (km / KM) * f.down >= 6) ?? STEPS.at(-1), km = event.shiftKey ? step / 10 : step;
    const north = keyed.lat + (way[1] * km) / KM;
    const east = keyed.lon + (way[0] * km * f.down) / (KM * f.across);
    const [x, y] = shown(f, north, east), aside = lat !== undefined && !inside(f, Number(site.dataset.x), Number(site.dataset.y));
    if (!aside && !inside(f, x, y)) { say(t("design.edit.off-map", { what: called(site) })); return; }
    [keyed.lat, keyed.lon] = [north, east];
    site.classList.add("moving");
    if (!aside) draw(site, x, y);
    say(words(site, north, east));
    clearTimeout(keyed.timer);
    keyed.timer = setTimeout(rest, REST_MS);
  });
  document.addEventListener("focusout", (event) => { if (keyed && event.target === keyed.site) rest(); });
}
