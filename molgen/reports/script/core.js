// Data and small helpers. Text is never parsed as markup: elements are made, texts are set.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);

/** Make an element with attributes and children; a string child is text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A number with that many digits behind the point. */
function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (digits > 6 || size >= 1e9) return value.toExponential(2);
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

const count = value => value.toLocaleString("en");

/** Digits behind the point of round numbers at equal distances. */
function digitsOf(values) {
  const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1;
  return Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
}

/** A name of a column in words. */
const words = name => name.replaceAll("_", " ");

/** Round numbers from low to high for an axis, about as many as wanted. */
function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find(factor => factor * power >= raw) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
    found.push(Number((k * step).toPrecision(10)));
  return found;
}

/** Give a button that copies a text, where the browser allows it. */
function copyButton(text, button = element("button", { type: "button", class: "copy", text: "Copy" })) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // pages opened from a file may not use the clipboard
      const area = element("textarea", { class: "unseen" });
      area.value = text;
      (button.closest("dialog") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}
