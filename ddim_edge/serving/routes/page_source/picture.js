"use strict";

// The picture to start from, in the size of the images, and the mask: what is painted on it is made anew.

const pictureCanvas = at("picture").getContext("2d");
const maskCanvas = at("mask").getContext("2d", { willReadFrequently: true });
const PAINT = [226, 62, 160];
const KEY_STEP = 1 / 20;

let source = null; // the ImageBitmap that was chosen
let brush = { x: .5, y: .5 }; // its place, as parts of the picture's width and height

const chosenSize = () => [number("width"), number("height")];

async function startFrom(blob, mask = null) {
  try {
    source = await createImageBitmap(blob);
  } catch {
    return complain("The file is no picture that this browser can read.");
  }
  const maskBitmap = mask && await createImageBitmap(mask);
  complain("");
  fitPicture();
  if (maskBitmap) paintWhereTransparent(maskBitmap);
  at("start-fields").hidden = false;
  at("start").open = true;
  showPromptNote();
}

function removePicture() {
  source = null;
  at("file").value = "";
  at("start-fields").hidden = true;
  showPromptNote();
}

/** Draw the picture in the chosen size, its centre cropped to the shape. The mask is empty then. */
function fitPicture() {
  const [width, height] = chosenSize();
  if (!source || !(width > 0 && height > 0)) return;
  for (const canvas of [at("picture"), at("mask")]) Object.assign(canvas, { width, height });
  at("easel").classList.toggle("pixelated", isSmall(width, height));
  const scale = Math.max(width / source.width, height / source.height);
  const [drawnWidth, drawnHeight] = [source.width * scale, source.height * scale];
  pictureCanvas.imageSmoothingQuality = "high";
  const [left, top] = [(width - drawnWidth) / 2, (height - drawnHeight) / 2];
  pictureCanvas.drawImage(source, left, top, drawnWidth, drawnHeight);
}

/** What a request starts from: null, or { image } and, where a mask is painted, { mask, whiteMask }, as PNG blobs. */
async function startingPoint() {
  if (!source) return null;
  const image = await pngFrom(at("picture"));
  const painted = paintedPixels();
  if (!painted.includes(true)) return { image };
  return {
    image,
    mask: await maskFile(painted, isPainted => [0, 0, 0, isPainted ? 0 : 255]),
    whiteMask: await maskFile(painted, isPainted => isPainted ? [255, 255, 255, 255] : [0, 0, 0, 255]),
  };
}

const pngFrom = canvas => new Promise(resolve => canvas.toBlob(resolve, "image/png"));

function paintedPixels() {
  const { width, height } = at("mask");
  const { data } = maskCanvas.getImageData(0, 0, width, height);
  return Array.from({ length: width * height }, (_, index) => data[4 * index + 3] > 127);
}

/** A mask as a file: of the API it is transparent where it was painted, of `ddim-edge run` it is white there. */
function maskFile(painted, colourOf) {
  const { width, height } = at("mask");
  const canvas = newElement("canvas", { width, height });
  const pixels = new ImageData(new Uint8ClampedArray(painted.flatMap(colourOf)), width, height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return pngFrom(canvas);
}

function paintWhereTransparent(bitmap) {
  const { width, height } = at("mask");
  maskCanvas.fillStyle = `rgb(${PAINT})`;
  maskCanvas.fillRect(0, 0, width, height);
  maskCanvas.globalCompositeOperation = "destination-out";
  maskCanvas.drawImage(bitmap, 0, 0, width, height);
  maskCanvas.globalCompositeOperation = "source-over";
}

function clearMask() {
  maskCanvas.clearRect(0, 0, at("mask").width, at("mask").height);
}

// ---- The brush

/** Its diameter in pixels of the mask. */
const brushWidth = () => Math.max(1, number("brush-size") / 100 * Math.min(at("mask").width, at("mask").height));

function moveBrush(x, y) {
  brush = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  const { width } = at("mask");
  const [left, top, size] = [brush.x, brush.y, brushWidth() / width].map(part => `${100 * part}%`);
  Object.assign(at("brush").style, { left, top, width: size });
  at("brush").hidden = false;
}

/** Paint, or wipe, from a place of the brush to its present one. */
function stroke(from, wipes = at("brush-kind").value === "wipe") {
  const { width, height } = at("mask");
  maskCanvas.globalCompositeOperation = wipes ? "destination-out" : "source-over";
  Object.assign(maskCanvas, { strokeStyle: `rgb(${PAINT})`, lineWidth: brushWidth(), lineCap: "round" });
  maskCanvas.beginPath();
  maskCanvas.moveTo(from.x * width, from.y * height);
  maskCanvas.lineTo(brush.x * width + .001, brush.y * height);
  maskCanvas.stroke();
  maskCanvas.globalCompositeOperation = "source-over";
}

function onPointer(event) {
  const { left, top, width, height } = at("mask").getBoundingClientRect();
  const before = brush;
  moveBrush((event.clientX - left) / width, (event.clientY - top) / height);
  if (event.type === "pointerdown") {
    at("mask").setPointerCapture(event.pointerId);
    stroke(brush);
  } else if (event.buttons & 1) stroke(before);
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onBrushKey(event) {
  const before = brush;
  if (event.key in MOVES) {
    const [x, y] = MOVES[event.key];
    moveBrush(brush.x + x * KEY_STEP, brush.y + y * KEY_STEP);
    if (event.shiftKey) stroke(before);
  } else if (event.key === " ") stroke(brush);
  else if (event.key === "Delete" || event.key === "Backspace") stroke(brush, true);
  else return;
  event.preventDefault();
}

at("mask").onpointerdown = onPointer;
at("mask").onpointermove = onPointer;
at("mask").onpointerleave = () => { at("brush").hidden = true; };
at("mask").onfocus = () => moveBrush(brush.x, brush.y);
at("mask").onblur = () => { at("brush").hidden = true; };
at("mask").onkeydown = onBrushKey;
at("file").onchange = () => at("file").files.length && startFrom(at("file").files[0]);
at("clear-mask").onclick = () => { clearMask(); say("The mask is empty."); };
at("remove-picture").onclick = () => { removePicture(); at("start").querySelector("summary").focus(); };
for (const id of ["width", "height"]) at(id).addEventListener("change", fitPicture);
