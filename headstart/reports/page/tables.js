"use strict";
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const numberIn = (text) => parseFloat(text.replace(/,/g, ""));

// A head of a column is a button that sorts by it: numbers by size, texts by letters, what is undefined last.
for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      const [empty, rows] = [[], []];
      for (const row of table.tBodies[0].rows) (text(row) === "–" ? empty : rows).push(row);
      const numbers = rows.every((row) => !Number.isNaN(numberIn(text(row))) && /^[-+\d]/.test(text(row)));
      rows.sort((a, b) => numbers ? numberIn(text(a)) - numberIn(text(b)) : text(a).localeCompare(text(b)));
      if (down) rows.reverse();
      table.tBodies[0].append(...rows, ...empty);
    });
  });
}

// What does not scroll needs no stop of the Tab key.
const updateStops = () => {
  for (const box of document.querySelectorAll(".wide[role=group]")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
    scrolls ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex");
  }
};
updateStops();
addEventListener("resize", updateStops);
document.addEventListener("toggle", updateStops, true);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => { details.open = true; }));

// A shaded matrix: two lists and the pointer read a cell out; three sizes above the page's width.
for (const box of document.querySelectorAll(".heat-box")) {
  const { rows, values } = JSON.parse(box.querySelector("script").textContent);
  const picture = box.querySelector("svg");
  const choice = (label) => {
    const select = make("select");
    rows.forEach((name, index) => select.append(make("option", { value: index }, name)));
    return [make("label", {}, label, select), select];
  };
  const [rowLabel, row] = choice("In the file");
  const [columnLabel, column] = choice("predicted");
  const reading = make("output");
  const read = () => {
    const total = values[row.value].reduce((sum, value) => sum + value, 0);
    const count = values[row.value][column.value] ?? 0;
    reading.textContent = `${count.toLocaleString("en")} of ${total.toLocaleString("en")} rows`;
  };
  row.addEventListener("change", read);
  column.addEventListener("change", read);
  picture.addEventListener("pointermove", (event) => {
    const edges = picture.getBoundingClientRect();
    const place = (offset, size, count) => Math.min(count - 1, Math.max(0, Math.floor(offset / size * count)));
    row.value = place(event.clientY - edges.top, edges.height, rows.length);
    column.value = place(event.clientX - edges.left, edges.width, values[0].length);
    read();
  });
  const size = make("select");
  for (const times of [1, 2, 4, 8]) size.append(make("option", { value: times }, `${times} ×`));
  size.addEventListener("change", () => {
    picture.setAttribute("class", `heat x${size.value}`);
    updateStops();
  });
  box.prepend(make("div", { class: "tools" }, rowLabel, columnLabel, reading, make("label", {}, "Size", size)));
  read();
}
