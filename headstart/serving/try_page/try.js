// The page to try a model by hand. Text reaches the page as text alone: textContent, never markup.
"use strict";

const byId = (id) => document.getElementById(id);
const MAX_BARS = 20;  // labels that are drawn, the likeliest first
const CONTINUED = "/v1/completions";  // what a writing model's prompt is streamed by
let models = [], model = null, token = "", asking = null;

function element(name, text = "", className = "") {
  const node = document.createElement(name);
  if (text !== "") node.textContent = text;
  if (className) node.className = className;
  return node;
}

function say(text, isWrong = false) {
  byId("status").textContent = text;
  byId("status").className = isWrong ? "wrong" : "";
}

async function call(path, body, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  return fetch(path, { method: body ? "POST" : "GET", headers, signal, body: body ? JSON.stringify(body) : undefined });
}

async function refusalText(response) {
  try {
    const error = (await response.json()).error;
    const rows = (error.rows || []).map((row) => `${row.message} ${row.fix || ""}`);
    return rows.length ? rows.join("\n") : error.message;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

async function loadModels() {
  let response;
  try {
    response = await call("/v1/models");
  } catch {
    return say("The server does not answer.", true);
  }
  byId("access").hidden = response.status !== 401;
  if (response.status === 503) {
    say("The models are being loaded …");
    return setTimeout(loadModels, 1000);
  }
  if (!response.ok) {
    if (response.status === 401 && !token) say("");
    else say(await refusalText(response), true);
    return undefined;
  }
  models = (await response.json()).data;
  byId("model").replaceChildren(...models.map((card) => new Option(`${card.id} (${card.task})`, card.id)));
  byId("choice").hidden = models.length < 2;
  byId("form").hidden = false;
  say("");
  showModel();
  document.body.dataset.ready = "yes";
  return undefined;
}

function shownFields() {
  const names = model.fields.filter((field) => field.required).map((field) => field.name);
  if (streams()) return model.fields.filter((field) => field.name === "prompt" || field.name === "source");
  return model.fields.filter((field) => field.name !== "messages" && field.name !== "id" && field.name !== "document"
    && (names.includes(field.name) || field.type === "text" || field.type === "list"));
}

function streams() {
  return model.endpoints.includes(CONTINUED) && model.fields.some((field) => field.name === "prompt");
}

function showModel() {
  model = models.find((card) => card.id === byId("model").value) || models[0];
  const labels = model.labels.length ? `; ${model.labels.length} labels: ${model.labels.slice(0, 8).join(", ")}`
    + (model.labels.length > 8 ? " …" : "") : "";
  byId("about").textContent = `${model.id}: ${model.task} (${model.family}, ${model.precision})${labels}`;
  byId("fields").replaceChildren(...shownFields().flatMap((field) => {
    const label = element("label", field.name);
    label.htmlFor = `field-${field.name}`;
    const isOnly = shownFields().length === 1;
    label.append(element("span", ` ${field.help}${field.type === "list" ? ", one a line" : ""}`
      + (field.required || isOnly ? "" : " (may be empty)"), "small"));
    const input = element("textarea");
    input.id = `field-${field.name}`;
    input.rows = ["passage", "source", "text"].includes(field.name) ? 4 : 2;
    return [label, input];
  }));
  byId("send").textContent = streams() ? "Write on" : "Predict";
  byId("answer").hidden = true;
  const first = byId("fields").querySelector("textarea");
  if (first) first.focus();
}

function rowOfForm() {
  const row = {};
  for (const field of shownFields()) {
    const text = byId(`field-${field.name}`).value;
    if (text.trim() === "") continue;
    row[field.name] = field.type === "list" ? text.split("\n").filter((line) => line.trim() !== "") : text;
  }
  return row;
}

function fillSample() {
  for (const field of shownFields()) {
    const value = model.sample[field.name] ?? (field.name === "prompt" ? "When it began to rain, she" : "");
    byId(`field-${field.name}`).value = Array.isArray(value) ? value.join("\n") : value;
  }
}

function bars(shares) {
  const box = element("div", "", "bars");
  const sorted = shares.slice().sort((first, second) => second[1] - first[1]);
  for (const [name, share] of sorted.slice(0, MAX_BARS)) {
    const meter = element("meter");
    meter.value = share;
    meter.setAttribute("aria-label", name);
    box.append(element("span", name, "name"), meter, element("span", `${(100 * share).toFixed(1)} %`, "share"));
  }
  if (sorted.length > MAX_BARS) box.append(element("span", `… ${sorted.length - MAX_BARS} more in the JSON`, "name"));
  return box;
}

// Offsets count characters as Python does, so a text is cut as an array of them.
function marked(text, spans) {
  const characters = Array.from(text), box = element("p", "", "text");
  const kinds = [...new Set(spans.map((span) => span.type))];
  let end = 0;
  for (const span of spans.slice().sort((first, second) => first.start - second.start)) {
    if (span.start < end) continue;
    box.append(characters.slice(end, span.start).join(""));
    const mark = element("mark", characters.slice(span.start, span.end).join(""), `kind${kinds.indexOf(span.type) % 6}`);
    if (span.type) mark.append(element("span", span.type, "type"));
    if (span.probability !== undefined) mark.title = `${(100 * span.probability).toFixed(1)} %`;
    box.append(mark);
    end = span.end;
  }
  box.append(characters.slice(end).join(""));
  return box;
}

function facts(values) {
  const list = element("dl");
  for (const [name, value] of Object.entries(values)) {
    list.append(element("dt", name.replaceAll("_", " ")),
      element("dd", typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)));
  }
  return list;
}

function answerNodes(row, values) {
  const nodes = [], rest = { ...values };
  const take = (...names) => names.forEach((name) => delete rest[name]);
  if (Array.isArray(values.spans)) {
    const text = row.text ?? (row.tokens || []).join(" ");
    nodes.push(values.spans.length ? marked(text, values.spans) : element("p", `${text}\n(nothing was found)`, "text"));
    take("spans", "prediction");
  } else if ("prediction" in values) {
    const prediction = values.prediction;
    const isEmpty = prediction === null || prediction === "" || (Array.isArray(prediction) && !prediction.length);
    nodes.push(element("p", isEmpty ? "(none)" : Array.isArray(prediction) ? prediction.join(", ") : String(prediction),
      "log_probability" in values ? "text" : "big"));
    take("prediction");
  }
  if (row.passage && Number.isInteger(values.start) && Number.isInteger(values.end)) {
    nodes.push(marked(row.passage, [{ start: values.start, end: values.end, type: "" }]));
    nodes.push(bars([["this answer", values.probability ?? 0], ["no answer", values.no_answer_probability ?? 0]]));
    take("start", "end", "probability", "no_answer_probability");
  }
  if (values.probabilities && typeof values.probabilities === "object") {
    const names = Array.isArray(values.probabilities) ? row.choices || [] : [];
    nodes.push(bars(Object.entries(values.probabilities).map(([name, share]) => [names[name] ?? name, share])));
    take("probabilities", "probability", "choice");
  }
  for (const [index, fills] of (values.fills || []).entries()) {
    nodes.push(element("h3", `mask ${index + 1}`), bars(fills.map((fill) => [fill.token, fill.probability])));
  }
  take("fills");
  if (Object.keys(rest).length) nodes.push(facts(rest));
  return nodes;
}

function show(nodes, json) {
  byId("shown").replaceChildren(...nodes);
  byId("json").textContent = JSON.stringify(json, null, 2);
  byId("answer").hidden = false;
}

async function predict(row, signal) {
  const response = await call("/v1/predict", { model: model.id, rows: [row] }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  const body = await response.json();
  show(answerNodes(row, body.predictions[0]), body.predictions[0]);
  return say("");
}

async function write(row, signal) {
  const prompt = row.prompt ?? "";
  const response = await call(CONTINUED, { model: model.id, prompt, stream: true }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  const text = element("p", "", "text"), events = [];
  text.append(element("span", prompt, "small"));
  show([text], events);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (waiting + part.value).split("\n\n");
    waiting = lines.pop();
    for (const line of lines.filter((each) => each.startsWith("data: {"))) {
      const event = JSON.parse(line.slice(6));
      events.push(event);
      if (event.error) return say(event.error.message, true);
      text.append(event.choices.map((choice) => choice.text).join(""));
    }
  }
  show([text], events.at(-1) ?? {});
  return say("");
}

async function send() {
  if (asking) return;
  asking = new AbortController();
  say("…");
  byId("send").disabled = true;
  byId("stop").hidden = false;
  try {
    await (streams() ? write : predict)(rowOfForm(), asking.signal);
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : "The server does not answer.", error.name !== "AbortError");
  } finally {
    asking = null;
    byId("send").disabled = false;
    byId("stop").hidden = true;
  }
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
byId("form").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } });
byId("access").addEventListener("submit", (event) => { event.preventDefault(); token = byId("token").value.trim(); loadModels(); });
byId("model").addEventListener("change", showModel);
byId("sample").addEventListener("click", fillSample);
byId("stop").addEventListener("click", () => asking && asking.abort());
loadModels();
