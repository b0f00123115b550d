// Puts the views on the page, once it is certain that there is something to see.
if (data.n > 0) {
  document.getElementById("interactive").hidden = false;
  makeFilters();
  makeScatter();
  makeBars();
  makeTable();
  makeSaves();
  applyFilters();
}
