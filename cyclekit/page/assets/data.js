// What the page holds: designs by number, their dimensions (what they are) and their quantities (what was found).
const data = JSON.parse(document.getElementById("data").textContent);
const dimensions = data.dimensions;
const byName = Object.fromEntries(dimensions.map((dimension) => [dimension.name, dimension]));
const differing = dimensions.filter((dimension) => dimension.values.length > 1);
// On an axis: a quantity that some design has, or a dimension of numbers, of which less is better.
const axes = [
  ...data.quantities.filter((quantity) => quantity.values.some((value) => value !== null)),
  ...differing.filter((dimension) => dimension.numeric).map((dimension) => ({
    name: dimension.name,
    label: dimension.name,
    unit: "",
    less: true,
    values: dimension.of.map((place) => (place < 0 ? null : Number(dimension.values[place]))),
  })),
];
const quantities = axes.filter((axis) => !(axis.name in byName));

// What the user has chosen, which all views share; whoever changes it calls update().
const chosen = { shown: [], front: [], at: null, pinned: [], sort: { name: null, down: false } };
const views = [];

function update() {
  for (const draw of views) draw();
}

function valueOf(dimension, design) {
  const place = dimension.of[design];
  return place < 0 ? null : dimension.values[place];
}

// Does it tell this design from others of its machine, or its machine or workload from others?
function tells(dimension, design) {
  return dimension.differs_in?.includes(valueOf(byName.machine, design)) ?? differing.includes(dimension);
}

function togglePin(design) {
  const place = chosen.pinned.indexOf(design);
  if (place < 0) chosen.pinned.push(design);
  else chosen.pinned.splice(place, 1);
  update();
}

// The designs that no other beats in both quantities, of each workload; of equal ones all stay.
function fronts(designs, x, y) {
  const cost = (axis, design) => (axis.less ? axis.values[design] : -axis.values[design]);
  const groups = new Map();
  for (const design of designs) {
    const workload = byName.workload.of[design];
    if (!groups.has(workload)) groups.set(workload, []);
    groups.get(workload).push(design);
  }
  return [...groups.values()].map((group) => {
    group.sort((a, b) => cost(x, a) - cost(x, b) || cost(y, a) - cost(y, b) || a - b);
    let last = null;
    return group.filter((design) => {
      const beaten = last !== null && cost(y, design) >= cost(y, last);
      const equal = beaten && cost(y, design) === cost(y, last) && cost(x, design) === cost(x, last);
      if (!beaten) last = design;
      return !beaten || equal;
    });
  });
}
