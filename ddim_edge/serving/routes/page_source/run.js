"use strict";

// A run: one request for each image, all at once.

let running = null; // the AbortController of the current run

async function run() {
  if (at("random").checked) drawSeed();
  const controller = running = new AbortController();
  showRunning(true);
  complain("");
  const recipes = Array.from({ length: number("count") }, (_, index) => recipeOf(index));
  const size = chosenSize();
  const start = await startingPoint();
  const stage = newStage(recipes, start, size);
  const started = performance.now();
  let done = 0;
  const tell = () => say(`Making ${counted(recipes.length)}, ${done} finished …`);
  tell();
  const outcomes = await Promise.allSettled(recipes.map(async (recipe, index) => {
    await makeOn(stage[index], { recipe, start, size }, controller.signal);
    done += 1;
    tell();
  }));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const finished = done ? `Finished ${counted(done)} in ${seconds} s.` : "";
  say(controller.signal.aborted ? `Cancelled, ${done} finished.` : finished);
  running = null;
  showRunning(false);
  outcomes.forEach((outcome, index) => outcome.status === "rejected" && stage[index].remove());
  report(...outcomes.map(outcome => outcome.reason).filter(Boolean));
}

/** Make an image, show its partial images and itself on a card, and store it. */
async function makeOn(card, { recipe, start, size }, signal) {
  const frames = [];
  const onPartial = (png, index) => {
    frames.push(png);
    showPartial(card, recipe, png, index);
  };
  const { png, facts } = await make(recipe, start, onPartial, signal);
  const image = { recipe, facts, png, frames, start, size, made: new Date() };
  await keep(image);
  finishCard(card, image);
}

function cancel() {
  running?.abort();
}

/** `aria-disabled` keeps the focus; `disabled` would remove it. */
function showRunning(on) {
  at("generate").setAttribute("aria-disabled", on);
  if (!on && document.activeElement === at("cancel")) at("generate").focus();
  at("cancel").disabled = !on;
}

/** Show each error message once; ask for the key if it is missing. */
function report(...errors) {
  const real = errors.filter(error => error.name !== "AbortError");
  if (!real.length) return;
  complain([...new Set(real.map(error => error.message))].join(" "));
  if (real.some(error => error.status === 401)) askForKey();
}

function askForKey() {
  if (!apiKey) complain("");
  at("key-form").hidden = false;
  at("key").focus();
}

at("cancel").onclick = cancel;
document.onkeydown = event => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) cancel();
};
at("form").onsubmit = event => {
  event.preventDefault();
  if (!running) run();
};
at("key-form").onsubmit = event => {
  event.preventDefault();
  apiKey = at("key").value;
  at("key").value = "";
  at("key-form").hidden = true;
  loadModels();
};

drawSeed();
loadModels();
loadGallery();
