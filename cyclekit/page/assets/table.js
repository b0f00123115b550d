// All designs as a table: sorted by a click on a heading, filtered by a click on a value, a page at a time.
const N_ROWS = 50; // of a page
const table = document.getElementById("table");
const tableColumns = [
  ...differing.map((dimension) => ({ dimension })),
  ...quantities.map((quantity) => ({ quantity })),
];
let firstRow = 0;
let hiddenColumns = new Set(); // those that none of the designs shown has anything in

function makeTable() {
  const heads = tableColumns.map((column) => {
    const of = column.dimension ?? column.quantity;
    const button = element("button", { type: "button" }, column.dimension ? of.name : heading(of));
    button.addEventListener("click", () => {
      chosen.sort = { name: of.name, down: chosen.sort.name === of.name && !chosen.sort.down };
      firstRow = 0;
      drawTable();
    });
    const text = column.dimension && !column.dimension.numeric;
    return element("th", { scope: "col", className: text ? "text" : "", "data-column": of.name }, button);
  });
  table.tHead.append(element("tr", {}, element("th", { scope: "col", className: "text" }, "pin"), ...heads));
  document.getElementById("rows").addEventListener("change", restart);
  document.getElementById("before").addEventListener("click", () => turn(-N_ROWS));
  document.getElementById("after").addEventListener("click", () => turn(N_ROWS));
}

function restart() {
  firstRow = 0;
  drawTable();
}

function turn(by) {
  firstRow += by;
  drawTable();
}

function rowsOfTable() {
  const which = chosen[document.getElementById("rows").value]; // shown, front or pinned
  const { name, down } = chosen.sort;
  const column = tableColumns.find((one) => (one.dimension ?? one.quantity).name === name);
  if (!column) return which;
  const key = column.dimension ? column.dimension.of : column.quantity.values;
  const sign = down ? -1 : 1;
  return [...which].sort((a, b) => missing(column, a) - missing(column, b) || sign * (key[a] - key[b]) || a - b);
}

function missing({ dimension, quantity }, design) {
  return dimension ? dimension.of[design] < 0 : quantity.values[design] === null;
}

function drawTable() {
  const rows = rowsOfTable();
  firstRow = Math.max(0, Math.min(firstRow, Math.floor((rows.length - 1) / N_ROWS) * N_ROWS));
  const end = Math.min(rows.length, firstRow + N_ROWS);
  const isEmpty = (column) => rows.length > 0 && rows.every((design) => missing(column, design));
  hiddenColumns = new Set(tableColumns.filter(isEmpty));
  table.tBodies[0].replaceChildren(...rows.slice(firstRow, end).map(rowOf));
  for (const [i, head] of table.tHead.querySelectorAll("[data-column]").entries()) {
    head.hidden = hiddenColumns.has(tableColumns[i]);
    const sorted = head.dataset.column === chosen.sort.name;
    head.setAttribute("aria-sort", sorted ? (chosen.sort.down ? "descending" : "ascending") : "none");
  }
  document.getElementById("page").textContent = rows.length
    ? `${firstRow + 1} to ${end} of ${rows.length.toLocaleString("en")}` : "none";
  document.getElementById("before").disabled = firstRow === 0;
  document.getElementById("after").disabled = end === rows.length;
}

function rowOf(design) {
  const pinned = chosen.pinned.includes(design);
  const box = element("input", { type: "checkbox", checked: pinned });
  box.setAttribute("aria-label", `pin ${shortName(design)}`);
  box.addEventListener("change", () => {
    chosen.at = design;
    togglePin(design);
    table.querySelector(`tr[data-design="${design}"] input`)?.focus();
  });
  const cells = tableColumns.filter((column) => !hiddenColumns.has(column)).map(({ dimension, quantity }) => {
    if (quantity) return element("td", {}, number(quantity.values[design]));
    const value = valueOf(dimension, design);
    const cell = element("td", { className: dimension.numeric ? "" : "text" });
    if (value === null) return cell;
    const button = element("button", { type: "button" }, plain(value));
    button.addEventListener("click", () => filterBy(dimension, dimension.of[design]));
    cell.append(button);
    return cell;
  });
  return element("tr", { className: pinned ? "pinned" : "", "data-design": design },
    element("td", { className: "text" }, box), ...cells);
}

views.push(drawTable);
