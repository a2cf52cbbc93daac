"use strict";

const PIXELATED_UP_TO = 128;

const at = id => document.getElementById(id);
const number = id => at(id).valueAsNumber;
const counted = count => count === 1 ? "1 image" : `${count} images`;
const say = text => { at("status").textContent = text; };
const show = element => element.scrollIntoView({ block: "nearest" });
const isSmall = (width, height) => Math.max(width, height) <= PIXELATED_UP_TO;

function complain(text) {
  at("error").textContent = text;
  if (text) show(at("error"));
}

function options(select, entries) {
  select.replaceChildren(...entries.map(entry => Array.isArray(entry) ? new Option(...entry) : new Option(entry)));
}

function newElement(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** An address of a blob, to be used by elements; each blob has one, until it is forgotten. */
const addresses = new Map();

function addressOf(blob) {
  if (!addresses.has(blob)) addresses.set(blob, URL.createObjectURL(blob));
  return addresses.get(blob);
}

function forgetAddresses(blobs) {
  for (const blob of blobs.filter(blob => addresses.has(blob))) {
    URL.revokeObjectURL(addresses.get(blob));
    addresses.delete(blob);
  }
}

async function copyText(text) {
  try {
    await (navigator.clipboard ? navigator.clipboard.writeText(text) : copyTheOldWay(text));
    return true;
  } catch {
    return false;
  }
}

/** For browsers without `navigator.clipboard`: pages over plain HTTP from another machine do not have it. */
function copyTheOldWay(text) {
  const focused = document.activeElement;
  const area = (focused.closest("dialog") ?? document.body).appendChild(newElement("textarea", { value: text }));
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused.focus();
  if (!copied) throw new Error("not copied");
}
