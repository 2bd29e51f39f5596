"use strict";
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
  });
}
// Sorts a table by the column whose head is pressed: numbers from the largest, text from A; again for the other way.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const isNumber = rows.every((row) => row.cells[column].dataset.value !== undefined);
    const first = isNumber ? "descending" : "ascending";
    const second = isNumber ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((one, other) => sign * (isNumber ? value(one) - value(other) : value(one).localeCompare(value(other))));
    table.tBodies[0].append(...rows);
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
  }));
}
