"use strict";

// What is asked of the server, and what it answers.

const PARTIAL_IMAGES = 3;

let apiKey = "";

class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, options = {}) {
  const headers = { ...options.headers, ...(apiKey && { Authorization: `Bearer ${apiKey}` }) };
  const sent = fetch(path, { ...options, headers });
  const answer = await reached(sent, "The server cannot be reached. Is it still running?");
  if (!answer.ok) throw await httpError(answer);
  return answer;
}

/** Replaces the browser's message for a broken connection: it differs between browsers and does not help. */
async function reached(promise, otherwise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(otherwise);
  }
}

async function httpError(answer) {
  const body = await answer.json().catch(() => null);
  const message = body?.error?.message ?? `${answer.status} ${answer.statusText}`;
  const wait = answer.headers.get("Retry-After");
  return new HttpError(answer.status, said(message) + (wait ? ` Try again in ${wait} s.` : ""));
}

const said = text => `The server says: ${text}${/[.!?]$/.test(text) ? "" : "."}`;

/** The JSON of each server-sent event of a body; leaving the loop closes the connection. */
async function* serverEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reached(reader.read(), "The connection broke before the image was finished.");
      if (done) return;
      const messages = (text + value).replaceAll("\r\n", "\n").split("\n\n");
      text = messages.pop();
      yield* messages.map(eventData).filter(Boolean).map(data => JSON.parse(data));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const eventData = message =>
  message.split("\n").filter(line => line.startsWith("data:")).map(line => line.slice(5).trim()).join("\n");

/**
 * Make one image; `onPartial(png, index)` is called with each partial image.
 *
 * `start` is null, or has the blobs `image` and perhaps `mask`. Returns { png, facts }: the file, and its recipe as
 * the server tells it.
 */
async function make(recipe, start, onPartial, signal) {
  const fields = { ...recipe, n: 1, stream: true, partial_images: PARTIAL_IMAGES, output_format: "png" };
  const answer = await (start ? sendForm(fields, start, signal) : sendJson(fields, signal));
  for await (const event of serverEvents(answer.body)) {
    if (event.error) throw new Error(said(event.error.message));
    const png = pngOf(event);
    if (event.type.endsWith(".completed")) return { png, facts: event.ddim_edge ?? {} };
    onPartial(png, event.partial_image_index);
  }
  throw new Error("The server stopped before the image was finished.");
}

function sendJson(fields, signal) {
  const headers = { "Content-Type": "application/json" };
  return call("v1/images/generations", { method: "POST", headers, body: JSON.stringify(fields), signal });
}

function sendForm(fields, start, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) [value].flat().forEach(each => body.append(name, each));
  body.append("image", start.image, "start.png");
  if (start.mask) body.append("mask", start.mask, "mask.png");
  return call("v1/images/edits", { method: "POST", body, signal });
}

function pngOf(event) {
  const bytes = Uint8Array.from(atob(event.b64_json), letter => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
