// Cards: a molecule in full, the diverse subset, scaffolds and parts at attachment points.

/** The mean of a column over rows, null where none has a value. */
function meanOf(column, rows) {
  const known = rows.map(row => column.values[row]).filter(value => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

/** Open a molecule: its structure, all of its values, and its nearest training molecule. */
function detail(row) {
  const box = $("detail"), index = data.molecules[row];
  const pictures = data.columns.filter(column => column.kind === "structure" && column.values[row] !== null);
  const values = data.columns.filter(column => column.kind !== "structure" && cellText(column, row) !== "");
  box.replaceChildren(
    element("form", { method: "dialog" }, element("h2", { id: "detail-title", text: `Row ${count(row + 1)}` }),
      element("button", { "aria-label": "close", class: "close", text: "✕", autofocus: true })),
    ...(index === null ? [] : [structure(index, 360, 230)]),
    element("p", { class: "smiles" }, element("code", { text: data.smiles[row] || "(empty)" }), copyButton(data.smiles[row])),
    element("dl", {}, ...values.flatMap(column => [element("dt", { text: words(column.name) }),
      element("dd", { text: column.kind === "number" ? number(column.values[row], column.digits)
        : column.kind === "flag" ? (column.values[row] ? "yes" : "no") : cellText(column, row) })])),
    element("div", { class: "wall" }, ...pictures.map(column => element("div", { class: "tile" }, structure(column.values[row], 170, 110),
      element("b", { text: column.name === "nearest" && data.reference ? `nearest in ${data.reference}` : words(column.name) })))));
  hideTip();
  if (!box.open) box.showModal();
}

/** Tiles in a wall, the first rows of it and a button for the rest. */
function cards(tiles) {
  const few = innerWidth < 700 ? 6 : 14, hidden = tiles.slice(few);
  const wall = element("div", { class: "wall" }, ...tiles);
  if (hidden.length < 2) return [wall];
  for (const tile of hidden) tile.classList.add("later");
  const all = element("button", { type: "button", class: "all", text: `Show all ${tiles.length}`, onclick: () => {
    for (const tile of hidden) tile.classList.remove("later");
    hidden[0].focus();
    all.remove();
  } });
  return [wall, all];
}

function wall() {
  if (!data.diverse.length) return;
  $("diverse").hidden = false;
  $("diverse-note").textContent = data.diverse.length < new Set(data.molecules.filter(m => m !== null)).size
    ? `${data.diverse.length} molecules far from each other, chosen by MaxMin on Morgan fingerprints; the first is the first row.`
    : `All ${data.diverse.length} distinct molecules.`;
  const names = data.axes.slice(0, 2).map(axis => data.columns[columnNamed.get(axis.name)]);
  $("diverse-wall").replaceWith(...cards(data.diverse.map(row => element("button", { type: "button", class: "tile",
    "aria-label": `open ${data.smiles[row]}`, onclick: () => detail(row) }, ...(data.molecules[row] === null
    ? [element("code", { text: data.smiles[row] })] : [structure(data.molecules[row], 190, 125)]),
  ...names.map(column => element("span", { text: `${words(column.name)} ${number(column.values[row], column.digits)}` }))))));
}

function groups() {
  if (!data.groups.length) return;
  $("groups").hidden = false;
  const first = data.axes.length ? data.columns[columnNamed.get(data.axes[0].name)] : null;
  for (const group of data.groups) {
    const column = data.columns[group.column], rows = new Map(group.top.map(([value]) => [value, []]));
    column.values.forEach((value, row) => rows.get(value)?.push(row));
    const tiles = group.top.map(([value, size]) => {
      const smiles = data.structures.smiles[value];
      return element("button", { type: "button", class: "tile", "aria-label": `show the rows with ${smiles}`,
        onclick: () => choose(column, value, `${words(column.name)} ${smiles}`) }, structure(value, 170, 110),
      element("b", { text: `${count(size)} ${size === 1 ? "row" : "rows"}` }),
      ...(first ? [element("span", { text: `mean ${words(first.name)} ${meanText(meanOf(first, rows.get(value)), first)}` })] : []));
    });
    const more = group.distinct - group.top.length;
    $("group-lists").append(element("h3", { text: group.title }),
      element("p", { class: "note", text: `${count(group.distinct)} different ones in ${count(group.rows)} rows` +
        `${more > 0 ? `; the ${group.top.length} most frequent are shown` : ""}. Choose one to filter the table.` }),
      ...cards(tiles));
  }
}
