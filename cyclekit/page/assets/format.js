// How things are written and made: numbers, names, elements of the page; a text is never taken for HTML.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// Four digits, or all digits before the point.
function number(value) {
  if (value === null) return "";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

function heading(axis) {
  return axis.unit ? `${axis.label} [${axis.unit}]` : axis.label;
}

function plain(value) {
  return value === null ? "" : String(value);
}

// What sets a design apart from the others: the values of these dimensions that differ between them.
function shortName(design, among = differing) {
  const parts = among.filter((dimension) => tells(dimension, design)).map((dimension) => {
    const value = valueOf(dimension, design);
    return dimension.differs_in && dimension !== byName.preset ? `${dimension.name}=${value}` : value;
  });
  return parts.join(" ") || "the one design";
}

// The command that runs a design again: the preset that it differs least from, and the fields that differ.
function command(design) {
  const name = valueOf(byName.machine, design);
  const machine = data.machines[name];
  const called = byName.preset ? valueOf(byName.preset, design) : null; // it says what is in neither of the others
  const fields = { ...(machine.presets[called] ?? {}), ...machine.spec };
  for (const dimension of dimensions) {
    const isField = dimension.differs_in && dimension !== byName.preset;
    if (isField && dimension.of[design] >= 0) fields[dimension.name] = valueOf(dimension, design);
  }
  const differences = Object.entries(machine.presets).map(([preset, spec]) => ({
    preset,
    changes: Object.keys(fields).filter((field) => fields[field] !== spec[field]),
  }));
  if (differences.length === 0) return "";
  const least = differences.reduce((a, b) => (b.changes.length < a.changes.length ? b : a));
  const workload = valueOf(byName.workload, design);
  const preset = least === differences[0] ? "" : `:${least.preset}`;
  const words = ["zeroskip", "run", name + preset, ...(data.asked[workload] ?? [workload])];
  const engine = valueOf(byName.engine, design);
  if (engine !== machine.engine) words.push("--engine", engine);
  if (!machine.batched) words.push("--inputs", String(data.inputs[design]));
  for (const field of least.changes) words.push("--set", `${field}=${fields[field]}`);
  if (data.prices !== null && quantities.some((q) => q.name === "energy_nj" && q.values[design] !== null)) {
    words.push("--prices", data.prices);
  }
  return words.map(quoted).join(" ");
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

function select(id, options, value) {
  const made = document.getElementById(id);
  made.replaceChildren(...options.map(([name, text]) => element("option", { value: name }, text)));
  made.value = value;
  return made;
}

// A swatch, its colour set as a property: the page's policy forbids styles in attributes.
function swatch(colour, text) {
  const box = element("i");
  box.style.background = colour;
  return element("span", {}, box, text);
}
