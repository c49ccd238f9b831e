// A list of texts is leafed through, searched, and narrowed to one kind; without this script it stands there whole.
const PAGE_SIZE = 5;
document.querySelectorAll("ol.texts").forEach((list) => {
  const items = [...list.children];
  if (items.length <= PAGE_SIZE) return;
  const groups = [...new Set(items.map((item) => item.dataset.group).filter(Boolean))];
  const search = make("input", { type: "search", size: 14 });
  const kind = make("select", {}, make("option", { value: "" }, `all (${items.length})`));
  for (const group of groups) {
    const count = items.filter((item) => item.dataset.group === group).length;
    kind.append(make("option", { value: group }, `${group} (${count})`));
  }
  const [back, on] = [make("button", { type: "button" }, "Previous"), make("button", { type: "button" }, "Next")];
  const place = make("output");
  let first = 0;
  const show = () => {
    const words = search.value.toLowerCase();
    const matches = items.filter((item) => (!kind.value || item.dataset.group === kind.value) && item.textContent.toLowerCase().includes(words));
    first = Math.max(0, Math.min(first, matches.length - 1));
    const shown = new Set(matches.slice(first, first + PAGE_SIZE));
    for (const item of items) item.hidden = !shown.has(item);
    place.textContent = matches.length ? `${first + 1} to ${first + shown.size} of ${matches.length}` : "none";
    back.disabled = first === 0;
    on.disabled = first + PAGE_SIZE >= matches.length;
  };
  const restart = () => { first = 0; show(); };
  search.addEventListener("input", restart);
  kind.addEventListener("change", restart);
  back.addEventListener("click", () => { first -= PAGE_SIZE; show(); });
  on.addEventListener("click", () => { first += PAGE_SIZE; show(); });
  const tools = make("div", { class: "tools" }, make("label", {}, "Find", search));
  if (groups.length > 1) tools.append(make("label", {}, "Kind", kind));
  tools.append(back, place, on);
  list.before(tools);
  show();
});
