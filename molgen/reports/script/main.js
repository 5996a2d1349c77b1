// The page is put together: first what is on the screen, then the rest.

for (const block of document.querySelectorAll(".command"))
  copyButton(block.querySelector("code").textContent, block.querySelector(".copy"));
if (data.histograms.length) {
  $("distributions").hidden = false;
  $("distributions-note").textContent = data.training
    ? `Filled: the molecules shown here. Dashed line: ${data.training}. Parts of the molecules, scaled alike.`
    : "Filled: the molecules shown here. No training set is known to compare with.";
  onShown(histograms);
}
if (data.axes.length > 1) {
  $("chart").hidden = false;
  chartControls();
  onShown(scatter);
}
toolbar();
wall();
groups();
show(shown);
history();
buildTable();
for (const link of document.querySelectorAll("#sections a")) link.hidden = $(link.hash.slice(1))?.hidden ?? true;
$("detail").addEventListener("click", event => { if (event.target === $("detail")) $("detail").close(); });
// the menu of columns closes as menus do
const menu = document.querySelector(".columns");
document.addEventListener("click", event => { if (!menu.contains(event.target)) menu.open = false; });
menu.addEventListener("keydown", event => { if (event.key === "Escape") menu.open = false; });
let seen = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === seen) return;  // a telephone's address bar
  seen = innerWidth;
  histograms();
  scatter();
  history();
});
