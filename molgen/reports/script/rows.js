// The rows of a report, and which of them are shown.

const rowCount = data.smiles.length;
const columnNamed = new Map(data.columns.map((column, i) => [column.name, i]));

/** Rows that pass the table's filters and the search, all at first. */
let shown = Array.from({ length: rowCount }, (_, i) => i);
const listeners = [];

/** Call a function whenever other rows are shown. */
function onShown(listener) { listeners.push(listener); }

function show(rows) {
  shown = rows;
  for (const listener of listeners) listener();
}

/** A value of a cell as text: what search, tips and files of text contain. */
function cellText(column, row) {
  const value = column.values[row];
  if (value === null || value === undefined) return "";
  if (column.kind === "structure") return data.structures.smiles[value];
  return String(value);
}

/** A mean of a column: of whole numbers with two digits. */
const meanText = (value, column) => number(value, column.digits || 2);

/** Read a filter of numbers as molgen writes targets: 0.8, >=0.8, 0.8.., ..3, 2..3. */
function range(text) {
  const word = text.trim().replace(/[≥≤]/g, sign => sign === "≥" ? ">=" : "<=");
  const bound = word.match(/^([<>])(=?)\s*(.+)$/);
  const [low, high] = bound
    ? bound[1] === ">" ? [bound[3], ""] : ["", bound[3]]
    : word.includes("..") ? word.split("..") : [word, word];
  const least = low.trim() === "" ? -Infinity : Number(low), most = high.trim() === "" ? Infinity : Number(high);
  if (Number.isNaN(least) || Number.isNaN(most)) return null;
  const strict = bound && !bound[2];
  return value => value !== null && (strict ? value > least && value < most : value >= least && value <= most);
}
