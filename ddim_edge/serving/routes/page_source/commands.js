"use strict";

// Commands that make an image again: for the shell, for Python, and for the API.

/** A word of a POSIX shell. */
const shellWord = text => /^[\w./:=-]+$/.test(text) ? `${text}` : `'${`${text}`.replaceAll("'", `'\\''`)}'`;

/** A literal of Python: JSON's strings and numbers are written the same way. */
const literal = value => JSON.stringify(value);

/** A literal of a float: JSON writes 2.0 as 2, and the recipe in the file keeps the difference. */
const floatLiteral = value => Number.isInteger(value) ? value.toFixed(1) : literal(value);

const joined = parts => parts.join(" \\\n  ");

/** The name of an image's file without its suffix. */
function stemOf(recipe) {
  const name = `${recipe.model}-${wordsOf(recipe).slice(0, 80)}-${recipe.seed}`;
  return name.replace(/[^\p{L}\p{N}-]+/gu, "-");
}

/** The label as `ddim-edge run --labels` takes it: by its number if its name has a comma, which parts names there. */
function labelWord(recipe) {
  const [label] = recipe.labels;
  const labels = models.find(model => model.id === recipe.model)?.ddim_edge.labels ?? [];
  return label.includes(",") && labels.includes(label) ? labels.indexOf(label) : label;
}

/** Whether the model reads text, and so takes an empty prompt, too. */
const takesText = ({ recipe, facts }) => Boolean(recipe.prompt || facts.prompts);

const sizeOptions = ({ recipe, size: [width, height] }) => recipe.size ? { width, height } : {};
const precisionOf = facts => facts.precision && facts.precision !== "float32" ? { precision: facts.precision } : {};

function runCommand(image) {
  const { recipe, start, facts } = image;
  const given = {
    ...(recipe.labels && { labels: labelWord(recipe) }),
    ...(takesText(image) && { prompt: recipe.prompt }),
    ...(recipe.negative_prompt !== undefined && { "negative-prompt": recipe.negative_prompt }),
    ...(start && { "init-image": "start.png" }),
    ...(start?.mask && { mask: "mask.png" }),
    ...(recipe.strength && { strength: recipe.strength }),
    ...sizeOptions(image),
    "num-images": 1,
    steps: recipe.num_inference_steps,
    sampler: recipe.sampler,
    ...(recipe.guidance_scale !== undefined && { "guidance-scale": recipe.guidance_scale }),
    ...(recipe.cache && { cache: recipe.cache }),
    seed: recipe.seed,
    "batch-size": 1,
    ...precisionOf(facts),
    output: `${stemOf(recipe)}/`,
  };
  const words = Object.entries(given).map(([name, value]) => `--${name} ${shellWord(value)}`);
  return joined([`ddim-edge run ${shellWord(recipe.model)}`, ...words]);
}

function pythonCode(image) {
  const { recipe, start, facts } = image;
  const { width, height } = sizeOptions(image);
  const given = {
    ...(recipe.labels && { labels: literal(recipe.labels) }),
    ...(takesText(image) && { prompt: literal(recipe.prompt) }),
    ...(recipe.negative_prompt !== undefined && { negative_prompt: literal(recipe.negative_prompt) }),
    ...(start && { origin: "origin" }),
    ...(recipe.strength && { strength: floatLiteral(recipe.strength) }),
    ...(width && { width, height }),
    num_images: 1,
    num_steps: recipe.num_inference_steps,
    sampler: literal(recipe.sampler),
    ...(recipe.guidance_scale !== undefined && { guidance_scale: floatLiteral(recipe.guidance_scale) }),
    ...(recipe.cache && { cache: literal(recipe.cache) }),
    seed: recipe.seed,
    batch_size: 1,
  };
  const loading = Object.entries(precisionOf(facts)).map(([name, value]) => `, ${name}=${literal(value)}`);
  return [
    "import ddim_edge",
    "",
    `pipeline = ddim_edge.load(${literal(recipe.model)}${loading.join("")})`,
    ...(start ? originLines(image) : []),
    "result = pipeline.generate(",
    ...Object.entries(given).map(([name, value]) => `    ${name}=${value},`),
    ")",
    `result.save(${literal(`${stemOf(recipe)}/`)})`,
  ].join("\n");
}

function originLines(image) {
  const { width, height } = sizeOptions(image);
  const size = width ? `height=${height}, width=${width}` : "";
  const mask = image.start.mask ? `, mask=ddim_edge.read_mask("mask.png", shape)` : "";
  return [
    `shape = pipeline.bundle.image_shape(${size})`,
    `origin = ddim_edge.Origin(image=ddim_edge.read_picture("start.png", shape)${mask})`,
  ];
}

function curlCommand({ recipe, start }) {
  const fields = { ...recipe, n: 1, output_format: "png" };
  const key = apiKey ? [`-H "Authorization: Bearer $DDIM_EDGE_API_KEY"`] : [];
  const body = start ? curlForm(fields, start) : ["-H 'Content-Type: application/json'", `-d ${shellWord(jsonOf(fields))}`];
  const path = start ? "v1/images/edits" : "v1/images/generations";
  const sent = joined([`curl -sS ${shellWord(new URL(path, location.href).href)}`, ...key, ...body]);
  return `${sent} |\n  sed 's/.*"b64_json": *"\\([^"]*\\)".*/\\1/' | base64 --decode > ${shellWord(`${stemOf(recipe)}.png`)}`;
}

function curlForm(fields, start) {
  const pairs = Object.entries(fields).flatMap(([name, value]) => [value].flat().map(each => `${name}=${each}`));
  const files = ["-F image=@start.png", ...(start.mask ? ["-F mask=@transparent-mask.png"] : [])];
  return [...pairs.map(pair => `--form-string ${shellWord(pair)}`), ...files];
}

const jsonOf = recipe => JSON.stringify(recipe);

const COMMANDS = { run: runCommand, python: pythonCode, curl: curlCommand, json: image => jsonOf(image.recipe) };

/** The files that a command reads: [name, blob] each. */
function filesOf({ start }, language) {
  if (!start || language === "json") return [];
  const masks = language === "curl" ? ["transparent-mask.png", start.mask] : ["mask.png", start.whiteMask];
  return [["start.png", start.image], ...(start.mask ? [masks] : [])];
}

/** What has to be known of a command besides its text. */
function noteOf({ recipe, start }, language) {
  const local = "Writes the same file, in a folder. An image that was made in one batch with others may differ by a " +
    `rounding error. If ${recipe.model} is no bundled model, write the folder of its bundle in its place.`;
  return {
    run: local,
    python: local,
    curl: `For bash or zsh.${apiKey ? " DDIM_EDGE_API_KEY is the server's key." : ""}`,
    json: start ? "The text fields of a form for POST /v1/images/edits." : "The body of POST /v1/images/generations.",
  }[language];
}
