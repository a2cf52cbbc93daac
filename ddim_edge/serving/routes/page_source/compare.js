"use strict";

// Two images side by side, and what differs in their recipes.

let chosen = []; // the images that were chosen, at most two

function chooseToCompare(image) {
  if (chosen.includes(image)) return unchoose(image);
  chosen.push(image);
  press(image, true);
  if (chosen.length === 2) compare(...chosen);
  else say("Choose a second image to compare.");
}

function unchoose(image) {
  chosen = chosen.filter(each => each !== image);
  press(image, false);
}

function press(image, isPressed) {
  cards.get(image)?.querySelector(".choose").setAttribute("aria-pressed", isPressed);
}

function compare(...pair) {
  at("compared").replaceChildren(...pair.map(comparedFigure));
  const [left, right] = pair.map(image => new Map(factsOf(image)));
  const names = [...new Set([...left.keys(), ...right.keys()])].filter(name => name !== "Made");
  const differing = names.filter(name => left.get(name) !== right.get(name));
  at("differences").replaceChildren(...differing.map(name => newElement("tr", {},
    newElement("th", { scope: "row", textContent: name }),
    ...[left, right].map(facts => newElement("td", { textContent: facts.get(name) ?? "–" })))));
  at("differences-note").textContent = differing.length ? "What differs" : "The recipes are the same.";
  at("compare").showModal();
}

function comparedFigure(image) {
  const [width, height] = image.size;
  const alt = `${nameOf(image.recipe)}`;
  const className = isSmall(width, height) ? "pixelated" : "";
  const caption = newElement("figcaption", {},
    newElement("strong", { textContent: wordsOf(image.recipe) }),
    newElement("span", { className: "recipe", textContent: describe(image.recipe, image.start) }));
  return newElement("figure", {},
    newElement("img", { src: addressOf(image.png), alt, width, height, className }), caption);
}

at("compare").onclose = () => {
  const [, last] = chosen;
  for (const image of [...chosen]) unchoose(image);
  say("");
  cards.get(last)?.querySelector(".choose").focus();
};
