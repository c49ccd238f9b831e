// The page to try a model by hand: what is asked, and when. How answers look is in draw.js.
"use strict";

const byId = (id) => document.getElementById(id);
const PREDICT = "/v1/predict", CONTINUE = "/v1/completions", RANK = "/v1/rerank", COMPARE = "/v1/embeddings";
const WAYS = { [PREDICT]: "Predict", [CONTINUE]: "Write on", [RANK]: "Rank documents", [COMPARE]: "Compare two texts" };
const COMPARED_TASKS = ["retrieval", "masked-language-model"];  // models that texts are compared by
const HIDDEN_FIELDS = ["messages", "id", "document", "tokens"];
const PROMPT_WORDS = 8;  // of a text that is an example of a prompt
const EXPLAINED_WORDS = 12;  // of a text that was written on: each costs as much as a word of the prompt
let models = [], model = null, token = "", asking = null, exampleNumber = 0, explained = null;

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
    if (response.status === 401) byId("token").focus();
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

function has(name) {
  return model.fields.some((field) => field.name === name);
}

function waysOf() {
  if (model.endpoints.includes(CONTINUE) && has("prompt")) return [CONTINUE];
  const ways = [PREDICT];
  if (model.endpoints.includes(RANK)) ways.push(RANK);
  if (model.endpoints.includes(COMPARE) && COMPARED_TASKS.includes(model.task)) ways.push(COMPARE);
  return ways;
}

function way() {
  return byId("way").value || PREDICT;
}

function shownFields() {
  const field = (name, help, type = "text") => ({ name, help, type, required: true });
  if (way() === CONTINUE) return [field("prompt", "what the model writes on from")];
  if (way() === RANK) return [field("query", "what is looked for"), field("documents", "the texts to rank", "list")];
  if (way() === COMPARE) return [field("first", "a text"), field("second", "another text")];
  return model.fields.filter((each) => !(HIDDEN_FIELDS.includes(each.name) && !each.required)
    && (each.required || each.type === "text" || each.type === "list"));
}

function showModel() {
  stop();
  model = models.find((card) => card.id === byId("model").value) || models[0];
  const about = [`${model.id}: ${model.task} (${model.family}, ${model.precision})`];
  if (model.labels.length) {
    about.push(`; ${counted(model.labels.length, "label")}: `);
    model.labels.slice(0, 8).forEach((label, index) => about.push(index ? ", " : "", foreign("bdi", label)));
    if (model.labels.length > 8) about.push(" …");
  }
  byId("about").replaceChildren(...about);
  byId("notes").replaceChildren(...model.notes.map((note) => foreign("li", note)));
  byId("notes").hidden = !model.notes.length;
  byId("way").replaceChildren(...waysOf().map((path) => new Option(WAYS[path], path)));
  byId("ways").hidden = waysOf().length < 2;
  showFields();
}

function showFields() {
  byId("fields").replaceChildren(...shownFields().flatMap((field) => {
    const label = element("label", field.name);
    label.htmlFor = `field-${field.name}`;
    const isOnly = shownFields().length === 1;
    label.append(element("span", ` ${field.help}${field.type === "list" ? ", one a line" : ""}`
      + (field.required || isOnly ? "" : " (may be empty)"), "small"));
    const input = foreign("textarea", "");
    input.id = `field-${field.name}`;
    input.rows = ["passage", "source", "text", "documents"].includes(field.name) ? 4 : 2;
    return [label, input];
  }));
  byId("send").textContent = WAYS[way()];
  byId("sample").textContent = examples().length < 2 ? "Example" : "Next example";
  exampleNumber = -1;
  nextExample();
  clearAnswer();
}

function examples() {
  if (way() === RANK) return [{ query: "When is it open?", documents: ["It opens at nine.", "Roses bloom in June."] }];
  if (way() === COMPARE) return [{ first: "When is it open?", second: "It opens at nine." }];
  if (way() !== CONTINUE) return model.examples;
  return model.examples.map((row) => ({ prompt: row.prompt ?? (row.text ?? "").split(/\s+/).slice(0, PROMPT_WORDS).join(" ") }));
}

function nextExample() {
  exampleNumber = (exampleNumber + 1) % examples().length;
  for (const field of shownFields()) {
    const value = examples()[exampleNumber][field.name] ?? "";
    byId(`field-${field.name}`).value = Array.isArray(value) ? value.join("\n") : value;
  }
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

function clearAnswer() {
  byId("answer").hidden = true;
  byId("shown").replaceChildren();
  showExplaining(null);
}

function show(nodes, json) {
  byId("shown").replaceChildren(...nodes);
  byId("json").textContent = JSON.stringify(json, null, 2);
  byId("answer").hidden = false;
}

// What may be asked to be explained: the row, and the text that was written for it; null for nothing.
function showExplaining(row, target, values = {}) {
  explained = row && { row, target };
  const canBe = model.endpoints.includes("/v1/attribute");
  byId("why").hidden = !row || !canBe;
  byId("words").replaceChildren();
  byId("unexplained").hidden = !row || canBe;
  byId("unexplained").textContent = `Which words led there cannot be said. ${model.attribution_refusal}`;
  const names = typeof values.probabilities === "object" && values.probabilities !== null && !row.choices ? model.labels : [];
  byId("labels").hidden = names.length < 2;
  byId("label").replaceChildren(new Option("what it predicts", ""), ...names.map((name) => new Option(name, name)));
}

async function predict(row, signal) {
  const response = await call(PREDICT, { model: model.id, rows: [row], detail: true }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  const body = await response.json(), values = body.predictions[0];
  const notes = (body.truncated || []).map((each) => truncationNote(each.tokens));
  show([...answerNodes(model, row, values, body.details[0]), ...notes], values);
  showExplaining(row, "log_probability" in values ? values.prediction || undefined : undefined, values);
  return say("");
}

async function rank(row, signal) {
  const response = await call(RANK, { model: model.id, ...row }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  const body = await response.json();
  show(rankedNodes(row.documents, body.results), body);
  return say("");
}

async function compare(row, signal) {
  const response = await call(COMPARE, { model: model.id, input: [row.first ?? "", row.second ?? ""] }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  const [first, second] = (await response.json()).data.map((each) => each.embedding);
  const similarity = first.reduce((sum, value, index) => sum + value * second[index], 0);
  show(similarityNodes(similarity), { similarity });
  return say("");
}

// Pieces as they are written; what stands there when it is stopped stays.
async function write(row, signal) {
  const prompt = row.prompt ?? "", text = foreign("p", "", "text"), events = [];
  const response = await call(CONTINUE, { model: model.id, prompt, stream: true }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  text.append(element("span", prompt, "small"));
  byId("shown").setAttribute("aria-busy", "true");
  show([text], {});
  let written = "";
  try {
    for await (const event of eventsOf(response)) {
      events.push(event);
      if (event.error) return say(event.error.message, true);
      const piece = event.choices.map((choice) => choice.text).join("");
      written += piece;
      text.append(piece);
    }
  } finally {
    byId("shown").removeAttribute("aria-busy");
    byId("json").textContent = JSON.stringify({ text: written, last_event: events.at(-1) ?? null }, null, 2);
    showExplaining(written.trim() && prompt ? row : null, firstWords(written));
  }
  return say("");
}

function firstWords(text) {
  return text.match(new RegExp(`^\\s*(\\S+\\s+){0,${EXPLAINED_WORDS - 1}}\\S+`))?.[0] ?? text;
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (waiting + part.value).split("\n\n");
    waiting = lines.pop();
    for (const line of lines.filter((each) => each.startsWith("data: {"))) yield JSON.parse(line.slice(6));
  }
}

async function explain(signal) {
  const { row, target } = explained;
  const named = byId("label").value || target;
  const response = await call("/v1/attribute", { model: model.id, rows: [row], ...(named ? { target: named } : {}) }, signal);
  if (!response.ok) return say(await refusalText(response), true);
  byId("words").replaceChildren(...attributionNodes(await response.json()));
  return say("");
}

// One thing at a time; whatever it is, it can be stopped.
async function running(work) {
  if (asking) return;
  asking = new AbortController();
  say("…");
  byId("send").disabled = byId("explain").disabled = true;
  byId("stop").hidden = false;
  try {
    await work(asking.signal);
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : "The server does not answer.", error.name !== "AbortError");
  } finally {
    asking = null;
    byId("send").disabled = byId("explain").disabled = false;
    byId("stop").hidden = true;
  }
}

function send() {
  if (asking) return;
  clearAnswer();
  const work = { [PREDICT]: predict, [CONTINUE]: write, [RANK]: rank, [COMPARE]: compare }[way()];
  running((signal) => work(rowOfForm(), signal));
}

function stop() {
  if (asking) asking.abort();
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
byId("form").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } });
byId("access").addEventListener("submit", (event) => { event.preventDefault(); token = byId("token").value.trim(); loadModels(); });
byId("model").addEventListener("change", showModel);
byId("way").addEventListener("change", showFields);
byId("sample").addEventListener("click", nextExample);
byId("stop").addEventListener("click", stop);
byId("explain").addEventListener("click", () => { byId("words").replaceChildren(); running(explain); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });
loadModels();
