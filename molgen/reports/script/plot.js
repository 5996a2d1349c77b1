// What charts share: axes, dots, and the tip beside a point.

/** Axes with ticks and titles in an SVG of a size; returns the scales. */
function frame(picture, size, ranges, titles) {
  const edge = { left: 56, right: 14, top: 12, bottom: 44 };
  const [low, high] = [ranges.map(r => r[0]), ranges.map(r => r[1])];
  const x = value => edge.left + (value - low[0]) / (high[0] - low[0] || 1) * (size[0] - edge.left - edge.right);
  const y = value => size[1] - edge.bottom - (value - low[1]) / (high[1] - low[1] || 1) * (size[1] - edge.top - edge.bottom);
  const grid = [], group = svg("g", { class: "ticks" });
  const across = ticks(low[0], high[0], size[0] / 110);
  const up = ticks(Math.min(low[1], high[1]), Math.max(low[1], high[1]), size[1] / 60);
  for (const value of across) {
    grid.push(`M${x(value)} ${edge.top}V${size[1] - edge.bottom}`);
    group.append(svg("text", { x: x(value), y: size[1] - edge.bottom + 16, class: "tick" }, number(value, digitsOf(across))));
  }
  for (const value of up) {
    grid.push(`M${edge.left} ${y(value)}H${size[0] - edge.right}`);
    group.append(svg("text", { x: edge.left - 7, y: y(value) + 4, class: "tick end" }, number(value, digitsOf(up))));
  }
  picture.append(svg("path", { d: grid.join(""), class: "grid" }), group,
    svg("text", { x: (edge.left + size[0]) / 2, y: size[1] - 8, class: "axis-title" }, titles[0]),
    svg("text", { transform: `translate(14 ${(size[1] - edge.bottom) / 2 + 6}) rotate(-90)`, class: "axis-title" }, titles[1]));
  return { x, y };
}

/** The least and the greatest of numbers, a little apart. */
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  if (!(high >= low)) return [0, 1];
  const margin = (high - low) * 0.04 || Math.abs(high) * 0.05 || 0.5;
  return [low - margin, high + margin];
}

/** Dots as one path: thousands of points are one element. */
const dots = points => points.map(p => `M${p[0].toFixed(1)} ${p[1].toFixed(1)}h0`).join("");

function screenPlace(picture, size, x, y) {
  const bounds = picture.getBoundingClientRect(), factor = bounds.width / size[0];
  return [bounds.left + x * factor, bounds.top + y * factor];
}

let held = false;  // the tip is of keys, and stays while the page scrolls to their point

/** Show the tip beside a place of the screen. */
function placeTip(x, y, byKeys = false) {
  const box = $("tip");
  held = byKeys;
  box.hidden = false;
  const left = x + 20 + box.offsetWidth > innerWidth ? x - 20 - box.offsetWidth : x + 20;
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${Math.max(8, Math.min(y + 12, innerHeight - box.offsetHeight - 8))}px`;
}

function hideTip() { $("tip").hidden = true; }

addEventListener("scroll", () => { if (!held) hideTip(); }, { passive: true });
