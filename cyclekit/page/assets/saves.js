// What can be saved: each figure as SVG or PNG, as it is shown, or its numbers as CSV, and the designs of the table.
const PNG_SCALE = 2; // of the figure's own size

function makeSaves() {
  for (const figure of document.querySelectorAll("#figures figure")) {
    const name = figure.dataset.name;
    const buttons = ["SVG", "PNG"].map((kind) => {
      const button = element("button", { type: "button" }, kind);
      button.addEventListener("click", () => (kind === "SVG" ? saveSvg : savePng)(shownImage(figure), name));
      return button;
    });
    const numbers = figure.querySelector("script");
    if (numbers !== null) {
      const button = element("button", { type: "button" }, "CSV");
      const text = JSON.parse(numbers.textContent);
      button.addEventListener("click", () => save(new Blob([text], { type: "text/csv" }), `${name}.csv`));
      buttons.push(button);
    }
    figure.append(element("p", { className: "saves" }, "save as ", ...buttons));
  }
  document.getElementById("csv").addEventListener("click", () => save(csv(), "designs.csv"));
}

// Of a figure's two themes the one that the reader sees.
function shownImage(figure) {
  return [...figure.querySelectorAll("img")].find((image) => image.offsetParent !== null);
}

function saveSvg(image, name) {
  const bytes = Uint8Array.from(atob(image.src.split(",")[1]), (letter) => letter.charCodeAt(0));
  save(new Blob([bytes], { type: "image/svg+xml" }), `${name}.svg`);
}

function savePng(image, name) {
  const canvas = element("canvas", { width: PNG_SCALE * image.naturalWidth, height: PNG_SCALE * image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");
}

function csv() {
  const lines = [tableColumns.map(({ dimension, quantity }) => (dimension ? dimension.name : heading(quantity)))];
  for (const design of rowsOfTable()) {
    lines.push(tableColumns.map(({ dimension, quantity }) =>
      (dimension ? valueOf(dimension, design) : quantity.values[design]) ?? ""));
  }
  const text = lines.map((cells) => cells.map(field).join(",")).join("\r\n"); // RFC 4180
  return new Blob([text, "\r\n"], { type: "text/csv" });
}

function field(cell) {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may still be at it
}
