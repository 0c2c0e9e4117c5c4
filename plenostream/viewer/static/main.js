// The page: what the user does moves the camera, views go out, pictures come in.
import { Camera, cameraFile } from "./camera.js";
import { Overlay } from "./overlay.js";
import { element, save, showCommands, showStatus } from "./panel.js";
import { Stream } from "./stream.js";
import { add, length, scale, sub } from "./vectors.js";

const REST_MS = 120; // without a move until a view rests
const MOST_EDGE = 4096, MOST_PIXELS = 4096 * 2304;
const FLY = { w: [2, 1], s: [2, -1], d: [0, 1], a: [0, -1], e: [1, -1], q: [1, 1] };
const LOOK = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const [stage, picture] = [element("stage"), element("picture")];
const camera = new Camera();
const overlay = new Overlay(element("overlay"), camera);
const path = [];
const keys = new Set();
const times = []; // of coarse pictures, for the rate
let scene = null, chosen = null, playing = null;
let [sent, changedAt, isMoving, isNews] = [0, 0, false, false];

// Views

function size() {
  if (chosen !== null) return scene.cameras[chosen].size;
  const ratio = window.devicePixelRatio || 1;
  let [width, height] = [stage.clientWidth, stage.clientHeight].map((edge) => Math.max(1, Math.round(ratio * edge)));
  const most = Math.min(1, MOST_EDGE / Math.max(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
  return [width, height].map((edge) => Math.max(1, Math.floor(most * edge)));
}

function changed() {
  isNews = true;
  changedAt = performance.now();
}

function moved() {
  if (chosen !== null) leaveChosen();
  changed();
}

function leaveChosen() {
  chosen = null;
  showChosen();
}

function sendView(moves) {
  const colour = element("background").value;
  sent += 1;
  stream.say({
    kind: "view", number: sent, moves, size: size(), pose: camera.pose, fov: camera.fov, camera: chosen,
    output: element("output").value,
    background: [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16) / 255),
  });
  document.body.dataset.exact = "false";
  showCommands({ scene, camera, size: size(), chosen, path, frames: frames(), box: overlay.box });
}

function tick(now) {
  requestAnimationFrame(tick);
  if (!scene) return;
  fly(now);
  play(now);
  if (stream.isOpen && isNews) {
    [isNews, isMoving] = [false, true];
    sendView(true);
  } else if (stream.isOpen && isMoving && now - changedAt > REST_MS) {
    isMoving = false;
    sendView(false);
  }
  layOut();
}

// Pictures

// Where the picture is in the stage: all of it, as large as it can be, in its own shape.
function frame() {
  const [width, height] = [picture.width, picture.height];
  const factor = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  return { factor, left: (stage.clientWidth - factor * width) / 2, top: (stage.clientHeight - factor * height) / 2 };
}

const place = ([x, y]) => {
  const { factor, left, top } = frame();
  return [left + factor * x, top + factor * y];
};

function layOut() {
  const { factor, left, top } = frame();
  Object.assign(picture.style, {
    left: `${left}px`, top: `${top}px`, width: `${factor * picture.width}px`, height: `${factor * picture.height}px`,
  });
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  if (overlay.canvas.width !== width || overlay.canvas.height !== height) {
    [overlay.canvas.width, overlay.canvas.height] = [width, height];
    if (chosen === null) changed();
  }
  overlay.draw(place, [picture.width, picture.height], chosen);
}

function showPicture(head, image) {
  const [width, height] = head.size;
  if (picture.width !== width || picture.height !== height) {
    [picture.width, picture.height] = [width, height];
  }
  if (head.left !== null && head.view !== sent) return; // patches of a view that is gone
  clearNotice("error");
  const context = picture.getContext("2d");
  context.imageSmoothingEnabled = head.divisor > 1;
  context.drawImage(image, ...head.place);
  const now = performance.now();
  if (head.left === null) times.push(now);
  while (times.length && now - times[0] > 2000) times.shift();
  const drawn = head.left === null ? head.drawn : head.size;
  const level = element("level").value || "0";
  const fine = level === "0" ? "exact" : `level ${level}, fine`;
  const state = head.exact ? fine : head.left === null ? "coarse" : `refining, ${head.left} parts to go`;
  element("shown").textContent = `${width}x${height}, drawn at ${drawn.join("x")}, ${state}`;
  Object.assign(document.body.dataset, { view: head.view, exact: String(head.exact), divisor: head.divisor });
}

// What the server says

function told(message) {
  if (message.kind === "scene") greet(message);
  else if (message.kind === "status") showStatus(message, times.length / 2);
  else if (message.kind === "picked" && message.point) { camera.lookAt(message.point); moved(); }
  else if (message.kind === "path") playing = { frames: message.frames, began: performance.now() };
  else if (message.kind === "options") showOptions(message);
  else if (message.kind === "error") notice(message.text, "error");
}

// Stays until there is another picture; what is said of the connection, until it is back.
function notice(text, kind) {
  Object.assign(element("notice"), { textContent: text, hidden: false });
  element("notice").dataset.kind = kind;
}

function clearNotice(kind) {
  if (element("notice").dataset.kind === kind) element("notice").hidden = true;
}

function greet(message) {
  const again = scene !== null && scene.name === message.name;
  scene = message;
  clearNotice("lost");
  element("level").replaceChildren(...scene.levels.map((level) => new Option(level)));
  element("level-label").hidden = scene.levels.length === 0;
  showOptions(scene);
  document.body.dataset.connected = "true";
  if (!again) start();
  changed();
}

// What any visitor may change for all.
function showOptions({ step, level }) {
  element("step").value = step;
  element("level").value = level;
}

function start() {
  document.title = `${scene.name} - plenostream`;
  element("name").textContent = scene.name;
  element("output").replaceChildren(...scene.outputs.map((name) => new Option(name)));
  element("background").value = `#${scene.background.map(
    (v) => Math.round(255 * Math.max(0, Math.min(1, v))).toString(16).padStart(2, "0")).join("")}`;
  element("up").value = scene.up.join(",");
  overlay.cameras = scene.cameras;
  overlay.path = path;
  camera.reach = length(sub(...scene.corners));
  overlay.size = 0.06 * camera.reach;
  element("cameras-section").hidden = !scene.cameras.length;
  element("cameras").replaceChildren(...scene.cameras.map(cameraEntry));
  reset();
}

function reset() {
  chosen = scene.cameras.length ? 0 : null;
  camera.up = element("up").value.split(",").map(Number);
  camera.place(scene.first.pose, scene.first.fov, middle());
  element("fov").value = Number(camera.fov.toFixed(4));
  showChosen();
  changed();
}

const middle = () => scale(add(...scene.corners), 0.5);

// Cameras of the data set

function cameraEntry(one, number) {
  const [item, button] = [document.createElement("li"), document.createElement("button")];
  button.textContent = String(number);
  button.onclick = () => jump(number);
  item.append(button);
  thumbnails.observe(item);
  item.dataset.number = number;
  return item;
}

const thumbnails = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
  if (!isIntersecting) return;
  thumbnails.unobserve(target);
  stream.say({ kind: "thumbnail", camera: Number(target.dataset.number) });
}));

function showThumbnail(number, jpeg) {
  const image = new Image();
  image.onload = () => URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(jpeg);
  image.alt = "";
  element("cameras").children[number]?.firstChild.replaceChildren(image, String(number));
}

function jump(number) {
  chosen = number;
  const one = scene.cameras[number];
  camera.place(one.pose, one.fov, middle());
  element("fov").value = Number(camera.fov.toFixed(4));
  showChosen();
  changed();
}

function showChosen() {
  element("camera").textContent = chosen === null ? "free" : `camera ${chosen}`;
  [...element("cameras").children].forEach((item, number) => item.classList.toggle("chosen", number === chosen));
}

// Moving

const dragging = { button: -1, handle: null, last: [0, 0], far: 0 };

const position = (event) => {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
};

overlay.canvas.addEventListener("pointerdown", (event) => {
  overlay.canvas.setPointerCapture(event.pointerId);
  stage.focus();
  const handle = overlay.box && overlay.handleAt(position(event));
  Object.assign(dragging, { button: event.button, handle, last: position(event), far: 0 });
});

overlay.canvas.addEventListener("pointermove", (event) => {
  if (dragging.button < 0) return;
  const here = position(event);
  const movement = [here[0] - dragging.last[0], here[1] - dragging.last[1]];
  dragging.last = here;
  dragging.far += Math.hypot(...movement);
  if (dragging.far < 2) return;
  if (dragging.handle) {
    overlay.drag(dragging.handle, place, [picture.width, picture.height], movement, scene.corners);
    dragging.handle.point[dragging.handle.axis] = overlay.box[dragging.handle.side][dragging.handle.axis];
    showCommands({ scene, camera, size: size(), chosen, path, frames: frames(), box: overlay.box });
    return;
  }
  const [x, y] = scale(movement, 1 / stage.clientWidth);
  if (dragging.button === 2 || event.shiftKey) camera.pan(x, y);
  else if (event.ctrlKey) camera.look(x * 2, y * 2);
  else camera.orbit(-x * 2 * Math.PI, -y * 2 * Math.PI);
  moved();
});

overlay.canvas.addEventListener("pointerup", (event) => {
  if (dragging.far < 2 && event.button === 0) {
    const eye = overlay.eyeAt(position(event));
    if (eye) jump(eye.number);
  }
  dragging.button = -1;
});

overlay.canvas.addEventListener("pointercancel", () => { dragging.button = -1; });

overlay.canvas.addEventListener("contextmenu", (event) => event.preventDefault());

overlay.canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 30 : 1;
  camera.dolly(Math.exp(Math.max(-1, Math.min(1, 0.0012 * lines * event.deltaY))));
  moved();
}, { passive: false });

overlay.canvas.addEventListener("dblclick", (event) => {
  const { factor, left, top } = frame();
  const [x, y] = position(event);
  const at = [(x - left) / factor, (y - top) / factor].map(Math.floor);
  if (at[0] >= 0 && at[0] < picture.width && at[1] >= 0 && at[1] < picture.height) stream.say({ kind: "pick", at });
});

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "r") reset();
  else if (key in FLY || key in LOOK) keys.add(key);
  else return;
  event.preventDefault();
});
stage.addEventListener("keyup", (event) => keys.delete(event.key.length === 1 ? event.key.toLowerCase() : event.key));
stage.addEventListener("blur", () => keys.clear());

let flownAt = 0;
function fly(now) {
  const seconds = Math.min(0.1, (now - flownAt) / 1000);
  flownAt = now;
  for (const key of keys) {
    if (key in FLY) {
      const [axis, sign] = FLY[key];
      camera.move(scale(camera.axes[axis], sign * seconds * 0.4 * camera.reach));
    } else camera.look(...scale(LOOK[key], seconds));
    moved();
  }
}

// Path

const frames = () => Math.max(2, Math.min(3000, Math.round(Number(element("path-frames").value)) || 120));

function play(now) {
  if (!playing) return;
  const number = Math.floor(((now - playing.began) * 30) / 1000);
  const one = playing.frames[Math.min(number, playing.frames.length - 1)];
  if (number >= playing.frames.length) playing = null;
  camera.place(one.pose, one.fov, middle());
  moved();
}

const onClick = (id, action) => { element(id).onclick = action; };
onClick("path-add", () => { path.push({ pose: camera.pose, fov: camera.fov, size: size() }); changed(); });
onClick("path-drop", () => { path.pop(); changed(); });
onClick("path-save", () => { if (path.length) save("path.json", cameraFile(path, size())); });
onClick("path-play", () => {
  const views = path.map(({ pose, fov }) => ({ pose, fov }));
  if (views.length > 1) stream.say({ kind: "path", keys: views, frames: frames(), size: size() });
  else notice("a path leads through two views at least", "error");
});
onClick("reset", reset);
const neighbour = (step) => jump(((chosen ?? -step) + step + scene.cameras.length) % scene.cameras.length);
onClick("before", () => neighbour(-1));
onClick("after", () => neighbour(1));

// Values

const onChange = (id, action) => element(id).addEventListener("change", action);
onChange("output", changed);
onChange("background", changed);
onChange("path-frames", changed);
onChange("frusta", (event) => { overlay.cameras = event.target.checked ? scene.cameras : []; });
onChange("crop", (event) => {
  overlay.box = event.target.checked ? scene.corners.map((corner) => [...corner]) : null;
  if (event.target.checked && chosen !== null) leaveChosen();
  changed();
});
onChange("fov", (event) => {
  camera.fov = Math.max(1, Math.min(170, Number(event.target.value) || 45));
  moved();
});
onChange("up", (event) => {
  camera.up = event.target.value.split(",").map(Number);
  camera.lookAt(camera.target);
  moved();
});
onChange("step", (event) => {
  // The bounds are those of the field, so that the server refuses none of them.
  if (event.target.validity.valid && event.target.value) stream.say({ kind: "step", step: Number(event.target.value) });
  else notice(`a step is ${event.target.min} to ${event.target.max} voxels`, "error");
});
onChange("level", (event) => {
  const level = event.target.value;
  stream.say({ kind: "level", level: level === "auto" ? level : Number(level) });
});
for (const id of ["command", "pose", "path-command", "crop-command"]) {
  element(id).addEventListener("focus", (event) => {
    event.target.select();
    navigator.clipboard?.writeText(event.target.value).catch(() => undefined); // selected all the same
  });
}

const stream = new Stream({
  told,
  picture: showPicture,
  thumbnail: showThumbnail,
  lost: (reason) => {
    document.body.dataset.connected = "false";
    notice(`the connection is lost${reason ? ` (${reason})` : ""}; trying again. ` +
      "A viewer that was started anew says its new address where it runs.", "lost");
  },
});
requestAnimationFrame(tick);
