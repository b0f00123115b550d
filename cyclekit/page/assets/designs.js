// One design in full: what it is, what was found, the command that runs it again; and the list of the pinned ones.
function showDesign() {
  const place = document.getElementById("design");
  const design = chosen.at;
  if (design === null) return;
  const hadFocus = place.contains(document.activeElement);
  const list = element("dl");
  const say = (what, value) => list.append(element("dt", {}, what), element("dd", {}, value));
  for (const dimension of dimensions) {
    const value = valueOf(dimension, design);
    if (value !== null) say(dimension.name, plain(value));
  }
  for (const quantity of quantities) {
    if (quantity.values[design] !== null) say(labelled(quantity, design), number(quantity.values[design]));
  }
  say("inputs", String(data.inputs[design]));
  const pinned = chosen.pinned.includes(design);
  const pin = element("button", { type: "button" }, pinned ? "unpin" : "pin");
  pin.addEventListener("click", () => togglePin(design));
  place.replaceChildren(list, ...commandLine(design), pin);
  if (hadFocus) pin.focus();
}

// Machines call their load balance differently.
function labelled(quantity, design) {
  const balance = data.machines[valueOf(byName.machine, design)].balance;
  return heading(quantity.name === "load_balance" ? { ...quantity, label: balance } : quantity);
}

function commandLine(design) {
  const text = command(design);
  if (!text) return [];
  const line = element("code", {}, text);
  const copy = element("button", { type: "button" }, "copy");
  copy.addEventListener("click", async () => {
    getSelection().selectAllChildren(line); // so that it can be copied by hand where the browser forbids the rest
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "copied";
    } catch {
      copy.textContent = "selected: copy it by hand";
    }
  });
  return [line, copy, " "];
}

function showPinned() {
  const items = chosen.pinned.map((design) => {
    const see = element("button", { type: "button" }, "show");
    see.addEventListener("click", () => lookAt(design));
    const away = element("button", { type: "button" }, "unpin");
    away.setAttribute("aria-label", `unpin ${shortName(design)}`);
    away.addEventListener("click", () => togglePin(design));
    return element("li", { "data-design": design }, `${shortName(design)} `, see, " ", away);
  });
  const none = element("li", { className: "none" }, "none");
  document.getElementById("pinned").replaceChildren(...(items.length ? items : [none]));
}

function lookAt(design) {
  chosen.at = design;
  showDesign();
  ringDesign();
}

views.push(showDesign, showPinned);
