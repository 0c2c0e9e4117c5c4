// What is said about the renderer, and what can be copied.
import { add, dot } from "./vectors.js";
import { cameraFile } from "./camera.js";

export const element = (id) => document.getElementById(id);
const UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytes(n) {
  let place = 0;
  while (n >= 1000 && place < UNITS.length - 1) { n /= 1000; place += 1; }
  return `${n.toFixed(place && n < 100 ? 1 : 0)} ${UNITS[place]}`;
}

// Digits enough that the picture is the same, trailing zeros left out.
const number = (v) => String(Number(v.toPrecision(9)));
const point = (p) => p.map(number).join(",");

export function showStatus(status, framesPerSecond) {
  const lines = {
    "Pictures a second": framesPerSecond.toFixed(1),
    "Last part": `${(1000 * status.seconds).toFixed(0)} ms`,
    "Waits for": status.chunks_coming ? `storage, ${status.chunks_coming} chunks` : "nothing",
    "Bricks in the pool": `${status.bricks} of ${status.slots}`,
    "Bricks in view": status.bricks_visible,
    "Bricks brought in": `${status.bricks_read}, ${status.waves} waves`,
    "Read so far": bytes(status.bytes_read),
    "Device memory": `${bytes(status.device_bytes)} of ${bytes(status.allowed_device_bytes)}`,
    "Host memory": `${bytes(status.host_bytes)} of ${bytes(status.allowed_host_bytes)}`,
    "Backend": `${status.backend}, ${status.precision}`,
    "Browsers": status.visitors,
  };
  element("status").replaceChildren(...Object.entries(lines).flatMap(([name, value]) => {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    said.textContent = value;
    return [term, said];
  }));
}

// Names of scenes in commands: the page knows no path.
const quoted = (name) => (/^[\w.+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

export function showCommands({ scene, camera, size, chosen, path, frames, box }) {
  const name = quoted(scene.name);
  const file = JSON.stringify(cameraFile([{ pose: camera.pose, fov: camera.fov }], size));
  // --look-from keeps an axis up: any other camera is said by its file.
  const upright = Math.abs(dot(camera.axes[0], camera.up)) < 1e-9 && dot(camera.axes[1], camera.up) < 0;
  const from = `--look-from ${point(camera.eye)} --look-at ${point(add(camera.eye, camera.forward, camera.distance))}`;
  const axis = camera.up.findIndex((part) => part !== 0);
  const up = (camera.up[axis] < 0 ? "-" : "") + "xyz"[axis];
  const where = upright ? `${from}${up === "z" ? "" : ` --up ${up}`} --fov ${number(camera.fov)} --size ${size.join("x")}` : "--cameras view.json";
  element("command").value = chosen === null ? `plenostream render ${name} view.png ${where}`
    : `plenostream render ${name} view.png --cameras ... --views ${chosen}`;
  element("pose").value = file;
  element("path-length").textContent = `${path.length} views`;
  element("path-command").value =
    `plenostream render ${name} path.mp4 --cameras path.json --path interpolate --frames ${frames}`;
  element("crop-command").value = box ? `plenostream crop ${name} part.zarr --box ${box.map(point).join(",")}` : "";
}

export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
