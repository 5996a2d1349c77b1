// The frontier of a comparison: points of methods, the molecules of a point, hypervolumes.

const state = { convention: data.conventions[0], steps: data.steps.at(-1), published: true };
const hidden = new Set();  // labels of hidden methods
const percent = x => `${(100 * x).toFixed(1)} %`;
const spread = (mean, sd, digits) => number(mean, digits) + (sd === null ? "" : ` ± ${number(sd, digits)}`);
const RADIUS = 10;

function choice(id, values, key, label) {
  for (const value of values) $(id).append(element("button", { type: "button", "aria-pressed": String(state[key] === value),
    text: label(value), onclick: event => {
      state[key] = value;
      for (const other of $(id).children) other.setAttribute("aria-pressed", String(other === event.target));
      redraw();
    } }));
}

/** Whether a point is in the chart of a number of steps; one without steps is in every chart. */
const inChart = point => point.steps === null || point.steps === state.steps;

/** What distinguishes a point of a method: its strength, or the value of a file's column. */
const mark = point => point.value === undefined ? String(point.gamma) : point.value;

/** A point in words. */
function named(point) {
  const { label } = data.arms[point.arm];
  if (point.value === undefined) return `${label}, gamma ${point.gamma}, T = ${point.steps}`;
  return point.value === "" ? label : `${label}, ${point.value}`;
}

/** The shown points of a method, in order of gamma. */
const curve = index => data.points.filter(p => p.arm === index && inChart(p) && p[state.convention].mean !== null)
  .sort((a, b) => a.gamma - b.gamma);

const published = () => state.published ? data.published.filter(p => p.convention === state.convention && inChart(p)) : [];

function chart() {
  const box = $("scatter"), size = [box.clientWidth, box.clientWidth < 600 ? 380 : 520];
  const own = data.arms.map((arm, i) => hidden.has(arm.label) ? [] : curve(i)), other = published();
  const all = [...own.flat().map(p => p[state.convention]), ...other];
  const picture = svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, class: "plot" });
  const heights = extent(all.flatMap(f => [f.mean - (f.mean_sd ?? 0), f.mean + (f.mean_sd ?? 0)]));
  const scale = frame(picture, size, [extent(all.map(f => f.novel)), data.sign < 0 ? heights.reverse() : heights],
    [`novel of ${count(data.n)} rows (${state.convention})`, `mean ${data.property} of these molecules`]);
  const path = places => places.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");
  for (const method of data.methods) {
    const places = other.filter(p => p.method === method.name).map(p => [scale.x(p.novel), scale.y(p.mean), p]);
    if (!places.length) continue;
    picture.append(svg("path", { d: path(places), class: "published-line" }));
    for (const [x, y, p] of places) {
      const text = svg("text", { x, y: y + 6, class: "published" }, method.sign);
      text.append(svg("title", {}, `${method.name} (figures read off), gamma ${p.gamma}: ${number(p.novel)} novel, mean ${p.mean}`));
      picture.append(text);
    }
  }
  own.forEach((points, index) => {
    const { colour, file } = data.arms[index];
    const places = points.map(p => [scale.x(p[state.convention].novel), scale.y(p[state.convention].mean), p]);
    picture.append(svg("path", { d: path(places), stroke: colour, class: "curve" }));
    const bars = places.map(([x, y, p]) => {
      const { novel, novel_sd, mean, mean_sd } = p[state.convention];
      return (novel_sd ? `M${scale.x(novel - novel_sd)} ${y}H${scale.x(novel + novel_sd)}` : "") +
        (mean_sd ? `M${x} ${scale.y(mean - mean_sd)}V${scale.y(mean + mean_sd)}` : "");
    }).join("");
    picture.append(svg("path", { d: bars, stroke: colour, class: "error" }));
    for (const [x, y, point] of places) picture.append(marker(point, x, y, colour, file, picture, size));
  });
  box.replaceChildren(picture);
}

/** A point: a circle, or a square for a file, with its mark; a button for mouse and keys. */
function marker(point, x, y, colour, file, picture, size) {
  const text = mark(point), inside = text.length < 4;
  const shape = file ? svg("rect", { x: x - 9, y: y - 9, width: 18, height: 18, rx: 2, fill: colour })
    : svg("circle", { cx: x, cy: y, r: RADIUS, fill: colour });
  const group = svg("g", { class: "point", tabindex: 0, role: "button", "aria-label": named(point) }, shape,
    svg("text", { x: inside ? x : x + 14, y: y + 4, class: inside ? "mark" : "mark beside" }, text));
  const open = () => { hideTip(); list(point); };
  group.addEventListener("pointerenter", event => tip(point, event.clientX, event.clientY));
  group.addEventListener("pointerleave", hideTip);
  group.addEventListener("focus", () => tip(point, ...screenPlace(picture, size, x, y), true));
  group.addEventListener("blur", hideTip);
  group.addEventListener("click", open);
  group.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } });
  return group;
}

/** The hypervolume of every method at every number of steps, under the shown convention. */
function volumes() {
  const box = $("volumes-tables");
  $("volumes-title").textContent = `Hypervolume (${state.convention})`;
  box.replaceChildren();
  for (const [source, names] of data.volume_rows) {
    const found = data.volumes.filter(v => v.source === source && v.convention === state.convention);
    if (!names.length || (source.startsWith("published") && !published().length)) continue;
    const table = element("table", { class: "figures" }, element("tr", {}, element("th", { text: source }),
      ...data.steps.map(steps => element("th", { text: `T = ${steps}` }))));
    for (const name of names) {
      const own = source.startsWith("published") ? undefined : data.arms.find(a => a.label === name && a.file === (source === "samples"));
      const cells = data.steps.map(t => found.find(v => v.arm === name && (v.steps === t || (own && own.file))));
      const head = element("th", { scope: "row" });
      if (own) {
        const swatch = element("span", { class: own.file ? "swatch file" : "swatch" });
        swatch.style.background = own.colour;
        head.append(element("button", { type: "button", class: "method", "aria-pressed": String(!hidden.has(name)), title: "hide or show",
          onclick: () => { if (!hidden.delete(name)) hidden.add(name); redraw(); } }, swatch, name));
      } else head.append(`${data.methods.find(m => m.name === name)?.sign ?? ""} ${name}`);
      table.append(element("tr", { class: hidden.has(name) ? "aside" : null }, head,
        ...cells.map(v => element("td", { text: v ? spread(v.hypervolume, v.sd, 3) : "–" }))));
    }
    box.append(table);
  }
}

const best = point => point.molecules[state.convention].map(i => data.molecules[i]);

/** The same by another definition, such as rings_cyclomatic. */
const beside = (entry, digits) => Object.entries(entry.beside).filter(([, value]) => value !== null)
  .map(([name, value]) => ` (${name} ${number(value, digits)})`).join("");

function tip(point, x, y, byKeys = false) {
  const box = $("tip"), f = point[state.convention];
  const drawings = best(point).slice(0, 3).map(molecule => {
    const holder = element("div", { class: "drawing" });
    holder.style.aspectRatio = "110 / 80";
    draw(holder, molecule.structure, 110, 80);
    return element("div", {}, holder, element("span", { text: number(molecule.value, data.value_digits) }));
  });
  box.replaceChildren(element("b", { text: named(point) }), element("p", { class: "note", text:
    `${spread(f.novel, f.novel_sd, 0)} novel (${state.convention}), mean ${spread(f.mean, f.mean_sd, data.digits)}${beside(f, data.digits)}` }),
  element("div", { class: "three" }, ...drawings), element("p", { class: "note", text: "click to list its molecules" }));
  placeTip(x, y, byKeys);
}

/** List the molecules of a point. */
function list(point) {
  const f = point[state.convention], own = data.arms[point.arm], shown = best(point);
  const several = point.rows !== undefined, rate = f.novel / data.n;
  const figures = [
    [`novel (${state.convention})`, several ? `${count(Math.round(rate * point.rows))} of ${count(point.rows)} rows, ${percent(rate)}`
      : spread(f.novel, f.novel_sd, 0)],
    [`mean ${data.property}`, spread(f.mean, f.mean_sd, data.digits) + beside(f, data.digits)],
    ["valid", percent(f.valid)], ["unique", percent(f.unique)], ["forwards a molecule", number(point.nfe, 1)],
    ["classifier forwards", number(point.classifier_nfe, 1)],
    ["seconds a molecule", point.seconds === null ? "–" : point.seconds.toPrecision(2)],
  ];
  const part = several ? "this part of the file" : point.files.length > 1 ? `${point.files.length} draws` : "1 draw";
  const swatch = element("span", { class: own.file ? "swatch file" : "swatch" });
  swatch.style.background = own.colour;
  $("panel").replaceChildren(element("h2", {}, swatch, named(point)), element("p", {}, element("code", { text: own.words })),
    element("dl", {}, ...figures.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })])),
    element("p", { class: "note", text: `The best ${shown.length} of ${count(point.totals[state.convention])} distinct molecules that are ` +
      `novel by the ${state.convention} convention in ${part}; this page lists ${data.cap} at most. All rows: ${point.files.join(" ")}` }),
    element("div", { class: "wall" }, ...shown.map(molecule => element("div", { class: "tile" }, structure(molecule.structure, 170, 110),
      element("b", { text: number(molecule.value, data.value_digits) + beside(molecule, data.value_digits) }),
      element("span", { text: molecule.strict ? "novel" : "novel by paper only", title: molecule.strict
        ? "novel by the strict and the paper convention" : "in the training set, but written as another string" }),
      element("code", { text: molecule.smiles })))));
  if (innerWidth < 900) $("panel").scrollIntoView({ behavior: "smooth" });
}

function redraw() { volumes(); chart(); }

choice("conventions", data.conventions, "convention", name => name);
choice("steps", data.steps, "steps", steps => `T = ${steps}`);
$("published").hidden = !data.published.length;
$("published").querySelector("input").addEventListener("change", event => { state.published = event.target.checked; redraw(); });
redraw();
new ResizeObserver(chart).observe($("scatter"));
document.documentElement.dataset.ready = "yes";
