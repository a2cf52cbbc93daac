"use strict";

// An image is { id, recipe, facts, png, frames, start, size, made }: its request, the server's recipe, its PNG file, the
// partial images, what it started from, and when it was made.

const wordsOf = recipe => recipe.labels?.join(", ") || recipe.prompt || recipe.model;
const nameOf = recipe => `${wordsOf(recipe)}, seed ${recipe.seed}`;

function describe(recipe, start) {
  const { model, seed, num_inference_steps, sampler, guidance_scale, cache, size } = recipe;
  const guidance = guidance_scale === undefined ? [] : [`guidance ${guidance_scale}`];
  const others = [...(cache ? [`cache ${cache}`] : []), ...(size ? [size.replace("x", "×")] : []), ...(start ? ["from a picture"] : [])];
  return [model, `seed ${seed}`, `${num_inference_steps} steps`, sampler, ...guidance, ...others].join(" · ");
}

const cards = new Map(); // from each finished image to its card

/** New cards, one for each image; the earlier cards move to the gallery. */
function newStage(recipes, start, size) {
  at("gallery").prepend(...at("stage").children);
  showEarlier();
  const made = recipes.map(recipe => newCard(recipe, start, size));
  at("stage").replaceChildren(...made);
  show(made[0]);
  return made;
}

function showEarlier() {
  at("earlier").hidden = !at("gallery").children.length;
}

/** Show the images of earlier visits, the newest first. */
async function loadGallery() {
  const opened = new Date();
  const earlier = (await kept()).filter(image => image.made < opened);
  for (const image of earlier.reverse()) {
    const card = newCard(image.recipe, image.start, image.size);
    finishCard(card, image);
    at("gallery").append(card);
  }
  showEarlier();
}

function newCard(recipe, start, [width, height]) {
  const card = at("card").content.cloneNode(true).firstElementChild;
  const image = card.querySelector("img");
  Object.assign(image, { width, height, alt: `${nameOf(recipe)}: not started` });
  image.src = `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='${width}' height='${height}'/>`;
  card.classList.toggle("pixelated", isSmall(width, height));
  card.querySelector("progress").setAttribute("aria-label", `Progress of ${nameOf(recipe)}`);
  card.querySelector(".title").textContent = wordsOf(recipe);
  card.querySelector(".recipe").textContent = describe(recipe, start);
  return card;
}

function showPartial(card, recipe, png, index) {
  card.querySelector("progress").value = index + 1;
  Object.assign(card.querySelector("img"), {
    src: addressOf(png),
    alt: `${nameOf(recipe)}: preview ${index + 1} of ${PARTIAL_IMAGES}`,
  });
}

function finishCard(card, image) {
  cards.set(image, card);
  const picture = card.querySelector("img");
  Object.assign(picture, { src: addressOf(image.png), alt: nameOf(image.recipe) });
  picture.onclick = () => card.querySelector(".open").click();
  card.querySelector("progress").remove();
  setDownload(card.querySelector(".download"), image);
  card.querySelector(".open").onclick = () => showDetails(image);
  card.querySelector(".choose").onclick = () => chooseToCompare(image);
  card.querySelector(".delete").onclick = () => deleteImage(image);
  for (const control of card.querySelectorAll("button, a")) {
    control.setAttribute("aria-label", `${control.textContent}: ${nameOf(image.recipe)}`);
  }
  card.querySelector(".row").hidden = false;
}

function setDownload(link, image) {
  Object.assign(link, { href: addressOf(image.png), download: `${stemOf(image.recipe)}.png` });
}

async function deleteImage(image) {
  try {
    await discard(image);
  } catch (error) {
    return complain(`This browser did not delete the image (${error.name}).`);
  }
  const card = cards.get(image);
  const neighbour = card.nextElementSibling ?? card.previousElementSibling;
  forget(image);
  showEarlier();
  (neighbour?.querySelector(".delete") ?? at("generate")).focus();
  say("The image is deleted.");
}

async function deleteAll() {
  if (!confirm(`Delete ${counted(cards.size)} from this browser?`)) return;
  try {
    await discardAll();
  } catch (error) {
    return complain(`This browser did not delete the images (${error.name}).`);
  }
  [...cards.keys()].forEach(forget);
  showEarlier();
  at("generate").focus();
  say("All images are deleted.");
}

function forget(image) {
  cards.get(image).remove();
  cards.delete(image);
  unchoose(image);
  forgetAddresses([image.png, ...image.frames]);
}

at("delete-all").onclick = deleteAll;
