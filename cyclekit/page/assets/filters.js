// Which designs are shown: one filter for each dimension that differs; where nothing is chosen all pass.
const MOST_BOXES = 16; // values of numbers beyond that are filtered by a range
const filters = differing.map((dimension) => ({
  dimension,
  ranged: dimension.numeric && dimension.values.length > MOST_BOXES,
  wanted: new Set(),
  from: null,
  to: null,
  inputs: [],
  box: null,
}));

function passes(filter, design) {
  const place = filter.dimension.of[design];
  if (!filter.ranged) return filter.wanted.size === 0 || filter.wanted.has(place);
  if (filter.from === null && filter.to === null) return true;
  const value = place < 0 ? NaN : Number(filter.dimension.values[place]);
  return value >= (filter.from ?? -Infinity) && value <= (filter.to ?? Infinity);
}

function isOn(filter) {
  return filter.wanted.size > 0 || filter.from !== null || filter.to !== null;
}

function applyFilters() {
  chosen.shown = [];
  for (let design = 0; design < data.n; design += 1) {
    if (filters.every((filter) => passes(filter, design))) chosen.shown.push(design);
  }
  for (const filter of filters) {
    const has = chosen.shown.some((design) => filter.dimension.of[design] >= 0);
    filter.box.hidden = !has && !isOn(filter); // a field of other machines
  }
  const of = chosen.shown.length === data.n ? "All" : `${chosen.shown.length.toLocaleString("en")} of`;
  document.getElementById("count").textContent = `${of} ${data.n.toLocaleString("en")} designs are shown.`;
  update();
}

// A click on a value in the table: show only designs with that value, or, where it is the only one wanted, all again.
function filterBy(dimension, place) {
  const filter = filters.find((candidate) => candidate.dimension === dimension);
  if (filter.ranged) {
    const value = Number(dimension.values[place]);
    const alone = filter.from === value && filter.to === value;
    filter.from = filter.to = alone ? null : value;
    for (const input of filter.inputs) input.value = alone ? "" : value;
  } else {
    const alone = filter.wanted.size === 1 && filter.wanted.has(place);
    filter.wanted = new Set(alone ? [] : [place]);
    filter.inputs.forEach((input, i) => { input.checked = filter.wanted.has(i); });
  }
  applyFilters();
}

function showAll() {
  for (const filter of filters) {
    filter.wanted.clear();
    filter.from = filter.to = null;
    for (const input of filter.inputs) {
      if (filter.ranged) input.value = "";
      else input.checked = false;
    }
  }
  applyFilters();
}

function boxes(filter) {
  return filter.dimension.values.map((value, place) => {
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      if (box.checked) filter.wanted.add(place);
      else filter.wanted.delete(place);
      applyFilters();
    });
    filter.inputs.push(box);
    return element("label", {}, box, plain(value));
  });
}

function range(filter) {
  const values = filter.dimension.values;
  return ["from", "to"].map((end) => {
    const input = element("input", { type: "number", step: "any" });
    input.placeholder = end === "from" ? values[0] : values[values.length - 1];
    input.addEventListener("input", () => {
      filter[end] = input.value === "" ? null : input.valueAsNumber;
      applyFilters();
    });
    filter.inputs.push(input);
    return element("label", {}, `${end} `, input);
  });
}

function makeFilters() {
  const form = document.getElementById("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("all").addEventListener("click", showAll);
  for (const filter of filters) {
    const inputs = element("div", {}, ...(filter.ranged ? range(filter) : boxes(filter)));
    const legend = element("legend", {}, filter.dimension.name);
    filter.box = element("fieldset", { "data-field": filter.dimension.name }, legend, inputs);
    form.append(filter.box);
  }
}
