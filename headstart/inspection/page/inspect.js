"use strict";
// Shapes: M layers with attention, H heads, N layers with states, T tokens. Bytes of attention are 255·√weight.
const data = JSON.parse(document.getElementById("data").textContent);
function bytes(text) {
  const letters = atob(text), found = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) found[at] = letters.charCodeAt(at);
  return found;
}
const { tokens, heads, layers } = data;
const T = tokens.length, H = heads.length, M = data.attentionLayers.length, N = layers.length;
const weights = bytes(data.weights), similar = bytes(data.similar);
const state = { layer: data.first[0], head: data.first[1], token: Math.max(0, tokens.findIndex((one) => !one.special && one.piece.length > 3)), depth: N - 1, special: false };
const get = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "text", "circle", "path", "rect", "title"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// ---- colour ----
const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--${name}`).trim();
  const stops = read("ramp").split(/\s+/).map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  colours.ramp = Uint32Array.from({ length: 256 }, (_, level) => {  // as a canvas holds a pixel: red in the lowest byte
    const place = level / 255 * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(place)), part = place - low;
    const [red, green, blue] = stops[low].map((value, channel) => Math.round(value + part * (stops[low + 1][channel] - value)));
    return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  });
  for (const name of ["ink", "soft", "line", "pair"]) colours[name] = read(name);
}

// Rows of bytes as a picture of one pixel a cell.
function pixels(wide, high, byteAt, ramp) {
  const image = new ImageData(wide, high), cells = new Uint32Array(image.data.buffer);
  for (let row = 0, at = 0; row < high; row++) for (let column = 0; column < wide; column++) cells[at++] = ramp[byteAt(row, column)];
  return image;
}

function paint(canvas, image) {
  canvas.width = image.width; canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// ---- attention ----
const weightByte = (row, column, layer = state.layer, head = state.head) => weights[((layer * H + head) * T + row) * T + column];
function weight(row, column) {
  if (state.head < H) return (weightByte(row, column) / 255) ** 2;
  let sum = 0;
  for (let head = 0; head < H; head++) sum += (weightByte(row, column, state.layer, head) / 255) ** 2;
  return sum / H;
}
const attentionByte = (row, column) => state.head < H ? weightByte(row, column) : Math.round(255 * Math.sqrt(weight(row, column)));

// A small picture of one head: where there are more tokens than pixels, each pixel shows the largest of its cells.
function thumb(layer, head) {
  const size = Math.min(T, 48);
  const low = Array.from({ length: size + 1 }, (_, at) => Math.floor(at * T / size));
  return pixels(size, size, (row, column) => {
    let most = 0;
    for (let i = low[row]; i < low[row + 1]; i++) {
      const start = ((layer * H + head) * T + i) * T;
      for (let at = start + low[column]; at < start + low[column + 1]; at++) if (weights[at] > most) most = weights[at];
    }
    return most;
  }, colours.ramp);
}

function headName(layer, head) {
  return `Layer ${data.attentionLayers[layer]}, ` + (head < H ? `head ${heads[head]}: ${data.habits[layer * H + head]}` : "mean of all heads");
}

function buildHeads() {
  const grid = get("heads");
  grid.style.gridTemplateColumns = `auto repeat(${H}, minmax(0, 44px))`;
  grid.append(make("div", { role: "row" }, make("span", { class: "name", role: "columnheader" }, "layer"),
    ...heads.map((head) => make("span", { class: "name top", role: "columnheader" }, String(head)))));
  for (let layer = 0; layer < M; layer++) {
    const row = make("div", { role: "row" }, make("span", { class: "name", role: "rowheader" }, String(data.attentionLayers[layer])));
    for (let head = 0; head < H; head++) {
      row.append(make("button", { class: "thumb", type: "button", role: "gridcell", tabindex: "-1", title: headName(layer, head), "aria-label": headName(layer, head),
        "data-layer": layer, "data-head": head, onclick: () => choose(layer, head) }, make("canvas", { "aria-hidden": "true" })));
    }
    grid.append(row);
  }
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
  for (const one of document.querySelectorAll(".thumb")) paint(one.firstChild, thumb(+one.dataset.layer, +one.dataset.head));
}

// A map of cells with tokens at its top and left; arrow keys and the pointer read it.
function drawMap(canvas, rows, columns, byteAt, ramp, marked) {
  const context = canvas.getContext("2d"), scale = window.devicePixelRatio || 1;
  const room = canvas.closest(".scroll").clientWidth, side = Math.min(120, 14 + 7 * Math.max(...rows.map((name) => name.length)));
  const top = Math.min(120, 14 + 7 * Math.max(...columns.map((name) => name.length)));
  const cell = Math.max(11, Math.min(30, Math.floor((room - side - 2) / columns.length)));
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
  const letters = (row, column) => {
    context.font = `${row === marked[0] || column === marked[1] ? "600 " : ""}${Math.min(12, cell)}px system-ui, sans-serif`;
    context.fillStyle = row === marked[0] || column === marked[1] ? colours.ink : colours.soft;
  };
  context.textBaseline = "middle";
  rows.forEach((name, row) => { letters(row); context.textAlign = "right"; context.fillText(name, side - 5, top + cell * (row + .5), side - 8); });
  columns.forEach((name, column) => {
    letters(-2, column);
    context.save();
    context.translate(side + cell * (column + .5), top - 5);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillText(name, 0, 0, top - 8);
    context.restore();
  });
  context.strokeStyle = colours.pair; context.lineWidth = 1.5;
  if (marked[0] >= 0) context.strokeRect(side, top + cell * marked[0], cell * columns.length, cell);
}

function readable(canvas, say, pick) {
  let at = [0, 0];
  canvas.addEventListener("pointermove", (event) => {
    const { side, top, cell, rows, columns } = canvas.layout;
    const row = Math.floor((event.offsetY - top) / cell), column = Math.floor((event.offsetX - side) / cell);
    if (row >= 0 && column >= 0 && row < rows && column < columns) { at = [row, column]; canvas.title = say(row, column); }
  });
  canvas.addEventListener("click", () => pick(...at));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    at = [Math.min(canvas.layout.rows - 1, Math.max(0, at[0] + step[0])), Math.min(canvas.layout.columns - 1, Math.max(0, at[1] + step[1]))];
    get("live").textContent = say(...at);
    if (step[0]) pick(...at);
  });
}

const names = tokens.map((one) => one.piece);
// In sentences a piece that stands several times is told with its place.
const called = names.map((name, place) => names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${place})`);
const strongest = (values, count) => [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, count);

// Lines from each token (left) to what it looks at (right); with a chosen token, its own stand out.
function drawLines() {
  const holder = get("lines"), step = 19, left = 112, right = Math.max(210, Math.min(420, holder.clientWidth - 116));
  const drawing = make("svg", { width: right + 112, height: T * step + 6, role: "img", "aria-label": `Lines of attention. ${get("said").textContent}` });
  const lines = make("g"), middle = (left + right) / 2;
  for (let row = 0; row < T; row++) {
    const values = Array.from({ length: T }, (_, column) => weight(row, column));
    for (const column of strongest(values, 8)) {
      const own = row === state.token;
      if (values[column] < 0.02) continue;
      lines.append(make("path", { class: "link", opacity: (own ? 0.15 + 0.85 * values[column] : 0.22 * values[column]).toFixed(3), "stroke-width": own ? 1 + 4 * values[column] : 1.5,
        d: `M${left} ${row * step + 11}C${middle} ${row * step + 11} ${middle} ${column * step + 11} ${right} ${column * step + 11}` }));
    }
  }
  drawing.append(lines);
  for (let place = 0; place < T; place++) {
    const short = names[place].length > 15 ? names[place].slice(0, 14) + "…" : names[place], faint = tokens[place].special ? "faint" : "";
    drawing.append(make("g", { class: `row${place === state.token ? " on" : ""}`, onclick: () => pickToken(place) },
      make("rect", { class: "hit", x: 0, y: place * step, width: left, height: step }),
      make("text", { class: faint, x: left - 6, y: place * step + 15, "text-anchor": "end" }, short), make("title", {}, names[place])),
    make("text", { class: faint, x: right + 6, y: place * step + 15 }, short));
  }
  holder.replaceChildren(drawing);
}

function listed(values) {
  return strongest(values, 5).filter((place) => values[place] >= 0.005).map((place) => `${called[place]} ${percent(values[place])}`).join(", ");
}

function drawAttention() {
  for (const one of document.querySelectorAll(".thumb")) {
    const on = +one.dataset.layer === state.layer && +one.dataset.head === state.head;
    one.setAttribute("aria-selected", on);
    one.tabIndex = on || (state.head === H && +one.dataset.layer === state.layer && one.dataset.head === "0") ? 0 : -1;
  }
  get("layer").value = state.layer; get("head").value = state.head;
  get("head-name").textContent = headName(state.layer, state.head);
  drawMap(get("attention-map"), names, names, attentionByte, colours.ramp, [state.token, -1]);
  const looks = Array.from({ length: T }, (_, column) => weight(state.token, column)), seen = Array.from({ length: T }, (_, row) => weight(row, state.token));
  get("said").replaceChildren(make("b", {}, called[state.token]), ` looks at ${listed(looks) || "nothing in particular"}. It is looked at by ${listed(seen) || "hardly any token"}.`);
  drawLines();
}

function choose(layer, head) { state.layer = layer; state.head = head; drawAttention(); }

// ---- hidden states ----
const cosine = (row, column) => data.low[state.depth] + similar[(state.depth * T + row) * T + column] / 255 * (1 - data.low[state.depth]);
const keptLow = Math.min(0.99, Math.floor(100 * Math.min(1, ...data.kept.flat())) / 100);

function drawStates() {
  const drawing = get("scatter"), wide = 620, high = 460, points = data.maps[state.depth];
  get("depth").value = state.depth;
  get("depth-name").textContent = layers[state.depth] ? `layer ${layers[state.depth]} of ${data.depth}` : "embeddings";
  get("spread").textContent = `This plane holds ${percent(data.spread[state.depth])} of the tokens' variance.`;
  const shown = [...tokens.keys()].filter((place) => state.special || !tokens[place].special || tokens.every((one) => one.special));
  const ends = [0, 1].map((axis) => { const held = shown.map((place) => points[place][axis]); return [Math.min(...held), Math.max(...held)]; });
  const at = (place) => [0, 1].map((axis) => (points[place][axis] - ends[axis][0]) / Math.max(1e-9, ends[axis][1] - ends[axis][0])).map((share, axis) => axis ? 24 + share * (high - 48) : 30 + share * (wide - 130));
  const taken = [];
  for (let place = 0; place < T; place++) {
    const point = drawing.children[place];
    point.style.display = shown.includes(place) ? "" : "none";
    if (!shown.includes(place)) continue;
    const [x, y] = at(place), box = [x, y - 7, x + 10 + 7 * names[place].length, y + 7];
    const free = place === state.token || !taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3]);
    if (free) taken.push(box);
    point.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    point.querySelector("text").style.display = free ? "" : "none";
    point.classList.toggle("on", place === state.token);
  }
  const values = Array.from({ length: T }, (_, column) => column === state.token ? -1 : cosine(state.token, column));
  get("near").replaceChildren("Nearest to ", make("b", {}, called[state.token]), ` here: ${strongest(values, 5).filter((place) => place !== state.token).map((place) => `${called[place]} ${values[place].toFixed(2)}`).join(", ")}.`);
  drawMap(get("similarity-map"), names, names, (row, column) => similar[(state.depth * T + row) * T + column], colours.ramp, [state.token, -1]);
  get("low").textContent = data.low[state.depth].toFixed(2);
  get("kept-low").textContent = keptLow.toFixed(2);
  if (data.kept.length) drawMap(get("kept-map"), layers.slice(1).map((layer, at) => `${layers[at]} → ${layer}`), names, 
    (row, column) => Math.max(0, Math.min(255, Math.round((data.kept[row][column] - keptLow) / (1 - keptLow) * 255))), colours.ramp, [state.depth - 1, state.token]);
}

function buildStates() {
  const drawing = get("scatter");
  tokens.forEach((token, place) => drawing.append(make("g", { class: `point ${token.special ? "special" : token.part}`, onclick: () => pickToken(place) },
    make("circle", { class: "dot", r: 5 }), make("text", { x: 8, y: 4 }, token.piece), make("title", {}, token.piece))));
}

// ---- what the prediction rests on ----
function drawAttribution() {
  if (!data.attribution) return;
  const most = Math.max(1e-9, ...data.attribution.words.map((word) => Math.abs(word.score)));
  for (const [place, one] of [...document.querySelectorAll(".words [data-word]")].entries()) {
    const level = data.attribution.words[place].score / most, share = Math.round(Math.abs(level) * 62);
    one.style.background = `color-mix(in srgb, var(${level > 0 ? "--accent" : "--bad"}) ${share}%, transparent)`;
  }
}

// ---- all together ----
function pickToken(place) {
  state.token = place;
  document.querySelectorAll(".chip").forEach((chip, at) => chip.setAttribute("aria-pressed", at === place));
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

tokens.forEach((token, place) => get("chips").append(make("button", { type: "button", class: `chip ${token.special ? "special" : token.part}`, "aria-pressed": "false",
  onclick: () => pickToken(place) }, token.piece)));
if (M) {
  buildHeads();
  data.attentionLayers.forEach((layer, at) => get("layer").append(make("option", { value: at }, String(layer))));
  heads.forEach((head, at) => get("head").append(make("option", { value: at }, String(head))));
  get("head").append(make("option", { value: H }, "mean"));
  get("layer").addEventListener("change", (event) => choose(+event.target.value, state.head));
  get("head").addEventListener("change", (event) => choose(state.layer, +event.target.value));
  readable(get("attention-map"), (row, column) => `${called[row]} looks at ${called[column]}: ${percent(weight(row, column))}`, (row) => pickToken(row));
}
buildStates();
get("kept").hidden = !data.kept.length;
get("depth").max = N - 1;
get("depth").addEventListener("input", (event) => { state.depth = +event.target.value; drawStates(); });
get("special").addEventListener("change", (event) => { state.special = event.target.checked; drawStates(); });
readable(get("similarity-map"), (row, column) => `${called[row]} and ${called[column]}: cosine ${cosine(row, column).toFixed(2)}`, (row) => pickToken(row));
if (data.kept.length) {
  readable(get("kept-map"), (row, column) => `${called[column]}, layer ${layers[row]} to ${layers[row + 1]}: cosine ${data.kept[row][column].toFixed(2)}`,
    (row, column) => { state.depth = row + 1; pickToken(column); });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
draw();
requestAnimationFrame(() => requestAnimationFrame(() => get("scatter").classList.add("moving")));
document.documentElement.dataset.ready = Math.round(performance.now());
