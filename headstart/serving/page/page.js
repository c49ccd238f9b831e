// The question page. Everything that comes from documents or models is put in as text, never as markup.
"use strict";

const at = (id) => document.getElementById(id);
const NAMES = { mixed: "words and meaning", sparse: "words", dense: "meaning", none: "nothing (write without passages)" };
let about = null;
let running = null;

function made(name, text, more = {}) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(more)) element.setAttribute(key, value);
  return element;
}

function tell(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

function counted(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

async function begin() {
  const answer = await fetch("/about");
  about = await answer.json();
  const writer = about.quotes ? "answers are quoted from them"
    : about.writer ? `answers are written by ${about.writer}` : "no writer is loaded: passages are shown";
  at("about").textContent = `${about.name}: ${counted(about.passages, "passage", "passages")} of `
    + `${counted(about.documents, "document", "documents")}; ${writer}.`;
  at("disclaimer").textContent = about.disclaimer;
  for (const source of about.sources) {
    const label = made("label");
    const input = made("input", undefined, { type: "radio", name: "source", value: source });
    input.checked = source === about.options.source;
    label.append(input, " " + NAMES[source]);
    at("sources").append(label);
  }
  for (const [name, value] of Object.entries(about.options)) {
    const input = at("form").elements[name];
    if (!input || name === "source") continue;
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
  }
  at("writing").hidden = !about.writer || Boolean(about.quotes);
  if (!about.writer) {
    at("form").elements.passages_only.checked = true;
    at("form").elements.passages_only.disabled = true;
  }
  for (const question of about.canned) {
    const button = made("button", question, { type: "button" });
    button.addEventListener("click", () => { at("question").value = question; ask(); });
    at("canned").append(button);
  }
  at("canned").hidden = about.canned.length === 0;
  at("question").focus();
  document.body.dataset.ready = "yes";
}

function settings() {
  const form = at("form").elements;
  const found = { question: at("question").value.trim() };
  for (const [name, usual] of Object.entries(about.options)) {
    if (name === "source") found.source = form.source.value || usual;
    else if (typeof usual === "boolean") found[name] = form[name].checked;
    else found[name] = form[name].value === "" ? usual : Number(form[name].value);
  }
  return found;
}

function clear() {
  for (const id of ["answer", "near", "found"]) at(id).hidden = true;
  at("passages").replaceChildren();
  at("text").replaceChildren();
  at("note").textContent = "";
}

function showPassages(passages) {
  for (const one of passages) {
    const item = made("li", undefined, { id: `passage-${one.number}`, tabindex: "-1" });
    const name = one.title || one.document;
    const place = (one.section || "").startsWith(name) ? one.section : [name, one.section].filter(Boolean).join(" · ");
    item.append(made("h3", `[${one.number}] ${place}`), made("p", one.text, { class: "passage-text" }));
    const where = one.title && one.document && one.title !== one.document ? `${one.document} · ` : "";
    item.append(made("p", `${where}score ${Number(one.score).toFixed(3)}`, { class: "small" }));
    at("passages").append(item);
  }
  at("found").hidden = false;
  if (passages.length === 0) at("passages").append(made("li", "Nothing was found."));
}

function showNear(near) {
  at("near-question").textContent = `${near.question} (similarity ${Number(near.similarity).toFixed(2)})`;
  at("near-answer").textContent = near.answer;
  at("near").hidden = false;
}

function point(number) {
  const item = at(`passage-${number}`);
  if (!item) return;
  for (const other of document.querySelectorAll("li.shown")) other.classList.remove("shown");
  item.classList.add("shown");
  item.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  item.focus({ preventScroll: true });
}

function showAnswer(answer) {
  at("text").replaceChildren();
  for (const sentence of answer.sentences) {
    at("text").append(sentence.text);
    for (const number of sentence.citations) {
      const link = made("a", `[${number}]`, { href: `#passage-${number}`, "aria-label": `passage ${number}` });
      link.addEventListener("click", (event) => { event.preventDefault(); point(number); });
      at("text").append(link);
      at(`passage-${number}`)?.classList.add("cited");
    }
    at("text").append(" ");
  }
  at("note").textContent = answer.note || "";
  at("answer").hidden = false;
}

function take(event) {
  if (event.error) throw new Error(event.fix ? `${event.error} ${event.fix}` : event.error);
  if (event.passages) showPassages(event.passages);
  if (event.nearest) showNear(event.nearest);
  if (event.piece !== undefined) {
    at("answer").hidden = false;
    at("text").append(event.piece);
  }
  if (event.answer) showAnswer(event.answer);
}

async function read(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value || "")).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) take(JSON.parse(line));
    if (done) return;
  }
}

async function ask() {
  if (running) running.abort();
  if (!at("question").value.trim()) return tell("Write a question first.", true);
  if (!at("form").reportValidity()) return undefined;
  const own = running = new AbortController();
  clear();
  tell("Looking …");
  at("stop").hidden = false;
  const begun = performance.now();
  try {
    const answer = await fetch("/ask", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(settings()), signal: own.signal });
    if (!answer.ok) throw new Error((await answer.json()).error);
    await read(answer);
    tell(`Done in ${((performance.now() - begun) / 1000).toFixed(1)} s.`);
  } catch (error) {
    if (running === own) tell(error.name === "AbortError" ? "Stopped." : error.message, error.name !== "AbortError");
  } finally {
    if (running === own) { running = null; at("stop").hidden = true; }
  }
  return undefined;
}

at("form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
at("stop").addEventListener("click", () => running && running.abort());
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(); }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && running) running.abort(); });
begin().catch((error) => tell(`The page cannot reach headstart: ${error.message}`, true));
