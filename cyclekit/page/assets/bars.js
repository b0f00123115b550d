// Parts of a whole as stacked bars, one a design: the cycles of a kind of unit by state, the energy by module.
const MOST_BARS = 40;
const N_COLOURS = { state: 14, series: 9 }; // as the figures have them

function makeBars() {
  const along = differing.filter((dimension) => dimension.values.length <= MOST_BARS);
  const each = along.map((dimension) => [dimension.name, `the fastest for each ${dimension.name}`]);
  const first = along.find((dimension) => dimension.numeric) ?? along[0];
  select("bar-designs", [["pinned", "the pinned ones"], ["shown", "all shown"], ...each], first?.name ?? "shown")
    .addEventListener("change", update);
  for (const what of ["cycles", "energy"]) {
    const parts = data.parts.filter((candidate) => candidate.what === what);
    const place = document.getElementById(what);
    if (!parts.length) {
      place.append(element("p", { className: "help" }, `No ${what} by part: no design has any.`));
      continue;
    }
    const options = parts.map((one, i) => element("option", { value: i }, one.label));
    const kind = element("select", { id: `${what}-kind` }, ...options);
    kind.setAttribute("aria-label", `${what} of what`);
    kind.addEventListener("change", update);
    const chart = element("div");
    place.append(element("div", { className: "controls" }, kind), chart);
    views.push(() => {
      const has = (one) => barred.some((design) => one.shares[design]);
      if (!has(parts[kind.value]) && parts.some(has)) kind.value = parts.findIndex(has); // of another machine
      drawBars(chart, parts[kind.value]);
    });
  }
  views.unshift(chooseBars);
}

let barred = [];

// Which designs have bars: pinned ones, all shown, or for each value of a dimension the fastest shown, per workload.
function chooseBars() {
  const by = document.getElementById("bar-designs").value;
  const help = document.getElementById("bar-help");
  let designs = by === "pinned" ? chosen.pinned : chosen.shown;
  if (by in byName) {
    const time = axes.find((axis) => axis.name === "time_us");
    const fastest = new Map();
    for (const design of chosen.shown) {
      if (byName[by].of[design] < 0) continue;
      const key = `${byName.machine.of[design]} ${byName.workload.of[design]} ${byName[by].of[design]}`;
      if (!fastest.has(key) || time.values[design] < time.values[fastest.get(key)]) fastest.set(key, design);
    }
    const keys = ["machine", "workload", by];
    designs = [...fastest.values()].sort((a, b) => {
      const apart = keys.find((key) => byName[key].of[a] !== byName[key].of[b]);
      return apart ? byName[apart].of[a] - byName[apart].of[b] : 0;
    });
  }
  barred = designs;
  const none = { pinned: "No design is pinned.", shown: "No design is shown." }[by] ?? `No design shown has ${by}.`;
  const which = by in byName ? "Of each workload and machine, among the designs shown. " : "";
  help.textContent = designs.length ? `${which}The bars are shares of the whole, which stands behind them.` : none;
}

function drawBars(place, parts) {
  const having = barred.filter((design) => parts.shares[design]);
  const drawnOnes = having.slice(0, MOST_BARS);
  const whole = quantities.find((quantity) => quantity.name === parts.whole);
  const used = parts.names.map((_, i) => i).filter((i) => drawnOnes.some((design) => parts.shares[design][i] > 0));
  const apart = differing.filter((dimension) => new Set(drawnOnes.map((design) => dimension.of[design])).size > 1);
  const bars = element("div", { className: "bars", role: "img" });
  bars.setAttribute("aria-label", `${parts.label}, stacked bars; the table below has the same`);
  for (const design of drawnOnes) {
    const bar = element("div", { className: "bar", "data-design": design });
    for (const i of used) {
      const piece = element("i", { title: `${parts.names[i]} ${percent(parts.shares[design][i])}` });
      piece.style.width = `${100 * parts.shares[design][i]}%`;
      piece.style.background = colourOf(parts, i);
      bar.append(piece);
    }
    const total = `${number(whole.values[design])} ${whole.unit || whole.label}`;
    bars.append(element("span", {}, barName(design, apart)), bar, element("span", {}, total));
  }
  const swatches = used.map((i) => swatch(colourOf(parts, i), parts.names[i]));
  const legend = element("div", { className: "legend" }, ...swatches);
  const left = having.length - drawnOnes.length;
  const said = left ? `The first ${MOST_BARS} of ${having.length} designs: filter, or pin those that you want.` : "";
  const empty = having.length || !barred.length ? said : "None of these designs has this.";
  place.replaceChildren(legend, bars, ...(empty ? [element("p", { className: "help" }, empty)] : []),
    ...(having.length ? [sharesTable(drawnOnes, parts, used)] : []));
}

function sharesTable(designs, parts, used) {
  const heads = ["design", ...used.map((i) => `${parts.names[i]} [%]`)];
  const rows = designs.map((design) => element("tr", {}, element("td", { className: "text" }, shortName(design)),
    ...used.map((i) => element("td", {}, (100 * parts.shares[design][i]).toFixed(2)))));
  const table = element("table", {}, element("thead", {}, element("tr", {},
    ...heads.map((head, i) => element("th", { className: i ? "" : "text" }, head)))), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, "as a table"), element("div", { className: "scroll" }, table));
}

function barName(design, apart) {
  const pin = chosen.pinned.indexOf(design);
  return `${pin < 0 ? "" : `${pin + 1}: `}${shortName(design, apart)}`;
}

function colourOf(parts, i) {
  const of = parts.what === "cycles" ? "state" : "series";
  return `var(--${of}${parts.colours[i] % N_COLOURS[of]})`;
}

function percent(share) {
  return `${(100 * share).toFixed(2)} %`;
}
