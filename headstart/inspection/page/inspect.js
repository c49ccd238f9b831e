"use strict";
// Shapes: M layers with attention, H heads, N layers with states, T tokens that look, C tokens that are looked at (the same
// ones, or a source's). Bytes of attention are 255·√weight.
const data = JSON.parse(document.getElementById("data").textContent);
function bytes(text) {
  const letters = atob(text), values = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index++) values[index] = letters.charCodeAt(index);
  return values;
}
for (const stack of data.stacks) {
  stack.similar = bytes(stack.similar);
  stack.names = stack.tokens.map((token) => token.piece);
  // In sentences a piece that occurs several times has its position beside it.
  stack.labels = stack.names.map((name, index) => stack.names.indexOf(name) === stack.names.lastIndexOf(name) ? name : `${name} (${index})`);
  stack.similarityLow = Math.min(0.99, Math.floor(100 * Math.min(1, ...stack.layerSimilarity.flat())) / 100);
  stack.token = Math.max(0, stack.tokens.findIndex((token) => !token.special && token.piece.length > 3));
}
for (const view of data.views) view.weights = bytes(view.weights);
// Without attentions the stacks are looked at one by one.
const views = data.views.length ? data.views : data.stacks.map((stack, index) => ({ name: stack.name, rows: index, columns: index, heads: [], attentionLayers: [], first: [0, 0] }));
let view, stack, columns, tokens, heads, layers, names, labels, T, C, H, M, N;
const state = { layer: 0, head: 0, token: 0, depth: 0, special: false };

// Look at another kind of attention; the tokens that look, and their states, are those of its stack.
function useView(index) {
  if (stack) stack.token = state.token;
  view = views[index]; stack = data.stacks[view.rows]; columns = data.stacks[view.columns];
  ({ tokens, layers, names, labels } = stack);
  heads = view.heads;
  T = tokens.length; C = columns.tokens.length; H = heads.length; M = view.attentionLayers.length; N = layers.length;
  [state.layer, state.head] = view.first;
  state.token = stack.token; state.depth = N - 1;
}
const get = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "text", "circle", "path", "rect", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// ---- colour ----
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--${name}`).trim();
  const stops = read("ramp").split(/\s+/).map((hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));
  colours.ramp = Uint32Array.from({ length: 256 }, (_, level) => {  // as a canvas holds a pixel: red in the lowest byte
    const position = level / 255 * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(position)), part = position - low;
    const [red, green, blue] = stops[low].map((value, channel) => Math.round(value + part * (stops[low + 1][channel] - value)));
    return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  });
  for (const name of ["ink", "soft", "line", "pair"]) colours[name] = read(name);
}

// Rows of bytes as a picture of one pixel a cell.
function pixels(wide, high, byteAt, ramp) {
  const image = new ImageData(wide, high), cells = new Uint32Array(image.data.buffer);
  for (let row = 0, cell = 0; row < high; row++) for (let column = 0; column < wide; column++) cells[cell++] = ramp[byteAt(row, column)];
  return image;
}

function paint(canvas, image) {
  canvas.width = image.width; canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// ---- attention ----
const weightByte = (row, column, layer = state.layer, head = state.head) => view.weights[((layer * H + head) * T + row) * C + column];
function weight(row, column) {
  if (state.head < H) return (weightByte(row, column) / 255) ** 2;
  let sum = 0;
  for (let head = 0; head < H; head++) sum += (weightByte(row, column, state.layer, head) / 255) ** 2;
  return sum / H;
}
const attentionByte = (row, column) => state.head < H ? weightByte(row, column) : Math.round(255 * Math.sqrt(weight(row, column)));

// A small picture of one head: where there are more tokens than pixels, each pixel shows the largest of its cells.
function thumb(layer, head) {
  const high = Math.min(T, 48), wide = Math.min(C, 48);
  const edges = (size, count) => Array.from({ length: size + 1 }, (_, index) => Math.floor(index * count / size));
  const top = edges(high, T), left = edges(wide, C);
  return pixels(wide, high, (row, column) => {
    let largest = 0;
    for (let line = top[row]; line < top[row + 1]; line++) {
      const start = ((layer * H + head) * T + line) * C;
      for (let index = start + left[column]; index < start + left[column + 1]; index++) if (view.weights[index] > largest) largest = view.weights[index];
    }
    return largest;
  }, colours.ramp);
}

function headName(layer, head) {
  return `Layer ${view.attentionLayers[layer]}, ` + (head < H ? `head ${heads[head]}: ${view.patterns[layer * H + head]}` : "mean of all heads");
}

function buildHeads() {
  const grid = get("heads");
  grid.style.gridTemplateColumns = `auto repeat(${H}, minmax(0, 44px))`;
  grid.replaceChildren(make("div", { role: "row" }, make("span", { class: "name", role: "columnheader" }, "layer"),
    ...heads.map((head) => make("span", { class: "name top", role: "columnheader" }, String(head)))));
  for (let layer = 0; layer < M; layer++) {
    const row = make("div", { role: "row" }, make("span", { class: "name", role: "rowheader" }, String(view.attentionLayers[layer])));
    for (let head = 0; head < H; head++) {
      row.append(make("button", { class: "thumb", type: "button", role: "gridcell", tabindex: "-1", title: headName(layer, head), "aria-label": headName(layer, head),
        "data-layer": layer, "data-head": head, onclick: () => choose(layer, head) }, make("canvas", { "aria-hidden": "true" })));
    }
    grid.append(row);
  }
}

function listenToHeads() {
  const grid = get("heads");
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const head = state.head < H ? state.head : 0;
    choose(Math.min(M - 1, Math.max(0, state.layer + step[0])), Math.min(H - 1, Math.max(0, head + step[1])));
    grid.querySelector("[aria-selected=true]").focus();
  });
}

function drawThumbs() {
  for (const button of document.querySelectorAll(".thumb")) paint(button.firstChild, thumb(+button.dataset.layer, +button.dataset.head));
}

// A map of cells with tokens at its top and left; arrow keys and the pointer read it.
function drawMap(canvas, rows, columns, byteAt, ramp, selected) {
  const context = canvas.getContext("2d"), scale = window.devicePixelRatio || 1;
  const width = canvas.closest(".scroll").clientWidth, side = Math.min(120, 14 + 7 * Math.max(...rows.map((name) => name.length)));
  const top = Math.min(120, 14 + 7 * Math.max(...columns.map((name) => name.length)));
  const cell = Math.max(11, Math.min(30, Math.floor((width - side - 2) / columns.length)));
  const wide = side + cell * columns.length + 2, high = top + cell * rows.length + 2;
  canvas.width = wide * scale; canvas.height = high * scale;
  canvas.style.width = `${wide}px`; canvas.style.height = `${high}px`;
  canvas.layout = { side, top, cell, rows: rows.length, columns: columns.length };
  context.scale(scale, scale);
  const buffer = paint(document.createElement("canvas"), pixels(columns.length, rows.length, byteAt, ramp));
  context.imageSmoothingEnabled = false;
  context.drawImage(buffer, side, top, cell * columns.length, cell * rows.length);
  context.strokeStyle = colours.line;
  context.strokeRect(side - .5, top - .5, cell * columns.length + 1, cell * rows.length + 1);
  const setFont = (row, column) => {
    context.font = `${row === selected[0] || column === selected[1] ? "600 " : ""}${Math.min(12, cell)}px system-ui, sans-serif`;
    context.fillStyle = row === selected[0] || column === selected[1] ? colours.ink : colours.soft;
  };
  context.textBaseline = "middle";
  rows.forEach((name, row) => { setFont(row); context.textAlign = "right"; context.fillText(name, side - 5, top + cell * (row + .5), side - 8); });
  columns.forEach((name, column) => {
    setFont(-2, column);
    context.save();
    context.translate(side + cell * (column + .5), top - 5);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillText(name, 0, 0, top - 8);
    context.restore();
  });
  context.strokeStyle = colours.pair; context.lineWidth = 1.5;
  if (selected[0] >= 0) context.strokeRect(side, top + cell * selected[0], cell * columns.length, cell);
}

function readable(canvas, describe, onPick) {
  let position = [0, 0];
  canvas.addEventListener("pointermove", (event) => {
    const { side, top, cell, rows, columns } = canvas.layout;
    const row = Math.floor((event.offsetY - top) / cell), column = Math.floor((event.offsetX - side) / cell);
    if (row >= 0 && column >= 0 && row < rows && column < columns) { position = [row, column]; canvas.title = describe(row, column); }
  });
  canvas.addEventListener("click", () => onPick(...position));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    position = [Math.min(canvas.layout.rows - 1, Math.max(0, position[0] + step[0])), Math.min(canvas.layout.columns - 1, Math.max(0, position[1] + step[1]))];
    get("live").textContent = describe(...position);
    if (step[0]) onPick(...position);
  });
}

const strongest = (values, count) => [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, count);

// Lines from each token (left) to what it attends to (right); the lines of a chosen token stand out.
function drawLines() {
  const container = get("lines"), step = 19, left = 112, right = Math.max(210, Math.min(420, container.clientWidth - 116));
  const drawing = make("svg", { width: right + 112, height: Math.max(T, C) * step + 6, role: "img", "aria-label": `Lines of attention. ${get("attention-text").textContent}` });
  const lines = make("g"), middle = (left + right) / 2;
  for (let row = 0; row < T; row++) {
    const values = Array.from({ length: C }, (_, column) => weight(row, column));
    for (const column of strongest(values, 8)) {
      const isSelected = row === state.token;
      if (values[column] < 0.02) continue;
      lines.append(make("path", { class: "link", opacity: (isSelected ? 0.15 + 0.85 * values[column] : 0.22 * values[column]).toFixed(3), "stroke-width": isSelected ? 1 + 4 * values[column] : 1.5,
        d: `M${left} ${row * step + 11}C${middle} ${row * step + 11} ${middle} ${column * step + 11} ${right} ${column * step + 11}` }));
    }
  }
  drawing.append(lines);
  const shortName = (name) => name.length > 15 ? name.slice(0, 14) + "…" : name, tokenClass = (token) => token.special ? "faint" : "";
  tokens.forEach((token, index) => drawing.append(make("g", { class: `row${index === state.token ? " on" : ""}`, onclick: () => pickToken(index) },
    make("rect", { class: "hit", x: 0, y: index * step, width: left, height: step }),
    make("text", { class: tokenClass(token), x: left - 6, y: index * step + 15, "text-anchor": "end" }, shortName(token.piece)), make("title", {}, token.piece))));
  columns.tokens.forEach((token, index) => drawing.append(make("text", { class: tokenClass(token), x: right + 6, y: index * step + 15 }, shortName(token.piece))));
  container.replaceChildren(drawing);
}

function strongestText(values, valueLabels) {
  return strongest(values, 5).filter((index) => values[index] >= 0.005).map((index) => `${valueLabels[index]} ${percent(values[index])}`).join(", ");
}

function drawAttention() {
  for (const button of document.querySelectorAll(".thumb")) {
    const selected = +button.dataset.layer === state.layer && +button.dataset.head === state.head;
    button.setAttribute("aria-selected", selected);
    button.tabIndex = selected || (state.head === H && +button.dataset.layer === state.layer && button.dataset.head === "0") ? 0 : -1;
  }
  get("layer").value = state.layer; get("head").value = state.head;
  get("head-name").textContent = headName(state.layer, state.head);
  drawMap(get("attention-map"), names, columns.names, attentionByte, colours.ramp, [state.token, -1]);
  const outgoing = Array.from({ length: C }, (_, column) => weight(state.token, column));
  const incoming = stack === columns ? Array.from({ length: T }, (_, row) => weight(row, state.token)) : null;
  get("attention-text").replaceChildren(make("b", {}, labels[state.token]), ` attends to ${strongestText(outgoing, columns.labels) || "nothing in particular"}.`,
    incoming ? ` It is attended to by ${strongestText(incoming, labels) || "hardly any token"}.` : " These are tokens of the source.");
  drawLines();
}

function choose(layer, head) { state.layer = layer; state.head = head; drawAttention(); }

// ---- hidden states ----
const cosine = (row, column) => stack.low[state.depth] + stack.similar[(state.depth * T + row) * T + column] / 255 * (1 - stack.low[state.depth]);

function drawStates() {
  const drawing = get("scatter"), wide = 620, high = 460, points = stack.maps[state.depth];
  get("depth").value = state.depth;
  get("depth-name").textContent = layers[state.depth] ? `layer ${layers[state.depth]} of ${stack.depth}${stack.name ? ` of the ${stack.name.toLowerCase()}` : ""}` : "embeddings";
  get("spread").textContent = `This plane holds ${percent(stack.spread[state.depth])} of the tokens' variance.`;
  const visible = [...tokens.keys()].filter((index) => state.special || !tokens[index].special || tokens.every((token) => token.special));
  const ranges = [0, 1].map((axis) => { const coordinates = visible.map((index) => points[index][axis]); return [Math.min(...coordinates), Math.max(...coordinates)]; });
  const pointAt = (index) => [0, 1].map((axis) => (points[index][axis] - ranges[axis][0]) / Math.max(1e-9, ranges[axis][1] - ranges[axis][0])).map((share, axis) => axis ? 24 + share * (high - 48) : 30 + share * (wide - 130));
  const boxes = [];
  for (let index = 0; index < T; index++) {
    const point = drawing.children[index];
    point.style.display = visible.includes(index) ? "" : "none";
    if (!visible.includes(index)) continue;
    const [x, y] = pointAt(index), box = [x, y - 7, x + 10 + 7 * names[index].length, y + 7];
    const free = index === state.token || !boxes.some((earlier) => box[0] < earlier[2] && earlier[0] < box[2] && box[1] < earlier[3] && earlier[1] < box[3]);
    if (free) boxes.push(box);
    point.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    point.querySelector("text").style.display = free ? "" : "none";
    point.classList.toggle("on", index === state.token);
  }
  const values = Array.from({ length: T }, (_, column) => column === state.token ? -1 : cosine(state.token, column));
  get("nearest").replaceChildren("Nearest to ", make("b", {}, labels[state.token]), ` here: ${strongest(values, 5).filter((index) => index !== state.token).map((index) => `${labels[index]} ${values[index].toFixed(2)}`).join(", ")}.`);
  drawMap(get("similarity-map"), names, names, (row, column) => stack.similar[(state.depth * T + row) * T + column], colours.ramp, [state.token, -1]);
  get("low").textContent = stack.low[state.depth].toFixed(2);
  get("layer-similarity-low").textContent = stack.similarityLow.toFixed(2);
  if (stack.layerSimilarity.length) drawMap(get("layer-similarity-map"), layers.slice(1).map((layer, index) => `${layers[index]} → ${layer}`), names, 
    (row, column) => Math.max(0, Math.min(255, Math.round((stack.layerSimilarity[row][column] - stack.similarityLow) / (1 - stack.similarityLow) * 255))), colours.ramp, [state.depth - 1, state.token]);
}

function buildStates() {
  get("scatter").replaceChildren(...tokens.map((token, index) => make("g", { class: `point ${token.special ? "special" : token.part}`, onclick: () => pickToken(index) },
    make("circle", { class: "dot", r: 5 }), make("text", { x: 8, y: 4 }, token.piece), make("title", {}, token.piece))));
  get("layer-similarity").hidden = !stack.layerSimilarity.length;
  get("depth").max = N - 1;
}

function buildChips() {
  get("chips").replaceChildren(...tokens.map((token, index) => make("button", { type: "button", class: `chip ${token.special ? "special" : token.part}`, "aria-pressed": "false",
    onclick: () => pickToken(index) }, token.piece)));
}

function buildChoices() {
  get("layer").replaceChildren(...view.attentionLayers.map((layer, index) => make("option", { value: index }, String(layer))));
  get("head").replaceChildren(...heads.map((head, index) => make("option", { value: index }, String(head))), make("option", { value: H }, "mean"));
}

// ---- attribution ----
function drawAttribution() {
  if (!data.attribution) return;
  const largest = Math.max(1e-9, ...data.attribution.words.map((word) => Math.abs(word.score)));
  for (const [index, element] of [...document.querySelectorAll(".words [data-word]")].entries()) {
    const level = data.attribution.words[index].score / largest, share = Math.round(Math.abs(level) * 45);
    element.style.background = `color-mix(in srgb, var(${level > 0 ? "--accent" : "--bad"}) ${share}%, transparent)`;
  }
}

// ---- all together ----
function pickToken(index) {
  state.token = index;
  document.querySelectorAll(".chip").forEach((chip, chipIndex) => chip.setAttribute("aria-pressed", chipIndex === index));
  if (M) drawAttention();
  drawStates();
}

function draw() {
  readColours();
  document.querySelectorAll(".legend canvas").forEach((canvas) => paint(canvas, pixels(256, 1, (_, column) => column, colours.ramp)));
  if (M) drawThumbs();
  drawAttribution();
  pickToken(state.token);
}

function show(index) {
  useView(index);
  buildChips();
  if (M) { buildHeads(); buildChoices(); }
  buildStates();
  if (get("view-note")) get("view-note").textContent = stack === columns ? `Tokens and states of the ${stack.name.toLowerCase()}.` : "Rows are the tokens that the decoder reads, columns those of the source.";
  draw();
}

if (data.views.length) {
  listenToHeads();
  get("layer").addEventListener("change", (event) => choose(+event.target.value, state.head));
  get("head").addEventListener("change", (event) => choose(state.layer, +event.target.value));
  readable(get("attention-map"), (row, column) => `${labels[row]} attends to ${columns.labels[column]}: ${percent(weight(row, column))}`, (row) => pickToken(row));
}
if (get("view")) {
  views.forEach((choice, index) => get("view").append(make("option", { value: index }, choice.name)));
  get("view").addEventListener("change", (event) => show(+event.target.value));
}
get("depth").addEventListener("input", (event) => { state.depth = +event.target.value; drawStates(); });
get("special").addEventListener("change", (event) => { state.special = event.target.checked; drawStates(); });
readable(get("similarity-map"), (row, column) => `${labels[row]} and ${labels[column]}: cosine ${cosine(row, column).toFixed(2)}`, (row) => pickToken(row));
readable(get("layer-similarity-map"), (row, column) => `${labels[column]}, layer ${layers[row]} to ${layers[row + 1]}: cosine ${stack.layerSimilarity[row][column].toFixed(2)}`,
  (row, column) => { state.depth = row + 1; pickToken(column); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
show(0);
requestAnimationFrame(() => requestAnimationFrame(() => get("scatter").classList.add("moving")));
document.documentElement.dataset.ready = Math.round(performance.now());
