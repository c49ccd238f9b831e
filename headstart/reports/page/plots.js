// A slider under a curve reads its values out, from the table that stands below; the pointer moves it too.
for (const curve of document.querySelectorAll(".curve")) {
  const plot = curve.querySelector(".plot");
  const table = curve.querySelector("table.values");
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent));
  if (rows.length < 2) continue;
  const [low, high] = [Number(plot.dataset.low), Number(plot.dataset.high)];
  const shares = rows.map((row) => (numberIn(row[0]) - low) / (high - low));
  const area = plot.querySelector(".area");
  const line = document.createElementNS(area.namespaceURI, "line");
  line.setAttribute("class", "cursor");
  line.setAttribute("y1", "0");
  line.setAttribute("y2", "100%");
  area.append(line);
  const title = curve.closest("figure").querySelector("h3").textContent;
  const slider = make("input", { type: "range", min: 0, max: rows.length - 1, step: 1, "aria-label": `${title}: read values` });
  const reading = make("output");
  const read = () => {
    const row = rows[slider.value];
    const text = row.map((value, index) => `${heads[index].split(":")[0]} ${value}`).filter((part) => !part.endsWith(" –")).join(" · ");
    reading.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const end of ["x1", "x2"]) line.setAttribute(end, `${100 * shares[slider.value]}%`);
  };
  slider.addEventListener("input", read);
  area.addEventListener("pointermove", (event) => {
    const edges = area.getBoundingClientRect();
    const share = (event.clientX - edges.left) / edges.width;
    slider.value = shares.reduce((best, place, index) => Math.abs(place - share) < Math.abs(shares[best] - share) ? index : best, 0);
    read();
  });
  slider.value = rows.length - 1;
  plot.nextElementSibling.after(make("div", { class: "scan" }, slider, reading));
  read();
}
