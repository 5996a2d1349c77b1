// The table: Tabulator with cells made of text, filters in molgen's words, downloads of what is shown.

let table = null;
let query = "", members = null;  // the search; rows of the chosen group, with its name
const PICTURE = [150, 96];

/** The title of a column, text and never markup: a button, so that Enter sorts. */
const title = text => () => element("button", { type: "button", class: "sort", title: text, text });

function cell(column) {
  if (column.kind === "structure") return cell => {
    const value = cell.getValue();
    return value === null ? element("span", { class: "none", text: "–" }) : structure(value, ...PICTURE);
  };
  if (column.kind === "number") return cell => element("span", { text: number(cell.getValue(), column.digits) });
  if (column.kind === "flag") return cell => element("span", { text: cell.getValue() === null ? "–" : cell.getValue() ? "yes" : "no" });
  return cell => element("span", { class: "words", text: cellText(column, cell.getData().id) });
}

/** Whether a cell passes what is written above its column. */
function passes(column, text, row) {
  const wanted = text.trim();
  if (!wanted) return true;
  const value = column.values[row];
  if (column.kind === "number") {
    const inside = range(wanted);
    return inside === null || inside(value);
  }
  if (column.kind === "flag") return value !== null && (value ? "yes" : "no").startsWith(wanted.toLowerCase());
  return cellText(column, row).toLowerCase().includes(wanted.toLowerCase());
}

/** Call a function with the value of an input, a moment after the last change. */
function changed(input, apply) {
  let waiting = 0;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    document.documentElement.dataset.pending = "yes";
    waiting = setTimeout(() => {
      apply(input.value);
      delete document.documentElement.dataset.pending;
    }, 250);
  });
}

/** The filter above a column; the table's own would miss what is pasted. */
const filterInput = label => (cell, _, apply) => {
  const input = element("input", { type: "search", "aria-label": label });
  input.value = cell.getValue() ?? "";
  changed(input, apply);
  for (const kind of ["click", "mousedown", "keydown"]) input.addEventListener(kind, event => event.stopPropagation());
  return input;
};

function columnOf(column, index) {
  const numeric = column.kind === "number";
  const placeholder = numeric ? "2..3" : column.kind === "flag" ? "yes" : "contains";
  return {
    title: column.name, field: `c${index}`, titleFormatter: title(words(column.name)), formatter: cell(column),
    headerFilter: filterInput(`filter ${words(column.name)}`), headerFilterPlaceholder: placeholder,
    headerFilterFunc: (wanted, _, row) => passes(column, wanted, row.id),
    sorter: numeric || column.kind === "flag" ? "number" : (a, b, first, second) =>
      cellText(column, first.getData().id).localeCompare(cellText(column, second.getData().id)),
    sorterParams: { alignEmptyValues: "bottom" }, hozAlign: numeric ? "right" : "left", vertAlign: "middle",
    cssClass: column.kind, minWidth: column.kind === "structure" ? PICTURE[0] + 16 : 84,
    width: column.kind === "structure" ? PICTURE[0] + 16 : numeric ? Math.max(innerWidth < 700 ? 84 : 96, 9 * column.name.length + 40) : undefined,
    maxInitialWidth: 260, visible: !column.aside,
    headerSortStartingDir: numeric ? (data.axes.find(axis => axis.name === column.name)?.sign === -1 ? "asc" : "desc") : "asc",
  };
}

function buildTable() {
  const narrow = innerWidth < 700;
  const rows = data.smiles.map((smiles, id) => {
    const row = { id, smiles };
    data.columns.forEach((column, i) => { row[`c${i}`] = column.values[id]; });
    return row;
  });
  const molecule = {
    title: "molecule", field: "smiles", titleFormatter: title("molecule"), frozen: !narrow || undefined,
    width: narrow ? 148 : 190, vertAlign: "middle", sorter: "string", cssClass: "molecule",
    headerFilter: filterInput("filter molecule"), headerFilterPlaceholder: "SMILES contains",
    headerFilterFunc: (wanted, value) => value.includes(wanted.trim()),
    formatter: cell => {
      const { id } = cell.getData(), index = data.molecules[id];
      return element("button", { type: "button", class: "open", "aria-label": `open ${data.smiles[id]}`, onclick: () => detail(id) },
        index === null ? element("code", { text: data.smiles[id] || "(empty)" }) : structure(index, ...PICTURE));
    },
  };
  table = new Tabulator("#table", {
    data: rows, index: "id", columns: [molecule, ...data.columns.map(columnOf)], layout: "fitDataFill",
    rowHeader: { formatter: "rowSelection", titleFormatter: "rowSelection", titleFormatterParams: { rowRange: "active" },
      headerSort: false, hozAlign: "center", vertAlign: "middle", frozen: !narrow || undefined, width: 40, resizable: false },
    pagination: true, paginationSize: narrow ? 10 : 25, paginationSizeSelector: [10, 25, 100], paginationCounter: "rows", paginationButtonCount: narrow ? 3 : 5,
    nestedFieldSeparator: false, movableColumns: !narrow, headerSortTristate: true, placeholder: "no rows pass the filters",
    columnDefaults: { resizable: "header", headerWordWrap: false },
  });
  table.on("dataFiltered", (_, kept) => show(kept.map(row => row.getData().id)));
  table.on("rowSelectionChanged", toolbarText);
  table.on("tableBuilt", () => { document.documentElement.dataset.ready = "yes"; });
}

/** The search and the chosen group: one filter of the whole table. */
function applyFilter() {
  const wanted = query.trim().toLowerCase();
  const written = data.columns.filter(column => column.kind === "text" || column.kind === "structure");
  table.setFilter(row => (members === null || members.rows.has(row.id)) && (!wanted ||
    row.smiles.toLowerCase().includes(wanted) ||
    written.some(column => cellText(column, row.id).toLowerCase().includes(wanted))));
}

/** Show the rows with one value in a column. */
function choose(column, value, name) {
  const rows = new Set();
  column.values.forEach((each, row) => { if (each === value) rows.add(row); });
  members = { rows, name };
  applyFilter();
  $("molecules").scrollIntoView({ behavior: "smooth" });
}

const selected = () => table.getSelectedData().map(row => row.id);

/** What downloads hold: the selected rows, or else the shown ones in the order of the table. */
function chosenRows() {
  const ids = new Set(selected());
  const order = table.getRows("active").map(row => row.getData().id);
  return ids.size ? [...order.filter(id => ids.has(id)), ...[...ids].filter(id => !order.includes(id))] : order;
}

function toolbar() {
  const search = element("input", { type: "search", id: "search", placeholder: "Search SMILES, names, parts", "aria-label": "search" });
  changed(search, value => { query = value; applyFilter(); });
  const boxes = data.columns.map((column, i) => {
    const box = element("input", { type: "checkbox", checked: !column.aside });
    box.addEventListener("change", () => table[box.checked ? "showColumn" : "hideColumn"](`c${i}`));
    return element("label", {}, box, words(column.name));
  });
  const clear = element("button", { type: "button", text: "Clear filters", id: "clear", onclick: () => {
    search.value = query = "";
    members = null;
    table.clearHeaderFilter();
    table.clearFilter();
    table.deselectRow();
  } });
  const save = Object.keys(FILES).map(kind => element("button", { type: "button", id: `save-${kind}`, text: kind.toUpperCase(),
    "aria-label": `download ${kind.toUpperCase()}`, onclick: () => download(kind) }));
  $("toolbar").append(search, element("details", { class: "columns" }, element("summary", { text: "Columns" }),
    element("div", { class: "list card" }, ...boxes)), clear, element("span", { class: "group", role: "group", "aria-label": "downloads" },
    element("span", { id: "saved", text: "Download" }), ...save));
  onShown(toolbarText);
}

function toolbarText() {
  const chosen = table ? selected().length : 0;
  const part = shown.length === rowCount ? `${count(rowCount)} rows` : `${count(shown.length)} of ${count(rowCount)} rows`;
  $("shown").textContent = `${part}${members ? `, ${members.name}` : ""}${chosen ? `; ${count(chosen)} selected` : ""}. ` +
    "A filter of numbers is a range: 2..3, 0.8.., ..3, or >=0.8.";
  $("saved").textContent = chosen ? `Download ${count(chosen)} selected` : `Download ${count(shown.length)}`;
}

// --- files --------------------------------------------------------------------------------------

/** Text that no spreadsheet runs as a formula; molgen's own reader removes the apostrophe. */
function defused(text) {
  const risky = /^[=+\-@\t\r\n]/.test(text) && !/^(?:[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?%?|-+)$/.test(text);
  return risky ? `'${text}` : text;
}

const quoted = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

const valid = rows => rows.filter(row => data.molecules[row] !== null);

/** The name of a row, for files that have a place for one. */
function nameOf(row) {
  const column = ["name", "title", "id", "index"].map(name => data.columns[columnNamed.get(name)]).find(found => found);
  return (column ? cellText(column, row) : String(row + 1)).replace(/\s+/g, " ").trim();
}

const FILES = {
  csv: { type: "text/csv", make: rows => {
    const exact = new Set(["status", "lead", "scaffold", "part"]);
    const lines = [["smiles", ...data.columns.map(column => defused(column.name))]];
    for (const row of rows) lines.push([data.smiles[row], ...data.columns.map(column => {
      const text = cellText(column, row);
      return column.kind === "text" && !exact.has(column.name) ? defused(text) : text;
    })]);
    return lines.map(line => line.map(quoted).join(",")).join("\n") + "\n";
  } },
  smi: { type: "text/plain", make: rows => valid(rows).map(row => `${data.smiles[row]} ${nameOf(row)}\n`).join("") },
  sdf: { type: "text/plain", make: async rows => {
    const records = [];
    for (const row of valid(rows)) {
      const lines = (await molfile(data.molecules[row])).trimEnd().split("\n");
      lines[0] = nameOf(row).slice(0, 80);
      const tags = [["smiles", data.smiles[row]], ...data.columns.map(column => [column.name, cellText(column, row)])];
      records.push(lines.join("\n") + "\n" + tags.filter(([, text]) => text !== "").map(([name, text]) =>
        `>  <${name.replace(/[<>\r\n]/g, " ")}>\n${text.replace(/[\r\n]+/g, " ")}\n\n`).join("") + "$$$$\n");
    }
    return records.join("");
  } },
};

async function download(kind) {
  const { type, make } = FILES[kind], text = await make(chosenRows());
  const url = URL.createObjectURL(new Blob([text], { type }));
  const name = data.title.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 60) || "molecules";
  const link = element("a", { href: url, download: `${name}.${kind}` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
