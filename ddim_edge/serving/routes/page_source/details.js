"use strict";

// One image: its denoising, its recipe, and the commands that make it again.

let detailed = null; // the image that is shown

function showDetails(image) {
  detailed = image;
  const { recipe, frames, size: [width, height] } = image;
  at("details-title").textContent = nameOf(recipe);
  at("big").classList.toggle("pixelated", isSmall(width, height));
  Object.assign(at("big"), { width, height });
  Object.assign(at("scrub"), { max: frames.length, value: frames.length });
  at("scrub-field").hidden = !frames.length;
  setDownload(at("details-download"), image);
  at("facts").replaceChildren(...factsOf(image).flatMap(([name, value]) => [
    newElement("dt", { textContent: name }), newElement("dd", { textContent: value }),
  ]));
  showFrame();
  showCommand();
  at("details").showModal();
}

/** Show the partial image that the slider is at; its last place is the finished image. */
function showFrame() {
  const { frames, png, recipe } = detailed;
  const index = number("scrub");
  const isLast = index >= frames.length;
  const text = isLast ? "the finished image" : `preview ${index + 1} of ${frames.length}`;
  Object.assign(at("big"), { src: addressOf(isLast ? png : frames[index]), alt: `${nameOf(recipe)}: ${text}` });
  at("scrub-text").textContent = text;
  at("scrub").setAttribute("aria-valuetext", text);
}

function factsOf({ recipe, start, size: [width, height], made }) {
  return [
    ["Model", recipe.model],
    ["Label", recipe.labels?.join(", ")],
    ["Prompt", recipe.prompt === "" ? "empty" : recipe.prompt],
    ["What to avoid", recipe.negative_prompt],
    ["Start", start && (start.mask ? "a picture with a mask" : "a picture")],
    ["Strength", recipe.strength],
    ["Seed", recipe.seed],
    ["Steps", recipe.num_inference_steps],
    ["Sampler", recipe.sampler],
    ["Guidance", recipe.guidance_scale],
    ["Step cache", recipe.cache],
    ["Size", `${width}×${height}`],
    ["Made", made.toLocaleString()],
  ].filter(([, value]) => value !== undefined && value !== null);
}

function showCommand() {
  const language = at("language").value;
  at("command").textContent = COMMANDS[language](detailed);
  at("command-note").textContent = noteOf(detailed, language);
  const links = filesOf(detailed, language).map(([name, blob]) =>
    newElement("a", { className: "button", textContent: `Save ${name}`, href: addressOf(blob), download: name }));
  at("files").replaceChildren(at("copy"), ...links);
  at("copy").textContent = "Copy";
}

at("scrub").oninput = showFrame;
at("language").onchange = showCommand;
at("copy").onclick = async () => {
  const copied = await copyText(at("command").textContent);
  at("copy").textContent = copied ? "Copied" : "Select the text and copy it: this browser does not let the page copy";
};
at("reuse").onclick = () => {
  at("details").close();
  reuse(detailed);
};
at("start-from").onclick = async () => {
  at("details").close();
  await startFrom(detailed.png);
  at("start").querySelector("summary").focus();
  say("The form now starts from this image.");
};
for (const button of document.querySelectorAll("dialog .close")) {
  button.onclick = () => button.closest("dialog").close();
}
