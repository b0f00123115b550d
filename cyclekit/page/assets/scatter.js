// Any quantity against any other: the designs shown, their front, the one pointed at and the pinned ones.
const MOST_SHADES = 12; // more values of a number are put together in ranges
const N_SERIES = 9; // colours for names; beyond that they begin again
const NEAR = 30; // pixels within which the pointer finds a design
const MARGIN = { left: 76, right: 14, top: 14, bottom: 46 };
const plot = document.getElementById("scatter");
const marks = drawn("g"); // over the points: what changes without drawing them anew
const settings = {};
let places = new Map(); // design -> [x, y] in pixels

function makeScatter() {
  const names = axes.map((axis) => [axis.name, heading(axis)]);
  const cost = axes.find((axis) => axis.name === "energy_nj") ?? axes.find((axis) => axis.name !== "time_us");
  const many = differing.filter((dimension) => !dimension.numeric || dimension.values.length <= MOST_SHADES);
  settings.x = select("x", names, "time_us");
  settings.y = select("y", names, cost.name);
  settings.colour = select("colour",
    [["", "none"], ...differing.map((dimension) => [dimension.name, dimension.name])],
    (many.find((dimension) => dimension.numeric) ?? many[0] ?? { name: "" }).name);
  for (const end of ["x", "y"]) {
    settings[`${end}Log`] = document.getElementById(`${end}-log`);
    settings[`${end}Log`].checked = true;
  }
  for (const input of Object.values(settings)) input.addEventListener("change", update);
  plot.addEventListener("pointermove", (event) => pointAt(nearest(event)));
  plot.addEventListener("click", (event) => {
    const design = nearest(event);
    if (design === null) return;
    chosen.at = design;
    togglePin(design);
  });
  plot.addEventListener("keydown", byKey);
  new ResizeObserver(drawScatter).observe(plot);
}

function axisOf(end) {
  return axes.find((axis) => axis.name === settings[end].value);
}

function drawScatter() {
  const [x, y] = [axisOf("x"), axisOf("y")];
  const logs = { x: settings.xLog.checked, y: settings.yLog.checked };
  const having = chosen.shown.filter((design) => drawable(x, logs.x, design) && drawable(y, logs.y, design));
  const right = plot.clientWidth - MARGIN.right;
  const box = { left: MARGIN.left, right, top: MARGIN.top, bottom: plot.clientHeight - MARGIN.bottom };
  const across = scale(having.map((design) => x.values[design]), logs.x, box.left, box.right);
  const up = scale(having.map((design) => y.values[design]), logs.y, box.bottom, box.top);
  places = new Map(having.map((design) => [design, [across.place(x.values[design]), up.place(y.values[design])]]));
  const best = fronts(having, x, y);
  chosen.front = best.flat();
  plot.replaceChildren(
    drawn("title", {}, `${having.length} designs, ${chosen.front.length} on the front`),
    ...frame(box, x, y, across, up, chosen.shown.length - having.length),
    ...points(having),
    ...best.map((front) => drawn("path", { class: "step", d: staircase(front) })),
    ...dots(chosen.front),
    ...(best.length > 1 ? best.map(named) : []),
    marks,
  );
  ringDesign();
}

function drawable(axis, log, design) {
  const value = axis.values[design];
  return value !== null && (!log || value > 0);
}

function frame(box, x, y, across, up, missing) {
  const parts = [];
  for (const mark of across.marks) {
    const at = across.place(mark.value);
    parts.push(drawn("line", { class: "grid", x1: at, x2: at, y1: box.top, y2: box.bottom }));
    parts.push(drawn("text", { x: at, y: box.bottom + 16, "text-anchor": "middle" }, mark.text));
  }
  for (const mark of up.marks) {
    const at = up.place(mark.value);
    parts.push(drawn("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }));
    parts.push(drawn("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, mark.text));
  }
  parts.push(drawn("path", { class: "axis", fill: "none", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }));
  const middle = (box.left + box.right) / 2;
  const height = (box.top + box.bottom) / 2;
  parts.push(drawn("text", { x: middle, y: box.bottom + 36, "text-anchor": "middle" }, heading(x)));
  parts.push(drawn("text", { transform: `translate(13 ${height}) rotate(-90)`, "text-anchor": "middle" }, heading(y)));
  const lacking = `${missing.toLocaleString("en")} of those shown lack one of the two: they are not drawn`;
  if (missing) parts.push(drawn("text", { x: box.right, y: box.top, "text-anchor": "end" }, lacking));
  return parts;
}

// All points of a colour are one path of dots: thousands are drawn as fast as one.
function points(having) {
  const { classOf, classes } = colours();
  const dots = classes.map(() => []);
  for (const design of having) {
    const [x, y] = places.get(design);
    dots[classOf(design)].push(`M${x.toFixed(1)} ${y.toFixed(1)}h0`);
  }
  const used = classes.filter((_, i) => dots[i].length);
  document.getElementById("scatter-legend").replaceChildren(
    ...(classes.length > 1 ? used.map(({ colour, label }) => swatch(colour, label)) : []));
  return classes.map(({ colour }, i) => {
    const path = drawn("path", { class: "points", d: dots[i].join("") });
    path.style.stroke = colour;
    return path;
  });
}

// The classes that the chosen dimension's values fall into: a ramp for numbers, a palette for names.
function colours() {
  const dimension = byName[settings.colour.value];
  if (!dimension) return { classOf: () => 0, classes: [{ colour: "var(--series0)", label: "" }] };
  const n = Math.min(dimension.values.length, dimension.numeric ? MOST_SHADES : N_SERIES);
  const classAt = (place) => (dimension.numeric ? Math.floor((place * n) / dimension.values.length) : place % n);
  const members = Array.from({ length: n }, () => []);
  dimension.values.forEach((value, place) => members[classAt(place)].push(plain(value)));
  const classes = members.map((values, i) => ({
    colour: dimension.numeric ? ramp(i / Math.max(1, n - 1)) : `var(--series${i})`,
    label: `${dimension.name} ${dimension.numeric && values.length > 1
      ? `${values[0]} to ${values[values.length - 1]}` : values.join(", ")}`,
  }));
  classes.push({ colour: "var(--quiet)", label: `no ${dimension.name}` });
  return { classOf: (design) => (dimension.of[design] < 0 ? n : classAt(dimension.of[design])), classes };
}

function ramp(share) {
  return `color-mix(in oklch, var(--low), var(--high) ${Math.round(100 * share)}%)`;
}

function dots(designs) {
  const { classOf, classes } = colours();
  return designs.map((design) => {
    const [cx, cy] = places.get(design);
    const made = drawn("circle", { class: "front", "data-design": design, cx, cy, r: 4.5 });
    made.style.fill = classes[classOf(design)].colour;
    return made;
  });
}

// A front's workload, written under its lower end, or where there is no room above it.
function named(front) {
  const design = front[front.length - 1];
  const [x, y] = places.get(design);
  const below = y + 24 < plot.clientHeight - MARGIN.bottom;
  const anchor = x - MARGIN.left > 150 ? "end" : "start";
  const name = valueOf(byName.workload, design);
  return drawn("text", { class: "workload", x, y: below ? y + 18 : y - 10, "text-anchor": anchor }, name);
}

// Up to the next design's x nothing is better than this one: the border of what is beaten is a staircase.
function staircase(front) {
  return front.map((design, i) => {
    const [x, y] = places.get(design);
    return i === 0 ? `M${x} ${y}` : `H${x}V${y}`;
  }).join("");
}

function ringDesign() {
  const rings = [];
  chosen.pinned.forEach((design, i) => {
    if (!places.has(design)) return;
    const [cx, cy] = places.get(design);
    rings.push(drawn("circle", { class: "pin", cx, cy, r: 8 }));
    rings.push(drawn("text", { class: "number", x: cx + 9, y: cy - 7 }, String(i + 1)));
  });
  if (places.has(chosen.at)) {
    const [cx, cy] = places.get(chosen.at);
    rings.push(drawn("circle", { class: "at", cx, cy, r: 12 }));
  }
  marks.replaceChildren(...rings);
}

function nearest(event) {
  const corner = plot.getBoundingClientRect();
  const [x, y] = [event.clientX - corner.left, event.clientY - corner.top];
  let found = null;
  let least = NEAR ** 2;
  for (const [design, [cx, cy]] of places) {
    const distance = (cx - x) ** 2 + (cy - y) ** 2;
    if (distance < least) [found, least] = [design, distance];
  }
  return found;
}

function pointAt(design) {
  if (design === null || design === chosen.at) return;
  chosen.at = design;
  showDesign();
  ringDesign();
}

function byKey(event) {
  const ways = { ArrowLeft: [-1, true], ArrowRight: [1, true], ArrowDown: [-1, false], ArrowUp: [1, false] };
  const along = ways[event.key];
  if (along) {
    const [by, onFront] = along;
    const x = axisOf("x");
    const line = (onFront ? [...chosen.front] : [...places.keys()])
      .sort((a, b) => x.values[a] - x.values[b] || a - b);
    const place = line.indexOf(chosen.at);
    pointAt(line[place < 0 ? 0 : Math.min(line.length - 1, Math.max(0, place + by))] ?? null);
  } else if ((event.key === "Enter" || event.key === " ") && places.has(chosen.at)) {
    togglePin(chosen.at);
  } else {
    return;
  }
  event.preventDefault();
}

views.push(drawScatter);
