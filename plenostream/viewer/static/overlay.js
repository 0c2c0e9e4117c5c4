// Lines over the picture: the data set's cameras, the path, and the box to crop to.
import { add, dot, length, scale, sub } from "./vectors.js";

const REACH_PX = 12; // how near to a handle or an eye the pointer has to be
const COLOURS = { camera: "#5fb3d9", chosen: "#ffd166", path: "#7bd88f", box: "#ff6b6b" };
const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];

// Eye and four corners of what a camera shows, `size` world units before it.
function frustum({ pose, fov, size: [width, height] }, size) {
  const column = (n) => [0, 1, 2].map((row) => pose[4 * row + n]);
  const [right, down, forward, eye] = [0, 1, 2, 3].map(column);
  const half = size * Math.tan((Math.min(fov, 150) * Math.PI) / 360);
  const corner = (x, y) => add(add(add(eye, forward, size), right, x * half), down, (y * half * height) / width);
  return [eye, corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
}

const cornersOf = ([low, high]) => [...Array(8).keys()].map(
  (n) => [0, 1, 2].map((axis) => (n & (1 << axis) ? high : low)[axis]));

export class Overlay {
  // `place` maps pixels of the picture to those of the overlay.
  constructor(canvas, camera) {
    this.canvas = canvas;
    this.camera = camera;
    this.cameras = [];
    this.path = [];
    this.box = null; // [low, high]
    this.size = 1; // world units of a frustum
  }

  draw(place, pictureSize, chosen) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.eyes = [];
    this.handles = [];
    if (chosen !== null) return; // its lens may be any, and it stands where its lines begin
    const at = (point) => {
      const pixel = this.camera.project(point, pictureSize);
      return pixel && place(pixel);
    };
    const line = (a, b) => {
      const [p, q] = [at(a), at(b)];
      if (p && q) { context.moveTo(...p); context.lineTo(...q); }
    };
    const stroke = (colour, draw) => {
      context.strokeStyle = colour;
      context.beginPath();
      draw();
      context.stroke();
    };
    context.lineWidth = 1.25;
    stroke(COLOURS.camera, () => this.cameras.forEach((one, number) => {
      const [eye, ...corners] = frustum(one, this.size);
      corners.forEach((corner, n) => { line(eye, corner); line(corner, corners[(n + 1) % 4]); });
      const middle = at(eye);
      if (middle) this.eyes.push({ number, at: middle });
    }));
    stroke(COLOURS.path, () => this.path.forEach((one, number) => {
      const [eye, ...corners] = frustum(one, this.size);
      corners.forEach((corner, n) => line(corner, corners[(n + 1) % 4]));
      if (number) line(frustum(this.path[number - 1], this.size)[0], eye);
    }));
    if (this.box) this.#drawBox(context, at, line, stroke);
  }

  #drawBox(context, at, line, stroke) {
    const corners = cornersOf(this.box);
    stroke(COLOURS.box, () => EDGES.forEach(([a, b]) => line(corners[a], corners[b])));
    const middle = scale(add(...this.box), 0.5);
    context.fillStyle = COLOURS.box;
    for (const axis of [0, 1, 2]) {
      for (const side of [0, 1]) {
        const point = [...middle];
        point[axis] = this.box[side][axis];
        const pixel = at(point);
        if (!pixel) continue;
        this.handles.push({ axis, side, at: pixel, point });
        context.beginPath();
        context.arc(...pixel, 5, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  #nearest(things, position) {
    const away = (thing) => Math.hypot(thing.at[0] - position[0], thing.at[1] - position[1]);
    const near = (things ?? []).filter((thing) => away(thing) < REACH_PX);
    return near.sort((a, b) => away(a) - away(b))[0] ?? null;
  }

  eyeAt(position) { return this.#nearest(this.eyes, position); }
  handleAt(position) { return this.#nearest(this.handles, position); }

  // A side of the box follows the pointer along its axis; `bounds` [low, high] are kept to.
  drag({ axis, side, point }, place, pictureSize, movement, bounds) {
    const unitLength = 0.01 * length(sub(bounds[1], bounds[0]));
    const ahead = [...point];
    ahead[axis] += unitLength;
    const [a, b] = [point, ahead].map((p) => this.camera.project(p, pictureSize));
    if (!a || !b) return;
    const [from, to] = [place(a), place(b)];
    const way = [to[0] - from[0], to[1] - from[1], 0];
    const along = dot([...movement, 0], way) / Math.max(dot(way, way), 1e-9);
    const moved = this.box[side][axis] + along * unitLength;
    const [low, high] = side ? [this.box[0][axis] + unitLength, bounds[1][axis]]
      : [bounds[0][axis], this.box[1][axis] - unitLength];
    this.box[side][axis] = Math.max(low, Math.min(high, moved));
  }
}
