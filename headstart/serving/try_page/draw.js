// How answers are drawn. Text reaches the page as text alone: textContent, never markup; its direction is its own.
"use strict";

const MAX_BARS = 20;  // labels that are drawn, the likeliest first
const CHART_TOKENS = 6;  // of a start or end chart
const LISTED_WORDS = 5;  // of an attribution

function element(name, text = "", className = "") {
  const node = document.createElement(name);
  if (text !== "") node.textContent = text;
  if (className) node.className = className;
  return node;
}

function foreign(name, text, className = "") {  // text of users and models: it may be written from right to left
  const node = element(name, text, className);
  node.dir = "auto";
  return node;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// Rows of name, share and whether it is chosen, with a bar for each, in this order.
function barRows(rows) {
  const box = element("div", "", "bars");
  for (const [name, share, isChosen] of rows) {
    const meter = element("meter");
    meter.value = share;
    meter.setAttribute("aria-label", `${name}${isChosen ? ", chosen" : ""}`);
    meter.title = `${name}: ${percent(share)}`;
    box.append(foreign("span", name, isChosen ? "name chosen" : "name"), meter, element("span", percent(share), "share"));
  }
  return box;
}

function bars(shares, chosen = []) {
  const sorted = shares.slice().sort((first, second) => second[1] - first[1]);
  const nodes = [barRows(sorted.slice(0, MAX_BARS).map(([name, share]) => [name, share, chosen.includes(name)]))];
  if (sorted.length > MAX_BARS) nodes.push(element("p", `… ${sorted.length - MAX_BARS} more in the JSON`, "small"));
  return nodes;
}

// A text with some of its parts in nodes of their own. Offsets count characters as Python does.
function cutText(text, parts, draw, className = "text") {
  const characters = Array.from(text), box = foreign("p", "", className);
  let end = 0;
  for (const part of parts) {
    if (part.begin < end) continue;
    box.append(characters.slice(end, part.begin).join(""), draw(part, characters.slice(part.begin, part.end).join("")));
    end = part.end;
  }
  box.append(characters.slice(end).join(""));
  return box;
}

function markedSpans(text, spans) {
  const kinds = [...new Set(spans.map((span) => span.type))].sort();
  const parts = spans.map((span) => ({ ...span, begin: span.start }))
    .sort((first, second) => first.begin - second.begin || second.end - first.end);
  const nodes = [cutText(text, parts, (span, words) => {
    const mark = foreign("mark", words, `kind${kinds.indexOf(span.type) % 6}`);
    if (span.type) mark.append(foreign("span", span.type, "type"));
    if (span.probability !== undefined) mark.title = percent(span.probability);
    return mark;
  })];
  let end = 0, hidden = 0;
  for (const span of parts) {
    if (span.begin < end) hidden += 1;
    else end = span.end;
  }
  if (hidden) nodes.push(element("p", `${counted(hidden, "span")} within others, in the JSON`, "small"));
  return nodes;
}

function valueText(value) {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toFixed(4);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function facts(values) {
  const list = element("dl");
  for (const [name, value] of Object.entries(values)) {
    list.append(foreign("dt", name.replaceAll("_", " ")), foreign("dd", valueText(value)));
  }
  return list;
}

function isEmpty(value) {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
}

// The likeliest starts and ends of an answer, in the order of the passage.
function tokenCharts(chart) {
  const box = element("div", "", "charts");
  for (const [column, kind] of ["start", "end"].entries()) {
    const tokens = chart.tokens.map((token, index) => [token.piece, token[kind], chart.answer_tokens?.[column] === index, index]);
    const likeliest = tokens.slice().sort((first, second) => second[1] - first[1]).slice(0, CHART_TOKENS)
      .sort((first, second) => first[3] - second[3]);
    const part = element("div");
    part.append(element("h3", kind === "start" ? "It begins at" : "It ends at"),
      barRows([...likeliest, ["(no answer)", chart.no_answer[column], false]]));
    box.append(part);
  }
  const [number, count] = chart.window;
  return count > 1 ? [box, element("p", `These are tokens of part ${number} of ${count} of the passage.`, "small")] : [box];
}

function answerOfPassage(row, values, detail) {
  const hasAnswer = Number.isInteger(values.start) && Number.isInteger(values.end) && !isEmpty(values.prediction);
  const nodes = [hasAnswer ? foreign("p", values.prediction, "big") : element("p", "No answer in this passage.", "big")];
  if (row.passage) nodes.push(...markedSpans(row.passage, hasAnswer ? [{ start: values.start, end: values.end, type: "" }] : []));
  nodes.push(barRows([[hasAnswer ? "this answer" : "its best answer", values.probability ?? 0, hasAnswer],
    ["no answer", values.no_answer_probability ?? 0, !hasAnswer]]));
  if (detail?.chart) nodes.push(...tokenCharts(detail.chart));
  return nodes;
}

function abstentionNote(values) {
  const withheld = isEmpty(values.withheld) ? "" : ` It would have said: ${values.withheld}.`;
  return foreign("p", `The model abstains: it is not sure enough.${withheld}`, "note");
}

// What a prediction looks like, by what it holds.
function answerNodes(model, row, values, detail) {
  const nodes = [], rest = { ...values };
  const take = (...names) => names.forEach((name) => delete rest[name]);
  if (values.abstained) nodes.push(abstentionNote(values));
  take("abstained", ...(isEmpty(values.withheld) || values.abstained ? ["withheld"] : []));
  if (Array.isArray(values.spans)) {
    const text = row.text ?? (row.tokens || []).join(" ");
    nodes.push(...markedSpans(text, values.spans));
    if (!values.spans.length) nodes.push(element("p", "Nothing was found.", "small"));
    take("spans", "prediction");
  } else if ("no_answer_probability" in values) {
    nodes.push(...answerOfPassage(row, values, detail));
    take("prediction", "start", "end", "probability", "no_answer_probability");
  } else if ("prediction" in values && !values.abstained) {
    const prediction = values.prediction;
    nodes.push(isEmpty(prediction) ? element("p", "(none)", "big") :
      foreign("p", Array.isArray(prediction) ? prediction.join(", ") : valueText(prediction),
        "log_probability" in values ? "text" : "big"));
  }
  take("prediction");
  if (values.probabilities && typeof values.probabilities === "object") {
    const names = Array.isArray(values.probabilities) ? row.choices || model.labels : [];
    const chosen = [].concat(values.prediction ?? []).map(String);
    nodes.push(...bars(Object.entries(values.probabilities).map(([name, share]) => [names[name] ?? name, share]), chosen));
    take("probabilities", "probability", "choice");
  }
  for (const [index, fills] of (values.fills || []).entries()) {
    nodes.push(element("h3", `mask ${index + 1}`), ...bars(fills.map((fill) => [fill.token, fill.probability])));
  }
  take("fills");
  if (Object.keys(rest).length) nodes.push(facts(rest));
  return nodes;
}

function truncationNote(tokens) {
  return element("p", `The text is longer than the model reads: ${counted(tokens, "token")} of it were left out.`, "note");
}

function rankedNodes(documents, results) {
  const list = element("ol", "", "ranks");
  const areShares = results.every((result) => result.relevance_score >= 0 && result.relevance_score <= 1);
  for (const result of results) {
    const line = element("li");
    line.append(foreign("span", documents[result.index], "text"));
    line.append(areShares ? barRows([["relevance", result.relevance_score, false]]) :
      element("p", `score ${result.relevance_score.toFixed(3)}`, "small"));
    list.append(line);
  }
  return [list];
}

function similarityNodes(similarity) {
  return [element("p", similarity.toFixed(3), "big"),
    element("p", "Cosine of the two texts' vectors (means of their token states): 1 is the same direction.", "small")];
}

// The words of a row, tinted by how much each supports (solid) or opposes (dashed line) what is explained.
function attributionNodes(attribution) {
  const largest = Math.max(...attribution.words.map((word) => Math.abs(word.score)), 1e-12);
  const level = (score) => Math.round(4 * Math.abs(score) / largest);
  const draw = (word, text) => {
    const node = element("span", text || word.word, level(word.score) ? `word ${word.score > 0 ? "for" : "against"}${level(word.score)}` : "word");
    node.title = `${word.score > 0 ? "+" : ""}${word.score.toFixed(3)}`;
    return node;
  };
  const names = Object.keys(attribution.texts), nodes = [];
  for (const name of names) {
    const words = attribution.words.filter((word) => word.of === name);
    if (names.length > 1) nodes.push(foreign("h3", name));
    nodes.push(words.every((word) => word.end > word.begin) ? cutText(attribution.texts[name], words, draw) :
      wordList(words, draw));
  }
  nodes.push(...strongestWords("Supporting most", attribution.words.filter((word) => word.score > 0)),
    ...strongestWords("Opposing most", attribution.words.filter((word) => word.score < 0)),
    foreign("p", attribution.note, "small"));
  return nodes;
}

function strongestWords(title, words) {
  const strongest = words.sort((first, second) => Math.abs(second.score) - Math.abs(first.score)).slice(0, LISTED_WORDS);
  if (!strongest.length) return [];
  const line = element("p", `${title}: `);
  strongest.forEach((word, index) => line.append(index ? ", " : "", foreign("bdi", word.word),
    ` ${word.score > 0 ? "+" : "−"}${Number(Math.abs(word.score).toPrecision(2))}`));
  return [line];
}

function wordList(words, draw) {  // a tokenizer that knows no characters: its pieces stand in a row
  const box = foreign("p", "", "text");
  words.forEach((word) => box.append(draw(word, ""), " "));
  return box;
}
