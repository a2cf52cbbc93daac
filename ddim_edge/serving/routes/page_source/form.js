"use strict";

// The form: what the chosen model can, and the recipes that it asks for.

const GUIDED = "1 is off; higher values follow the label more closely.";
const GUIDED_BY_TEXT = "1 is off; higher values follow the prompt more closely.";
const NOT_GUIDED = "Guidance is off: this model was not trained with a null class, which guidance needs.";
const ANY_TEXT = "What the image should show.";
const EMPTY_PROMPT = "Empty: no text guides the image (unconditional), so it may show anything that the model knows.";
const VARIATION = "Empty: a variation of the picture that no text guides.";
const NO_TEXT = "Leave it empty: this model takes no text.";
const NO_LABEL = "No class guides the image (unconditional), so it may show anything that the model knows.";
const NO_IMAGES = "This server makes no images that a page can ask for. /docs says what its models take.";
const NO_CLASS = "none";
const ANY_CLASS = " any";

let models = [];

const chosenModel = () => models.find(model => model.id === at("model").value);

/** What the model takes, and its author's defaults. */
const traits = () => chosenModel().ddim_edge;

async function loadModels() {
  complain("");
  try {
    models = (await (await call("v1/models")).json()).data;
    if (!models.length) return say(NO_IMAGES);
    options(at("model"), models.map(model => model.id));
    showModel();
    at("fields").disabled = false;
    say("Ready. Images appear here.");
  } catch (error) {
    say("");
    report(error);
  }
}

function showModel() {
  const { text, labels, samplers, caches, guidance, negative_prompt, size_multiple } = traits();
  const none = guidance ? [["none (no class)", NO_CLASS]] : [];
  options(at("label"), [...labels, ["any, drawn at random", ANY_CLASS], ...none]);
  at("label-field").hidden = text || labels.length === 0;
  at("prompt-field").hidden = !text && labels.length > 0;
  at("negative-field").hidden = !negative_prompt;
  options(at("sampler"), samplers);
  options(at("cache"), [["off", ""], ...caches]);
  at("guidance").disabled = !guidance;
  at("guidance-note").textContent = text ? GUIDED_BY_TEXT : guidance ? GUIDED : NOT_GUIDED;
  for (const id of ["width", "height"]) Object.assign(at(id), { min: size_multiple ?? 1, step: size_multiple ?? 1 });
  showDefaults();
}

/** Set everything but model, label, prompt and seed to the model's defaults. */
function showDefaults() {
  const { sampler: own, samplers, num_inference_steps, guidance, guidance_scale, size, ...rest } = traits();
  const [width, height] = size;
  const sampler = own ?? samplers[0];
  const values = { sampler, steps: num_inference_steps, guidance: guidance_scale, width, height };
  setValues({ ...values, negative: rest.default_negative_prompt ?? "", strength: "", cache: "" });
  const guided = guidance && guidance_scale !== 1 ? `, guidance ${guidance_scale}` : "";
  const said = `${num_inference_steps} steps of ${sampler}${guided}, ${width}×${height} pixels`;
  at("model-note").textContent = `Its defaults: ${said}.`;
  fitPicture();
  showPromptNote();
}

function setValues(values) {
  for (const [id, value] of Object.entries(values)) at(id).value = value;
}

function showPromptNote() {
  const { text } = traits();
  const empty = source ? VARIATION : EMPTY_PROMPT;
  at("prompt-note").textContent = !text ? NO_TEXT : at("prompt").value.trim() ? ANY_TEXT : empty;
  at("label-note").hidden = at("label").value !== NO_CLASS;
  at("label-note").textContent = source ? "A variation of the picture that no class guides." : NO_LABEL;
}

function drawSeed() {
  at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
}

/** The request body for image `index`: sent to the API again, it gives the same image. */
function recipeOf(index) {
  const { guidance, size } = traits();
  const [width, height] = chosenSize();
  const isUsual = width === size[0] && height === size[1];
  return {
    model: at("model").value,
    ...conditioning(),
    ...negativePrompt(),
    seed: number("seed") + index,
    num_inference_steps: number("steps"),
    sampler: at("sampler").value,
    ...(guidance && { guidance_scale: number("guidance") }),
    ...(at("cache").value && { cache: at("cache").value }),
    ...(!isUsual && { size: `${width}x${height}` }),
    ...(source && at("strength").value && { strength: number("strength") }),
  };
}

/** An empty one is sent only in place of the model's default. */
function negativePrompt() {
  const { negative_prompt, default_negative_prompt } = traits();
  const text = at("negative").value;
  return negative_prompt && (text || default_negative_prompt) ? { negative_prompt: text } : {};
}

function conditioning() {
  const { text, labels } = traits();
  if (text || labels.length === 0) return { prompt: at("prompt").value };
  const label = at("label").value;
  return { labels: [label === ANY_CLASS ? labels[Math.floor(Math.random() * labels.length)] : label] };
}

async function reuse({ recipe, start, size: [width, height] }) {
  if (!models.some(model => model.id === recipe.model)) {
    return complain(`This server has no model named ${recipe.model} now.`);
  }
  at("model").value = recipe.model;
  showModel();
  if (recipe.labels) at("label").value = recipe.labels[0];
  const { prompt = "", negative_prompt = "", seed, num_inference_steps, sampler, guidance_scale = 1 } = recipe;
  setValues({ prompt, negative: negative_prompt, seed, steps: num_inference_steps, sampler, guidance: guidance_scale });
  setValues({ width, height, strength: recipe.strength ?? "", cache: recipe.cache ?? "", count: 1 });
  at("random").checked = false;
  if (start) await startFrom(start.image, start.mask);
  else removePicture();
  showPromptNote();
  at("generate").focus();
  say("The form now has these settings.");
}

at("model").onchange = showModel;
at("label").onchange = showPromptNote;
at("prompt").oninput = showPromptNote;
at("seed").oninput = () => { at("random").checked = false; };
at("defaults").onclick = () => { showDefaults(); say("The form has the model's defaults."); };
