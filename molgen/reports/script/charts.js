// Charts: small SVGs that follow the filters of the table.

/** A path of the tops of bins, from the base line and back. */
function outline(parts, x, y, edges) {
  let path = `M${x(edges[0])} ${y(0)}`;
  parts.forEach((part, i) => { path += `V${y(part).toFixed(1)}H${x(edges[i + 1]).toFixed(1)}`; });
  return path + `V${y(0)}`;
}

const EDGE = { left: 8, right: 8, top: 8, bottom: 20 };

function histogram(entry) {
  const column = data.columns[columnNamed.get(entry.name)], { edges } = entry;
  const [WIDE, TALL] = innerWidth < 700 ? [165, 112] : [300, 158];
  const counts = new Array(edges.length - 1).fill(0);
  const low = edges[0], width = (edges.at(-1) - low) / counts.length;
  let sum = 0, known = 0;
  for (const row of shown) {
    const value = column.values[row];
    if (value === null) continue;
    known++;
    sum += value;
    counts[Math.max(0, Math.min(counts.length - 1, Math.floor((value - low) / width)))]++;
  }
  const parts = counts.map(count => known ? count / known : 0);
  const top = Math.max(...parts, ...(entry.training ?? []), 1e-9);
  const x = value => EDGE.left + (value - low) / (edges.at(-1) - low) * (WIDE - EDGE.left - EDGE.right);
  const y = part => TALL - EDGE.bottom - part / top * (TALL - EDGE.top - EDGE.bottom);
  const mean = known ? sum / known : null;
  const summary = `${words(entry.name)}: mean ${meanText(mean, column)} of ${count(known)} molecules` +
    (entry.training ? `, ${meanText(entry.mean, column)} in the ${data.trained ? "training set" : "reference"}` : "");
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": summary });
  if (entry.target) {
    const from = x(Math.max(low, entry.target[0] ?? low)), to = x(Math.min(edges.at(-1), entry.target[1] ?? edges.at(-1)));
    if (to >= from) picture.append(svg("rect", { x: from, y: EDGE.top, width: Math.max(1.5, to - from), height: TALL - EDGE.top - EDGE.bottom, class: "target" }));
  }
  picture.append(svg("path", { d: outline(parts, x, y, edges) + "Z", class: "here" }));
  if (entry.training) picture.append(svg("path", { d: outline(entry.training, x, y, edges), class: "there" }));
  picture.append(svg("path", { d: `M${EDGE.left} ${y(0)}H${WIDE - EDGE.right}`, class: "axis" }));
  const marks = ticks(low, edges.at(-1), WIDE / 60), digits = digitsOf(marks);
  for (const value of marks) {
    const px = x(value), side = px < 14 ? " start" : px > WIDE - 14 ? " end" : "";
    picture.append(svg("text", { x: px, y: TALL - 6, class: `tick${side}` }, number(value, digits)));
  }
  return element("figure", {}, picture, element("figcaption", {},
    element("b", { text: words(entry.name) }),
    element("span", { class: "here-text", text: `mean ${meanText(mean, column)}` }),
    ...(entry.training ? [element("span", { class: "there-text", text: `${data.trained ? "training" : "reference"} ${meanText(entry.mean, column)}` })] : []),
    ...(column.goal ? [element("span", { class: "goal", text: `goal: ${column.goal}` })] : [])));
}

function histograms() {
  $("histograms").replaceChildren(...data.histograms.map(histogram));
}

/** Mark the rows that no other row dominates, in order of x. */
function frontier(rows, x, y, signs) {
  const order = [...rows].sort((a, b) => signs[0] * (x[b] - x[a]) || signs[1] * (y[b] - y[a]));
  const found = [];
  let best = -Infinity;
  for (const row of order) if (signs[1] * y[row] > best) { best = signs[1] * y[row]; found.push(row); }
  return found;
}

const chart = { axes: [0, 1], signs: [1, 1], points: [], at: -1 };

/** The chart's controls: two axes, and which end of each is better. */
function chartControls() {
  const box = $("chart-controls");
  chart.axes = [0, Math.min(1, data.axes.length - 1)];
  chart.signs = chart.axes.map(i => data.axes[i].sign);
  ["horizontal", "vertical"].forEach((name, side) => {
    const axis = element("select", { "aria-label": `${name} axis` },
      ...data.axes.map((each, i) => element("option", { value: i, text: words(each.name), selected: i === chart.axes[side] })));
    const better = element("select", { "aria-label": `${name} axis: which end is better` },
      element("option", { value: 1, text: "higher is better" }), element("option", { value: -1, text: "lower is better" }));
    better.value = chart.signs[side];
    axis.addEventListener("change", () => {
      chart.axes[side] = Number(axis.value);
      chart.signs[side] = data.axes[axis.value].sign;
      better.value = chart.signs[side];
      scatter();
    });
    better.addEventListener("change", () => { chart.signs[side] = Number(better.value); scatter(); });
    box.append(element("label", {}, element("span", { text: name }), axis, better));
  });
}

function scatter() {
  const box = $("scatter"), size = [box.clientWidth, box.clientWidth < 600 ? 340 : 440];
  if (!size[0]) return;
  const [h, v] = chart.axes.map(i => data.columns[columnNamed.get(data.axes[i].name)]);
  const rows = shown.filter(row => h.values[row] !== null && v.values[row] !== null);
  const picture = svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, class: "plot", tabindex: 0, role: "application",
    "aria-label": `${words(v.name)} against ${words(h.name)}: arrow keys move along the frontier, Enter opens a molecule` });
  const every = values => values.filter(value => value !== null);
  const scale = frame(picture, size, [extent(every(h.values)), extent(every(v.values))], [words(h.name), words(v.name)]);
  const front = frontier(rows, h.values, v.values, chart.signs), marked = new Set(front);
  const place = row => [scale.x(h.values[row]), scale.y(v.values[row])];
  chart.points = rows.map(row => [row, ...place(row)]);
  chart.front = front;
  picture.append(svg("path", { d: dots(rows.filter(row => !marked.has(row)).map(place)), class: rows.length > 400 ? "dots many" : "dots" }));
  picture.append(svg("path", { class: "front-line", d: front.map(place).map(([px, py], i) =>
    i ? `H${px.toFixed(1)}V${py.toFixed(1)}` : `M${px.toFixed(1)} ${py.toFixed(1)}`).join("") }));
  picture.append(svg("path", { d: front.map(place).map(([px, py]) =>
    `M${(px - 5).toFixed(1)} ${py.toFixed(1)}l5 -5l5 5l-5 5Z`).join(""), class: "front" }));
  const ring = svg("circle", { r: 9, class: "ring", visibility: "hidden" });
  picture.append(ring);
  const move = (row, client) => {
    const [px, py] = place(row);
    ring.setAttribute("cx", px);
    ring.setAttribute("cy", py);
    ring.setAttribute("visibility", "visible");
    tip(row, client ?? screenPlace(picture, size, px, py), !client);
  };
  const leave = () => { ring.setAttribute("visibility", "hidden"); hideTip(); };
  const nearest = event => {
    const bounds = picture.getBoundingClientRect(), factor = size[0] / bounds.width;
    const px = (event.clientX - bounds.left) * factor, py = (event.clientY - bounds.top) * factor;
    let found = -1, best = 26 ** 2;
    for (const [row, qx, qy] of chart.points) {
      const distance = (px - qx) ** 2 + (py - qy) ** 2 - (marked.has(row) ? 16 : 0);
      if (distance < best) { best = distance; found = row; }
    }
    return found;
  };
  picture.addEventListener("pointermove", event => {
    const row = nearest(event);
    if (row < 0) leave(); else move(row, [event.clientX, event.clientY]);
  });
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("blur", leave);
  picture.addEventListener("click", event => { const row = nearest(event); if (row >= 0) detail(row); });
  picture.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const along = [...front].sort((a, b) => h.values[a] - h.values[b]);
    if (step && along.length) {
      chart.at = Math.max(0, Math.min(along.length - 1, chart.at + step));
      move(along[chart.at]);
      event.preventDefault();
    } else if (event.key === "Enter" && along[chart.at] !== undefined) {
      event.preventDefault();  // it would press the button that is focused next
      detail(along[chart.at]);
    }
    else if (event.key === "Escape") leave();
  });
  chart.at = -1;
  box.replaceChildren(picture);
  $("scatter-note").textContent = `${count(rows.length)} molecules; ◆ ${count(front.length)} ` +
    "of them on the frontier: no other is better in one and as good in the other. Point at a molecule for its structure, " +
    "click it for all of its values.";
}

/** Show a molecule beside a place of the screen. */
function tip(row, [x, y], byKeys) {
  const box = $("tip");
  if (box.dataset.row !== String(row)) {
    box.dataset.row = row;
    const index = data.molecules[row];
    const names = [...new Set([...chart.axes.map(i => data.axes[i].name), ...data.axes.slice(0, 4).map(a => a.name)])];
    const holder = element("div", { class: "drawing" });
    holder.style.aspectRatio = "220 / 140";
    box.replaceChildren(...(index === null ? [] : [holder]), element("dl", {}, ...names.slice(0, 5).flatMap(name => {
      const column = data.columns[columnNamed.get(name)];
      return [element("dt", { text: words(name) }), element("dd", { text: number(column.values[row], column.digits) })];
    })));
    if (index !== null) draw(holder, index, 220, 140);
  }
  placeTip(x, y, byKeys);
}

/** Scores in the order of the calls, and the best so far. */
function history() {
  const box = $("history"), found = data.history;
  if (!box || !found || !box.clientWidth) return;
  const size = [box.clientWidth, 260], sign = data.axes.find(axis => axis.name === "score")?.sign ?? 1;
  let best = -Infinity;
  const steps = found.score.map(score => (best = Math.max(best, sign * score), sign * best));
  const picture = svg("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, class: "plot", role: "img",
    "aria-label": `score over calls: best ${number(steps.at(-1), 3)} after ${count(found.calls.at(-1))} calls` });
  const scale = frame(picture, size, [extent(found.calls), extent(found.score)], ["calls", "score"]);
  picture.append(svg("path", { d: dots(found.calls.map((call, i) => [scale.x(call), scale.y(found.score[i])])), class: "dots" }));
  picture.append(svg("path", { class: "best", d: found.calls.map((call, i) =>
    i ? `H${scale.x(call).toFixed(1)}V${scale.y(steps[i]).toFixed(1)}` : `M${scale.x(call).toFixed(1)} ${scale.y(steps[0]).toFixed(1)}`).join("") }));
  box.replaceChildren(picture, element("p", { class: "note", text: "Line: the best score so far." }));
}
