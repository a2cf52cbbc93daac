"use strict";

// The images that were made, in the browser's IndexedDB: each address of a server has its own.

const IMAGES = "images";

const settled = request => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

let opening = null;

function database() {
  opening ??= settled(Object.assign(indexedDB.open(`ddim-edge ${location.pathname}`, 1), {
    onupgradeneeded() { this.result.createObjectStore(IMAGES, { keyPath: "id", autoIncrement: true }); },
  }));
  return opening;
}

async function images(mode = "readwrite") {
  return (await database()).transaction(IMAGES, mode).objectStore(IMAGES);
}

/** Store an image, and set its id. Where the browser stores nothing, the image stays until the page is closed. */
async function keep(image) {
  try {
    image.id = await settled((await images()).add(image));
  } catch (error) {
    complain(`This browser did not store the image (${error.name}): it is gone when the page is closed.`);
  }
}

/** All stored images, the oldest first. */
async function kept() {
  try {
    return await settled((await images("readonly")).getAll());
  } catch {
    return [];
  }
}

async function discard(image) {
  if (image.id !== undefined) await settled((await images()).delete(image.id));
}

async function discardAll() {
  await settled((await images()).clear());
}
