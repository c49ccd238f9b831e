for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    head.dataset.sort = "";
    head.tabIndex = 0;
    const number = (row) => parseFloat(row.children[column].textContent.replace(/,/g, ""));
    const sort = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("thead th").forEach((header) => header.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const numbers = rows.every((row) => !Number.isNaN(number(row)) || row.children[column].textContent === "–");
      rows.sort((a, b) => numbers ? (number(a) || 0) - (number(b) || 0) : a.children[column].textContent.localeCompare(b.children[column].textContent));
      if (down) rows.reverse();
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
