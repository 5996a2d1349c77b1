// Structures: blocks of molfiles are unpacked when one of them comes into view, and drawn as SVG.

const BLOCK = 100;
const blocks = new Map();
const BOND = 22;  // pixels at most
const LETTER = 0.46;  // size of a label, in bonds
const ORGANIC = new Set(["C", "N", "O", "F", "P", "S", "Cl", "Br", "I"]);

/** The texts of a block: hydrogens of the atoms in the first line, then the molfile. */
function unpacked(index) {
  if (!blocks.has(index)) blocks.set(index, (async () => {
    const packed = Uint8Array.from(atob(data.structures.blocks[index]), c => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return (await new Response(stream).text()).split("$$$$\n");
  })());
  return blocks.get(index);
}

/** The molfile of a structure; empty if there is none. */
async function molfile(structure) {
  const text = (await unpacked(Math.floor(structure / BLOCK)))[structure % BLOCK];
  return text.slice(text.indexOf("\n") + 1);
}

/** Read hydrogens and a molfile (V2000, columns of fixed width); null if there is none. */
function read(text) {
  const lines = text.split("\n"), counts = lines[4] ?? "";
  if (!counts.includes("V2000")) return null;
  const atomCount = Number(counts.slice(0, 3)), bondCount = Number(counts.slice(3, 6));
  const atoms = lines.slice(5, 5 + atomCount).map((line, i) => ({
    x: Number(line.slice(0, 10)), y: -Number(line.slice(10, 20)), symbol: line.slice(31, 34).trim(),
    hydrogens: Number(lines[0][i]), charge: 0, isotope: 0, radical: 0, label: "", bonds: [],
  }));
  const bonds = lines.slice(5 + atomCount, 5 + atomCount + bondCount).map(line => ({
    a: Number(line.slice(0, 3)) - 1, b: Number(line.slice(3, 6)) - 1,
    order: Number(line.slice(6, 9)), stereo: Number(line.slice(9, 12)),
  }));
  for (const bond of bonds) { atoms[bond.a].bonds.push(bond); atoms[bond.b].bonds.push(bond); }
  const fields = { CHG: "charge", ISO: "isotope", RAD: "radical", RGP: "label" };
  for (const line of lines.slice(5 + atomCount + bondCount)) {
    const field = line.startsWith("M  ") ? fields[line.slice(3, 6)] : undefined;
    const pairs = field ? line.slice(9).trim().split(/\s+/).map(Number) : [];
    for (let i = 0; i + 1 < pairs.length; i += 2) atoms[pairs[i] - 1][field] = pairs[i + 1];
  }
  return { atoms, bonds };
}

/** The atoms of the smallest ring through a bond, by breadth-first search; null outside rings. */
function ring(molecule, bond) {
  const before = new Map([[bond.a, -1]]);
  for (const at of before.keys()) {
    if (at === bond.b) {
      const found = [];
      for (let i = at; i >= 0; i = before.get(i)) found.push(molecule.atoms[i]);
      return found;
    }
    for (const next of molecule.atoms[at].bonds) {
      const to = next.a === at ? next.b : next.a;
      if (next !== bond && !before.has(to)) before.set(to, at);
    }
  }
  return null;
}

const isWritten = atom => atom.symbol !== "C" || atom.charge || atom.isotope || atom.radical || !atom.bonds.length;

function reach(atoms, axis) {
  const values = atoms.map(atom => atom[axis]);
  return Math.max(...values) - Math.min(...values);
}

/** Draw a molecule into an SVG element of that size. */
function drawn(text, width, height, title) {
  const molecule = read(text);
  if (!molecule) return null;
  const { atoms, bonds } = molecule;
  const fit = (wide, tall) => Math.min(BOND, (width - 30) / Math.max(wide, 0.1), (height - 22) / Math.max(tall, 0.1));
  const extent = [reach(atoms, "x"), reach(atoms, "y")];
  if (fit(extent[1], extent[0]) > 1.1 * fit(...extent))  // a quarter turn keeps the stereochemistry
    for (const atom of atoms) [atom.x, atom.y] = [-atom.y, atom.x];
  const xs = atoms.map(a => a.x), ys = atoms.map(a => a.y);
  const low = [Math.min(...xs), Math.min(...ys)], size = [Math.max(...xs) - low[0], Math.max(...ys) - low[1]];
  const scale = fit(...size);
  const at = atom => [(atom.x - low[0] - size[0] / 2) * scale + width / 2,
    (atom.y - low[1] - size[1] / 2) * scale + height / 2];
  const font = Math.max(7.5, Math.min(13, scale * LETTER * 1.22)), lines = [], wedges = [], waves = [];
  const room = atom => isWritten(atom) ? font * 0.62 : 0;
  const line = (p, q) => lines.push(`M${p[0].toFixed(1)} ${p[1].toFixed(1)}L${q[0].toFixed(1)} ${q[1].toFixed(1)}`);
  for (const bond of bonds) {
    const a = atoms[bond.a], b = atoms[bond.b];
    const p = at(a), q = at(b), dx = q[0] - p[0], dy = q[1] - p[1], length = Math.hypot(dx, dy) || 1;
    const u = [dx / length, dy / length], n = [-u[1], u[0]];
    const from = [p[0] + u[0] * room(a), p[1] + u[1] * room(a)], to = [q[0] - u[0] * room(b), q[1] - u[1] * room(b)];
    const shifted = (point, by, along = 0) => [point[0] + n[0] * by + u[0] * along, point[1] + n[1] * by + u[1] * along];
    const gap = Math.max(2.4, scale * 0.15), half = Math.max(2, scale * 0.13);
    if (bond.order === 3) {
      for (const by of [-gap, 0, gap]) line(shifted(from, by), shifted(to, by));
    } else if (bond.order === 2 && bond.stereo === 3) {  // unknown: crossed
      line(shifted(from, gap / 2), shifted(to, -gap / 2));
      line(shifted(from, -gap / 2), shifted(to, gap / 2));
    } else if (bond.order === 2) {
      const inside = ring(molecule, bond);
      const ends = [a, b].map(atom => atom.bonds.length);
      if (!inside && (ends.includes(1) || (isWritten(a) && isWritten(b)))) {
        for (const by of [-gap / 2, gap / 2]) line(shifted(from, by), shifted(to, by));
      } else {
        const others = inside ?? bonds.filter(o => o !== bond && [o.a, o.b].some(i => i === bond.a || i === bond.b))
          .flatMap(o => [atoms[o.a], atoms[o.b]]);
        const middle = others.map(at).reduce((sum, o) => [sum[0] + o[0], sum[1] + o[1]], [0, 0])
          .map(total => total / others.length);
        const side = (middle[0] - p[0]) * n[0] + (middle[1] - p[1]) * n[1] >= 0 ? gap : -gap;
        const cut = atom => room(atom) ? 0 : gap * 0.8;
        line(from, to);
        line(shifted(from, side, cut(a)), shifted(to, side, -cut(b)));
      }
    } else if (bond.stereo === 1) {
      wedges.push([from, shifted(to, half), shifted(to, -half)].map((o, i) =>
        `${i ? "L" : "M"}${o[0].toFixed(1)} ${o[1].toFixed(1)}`).join("") + "Z");
    } else if (bond.stereo === 6) {
      const count = Math.max(4, Math.round(Math.hypot(to[0] - from[0], to[1] - from[1]) / 2.6));
      for (let i = 1; i <= count; i++) {
        const part = i / count, by = half * part;
        const point = [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part];
        line(shifted(point, by), shifted(point, -by));
      }
    } else if (bond.stereo === 4) {
      const reach = Math.hypot(to[0] - from[0], to[1] - from[1]), count = 6;
      const points = Array.from({ length: count + 1 }, (_, i) => shifted(from, i % 2 ? half * 0.8 : i && i < count ? -half * 0.8 : 0, reach * i / count));
      waves.push(points.map((o, i) => `${i ? "L" : "M"}${o[0].toFixed(1)} ${o[1].toFixed(1)}`).join(""));
    } else line(from, to);
  }
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "structure", role: "img" });
  picture.append(svg("title", {}, title));
  picture.append(svg("path", { d: lines.concat(waves).join(""), class: "bonds" }));
  if (wedges.length) picture.append(svg("path", { d: wedges.join(""), class: "wedges" }));
  for (const atom of atoms) if (isWritten(atom)) picture.append(label(atom, at, atoms, font));
  return picture;
}

/** The side of an atom with most room for hydrogens, given the directions of its bonds. */
function freeSide(directions) {
  const room = angle => Math.min(Math.PI, ...directions.map(other => Math.acos(Math.cos(angle - other))));
  const sides = [["right", room(0) + 0.2], ["left", room(Math.PI) + 0.19]];
  if (directions.length > 1) sides.push(["above", room(-Math.PI / 2)], ["below", room(Math.PI / 2)]);
  return sides.reduce((best, next) => next[1] > best[1] ? next : best)[0];
}

/** The label of an atom: isotope, symbol, hydrogens on the side with more room, charge. */
function label(atom, at, atoms, font) {
  const [x, y] = at(atom), small = font * 0.7;
  const side = freeSide(atom.bonds.map(bond => at(atoms[bond.a] === atom ? atoms[bond.b] : atoms[bond.a]))
    .map(other => Math.atan2(other[1] - y, other[0] - x)));
  const left = side === "left";
  const symbol = ["*", "R", "R#", "A"].includes(atom.symbol) ? atom.label ? `R${atom.label}` : "✱" : atom.symbol;
  const colour = ORGANIC.has(symbol) ? `var(--atom-${symbol})` : "var(--atom-C)";
  const group = svg("g", { fill: colour });
  const write = (text, size, at, up, anchor = "start") => {
    group.append(svg("text", { x: at.toFixed(1), y: (y + up).toFixed(1), "font-size": size.toFixed(1), "text-anchor": anchor }, text));
  };
  const wide = symbol.length * font * (symbol === "✱" ? 0.8 : 0.72), base = font * 0.36;
  let right = x + wide / 2, start = x - wide / 2;
  write(symbol, font, x, base, "middle");
  if (atom.hydrogens && (side === "above" || side === "below")) {
    const row = side === "above" ? base - font * 0.92 : base + font * 0.92;
    write("H", font, x, row, "middle");
    if (atom.hydrogens > 1) write(String(atom.hydrogens), small, x + font * 0.38, row + small * 0.38);
  } else if (atom.hydrogens) {
    const count = atom.hydrogens > 1 ? String(atom.hydrogens) : "", taken = font * 0.72 + count.length * small * 0.6;
    const first = left ? start - taken : right;
    write("H", font, first, base);
    if (count) write(count, small, first + font * 0.72, base + small * 0.38);
    if (left) start -= taken; else right += taken;
  }
  const charge = atom.charge ? (Math.abs(atom.charge) > 1 ? Math.abs(atom.charge) : "") + (atom.charge > 0 ? "+" : "−") : "";
  const mark = charge + (atom.radical ? "•" : "");
  if (mark) write(mark, small, left ? x + wide / 2 : right, base - font * 0.42);
  if (atom.isotope) write(String(atom.isotope), small, start, base - font * 0.42, "end");
  return group;
}

/** Fill a holder with a drawing; with its string until then, and for what cannot be drawn. */
async function draw(holder, structure, width, height) {
  const smiles = data.structures.smiles[structure];
  const text = (await unpacked(Math.floor(structure / BLOCK)).catch(() => []))[structure % BLOCK];
  const picture = text ? drawn(text, width, height, smiles) : null;
  holder.replaceChildren(picture ?? element("code", { text: smiles }));
}

/** A holder that is drawn when it comes into view. */
const inView = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) {
    inView.unobserve(entry.target);
    const { structure, width, height } = entry.target.dataset;
    draw(entry.target, Number(structure), Number(width), Number(height));
  }
}, { rootMargin: "300px" });

function structure(index, width, height) {
  const holder = element("div", { class: "drawing", "data-structure": index, "data-width": width, "data-height": height });
  holder.style.aspectRatio = `${width} / ${height}`;
  inView.observe(holder);
  return holder;
}

// Paper shows everything: what is not drawn yet is drawn before printing.
addEventListener("beforeprint", () => {
  for (const holder of document.querySelectorAll(".drawing:empty"))
    draw(holder, Number(holder.dataset.structure), Number(holder.dataset.width), Number(holder.dataset.height));
});
