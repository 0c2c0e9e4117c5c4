// Where the viewer looks from: axes as in OpenCV (x right, y down, z forward), in the world.
import { add, cross, dot, length, scale, sub, turned, unit } from "./vectors.js";

const NEAREST_POLE = 0.02; // radians that a turning camera keeps from straight up and down

const NEAREST = 0.01; // of the scene: how near a camera comes to what it turns about

export class Camera {
  constructor() {
    this.axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    this.eye = [0, 0, 0];
    this.target = [0, 0, 1];
    this.up = [0, 0, 1];
    this.fov = 45; // horizontal, degrees
    this.reach = 1; // world units of the scene: what is near, and how fast one flies
  }

  get forward() { return this.axes[2]; }
  get distance() { return length(sub(this.target, this.eye)); }

  // Camera to world, 3 rows of 4.
  get pose() {
    return [0, 1, 2].flatMap((row) => [...this.axes.map((axis) => axis[row]), this.eye[row]]);
  }

  place(pose, fov, middle) {
    this.axes = [0, 1, 2].map((column) => [0, 1, 2].map((row) => pose[4 * row + column]));
    this.eye = [3, 7, 11].map((place) => pose[place]);
    this.fov = fov;
    // What is turned about: before the camera, as far away as the middle of the scene.
    const ahead = dot(sub(middle, this.eye), this.forward);
    const away = ahead > 0 ? ahead : length(sub(middle, this.eye)) || 1;
    this.target = add(this.eye, this.forward, away);
  }

  lookAt(point) {
    const way = sub(point, this.eye);
    if (length(way) < 1e-9) return;
    const forward = unit(way);
    let right = cross(forward, this.up);
    if (length(right) < 1e-6) right = this.axes[0];
    right = unit(right);
    this.axes = [right, cross(forward, right), forward];
    this.target = point;
  }

  // Around the target; angles in radians.
  orbit(yaw, pitch) {
    this.#turn(yaw, pitch);
    this.eye = add(this.target, this.forward, -this.#away);
  }

  // Around the eye.
  look(yaw, pitch) {
    this.#turn(yaw, pitch);
    this.target = add(this.eye, this.forward, this.#away);
  }

  #away = 1;

  #turn(yaw, pitch) {
    this.#away = this.distance;
    const height = Math.acos(Math.max(-1, Math.min(1, dot(this.forward, this.up))));
    // Looking further up makes the angle with `up` smaller.
    const after = Math.max(NEAREST_POLE, Math.min(Math.PI - NEAREST_POLE, height - pitch));
    const [right] = this.axes;
    this.axes = this.axes.map((axis) => turned(axis, right, height - after));
    this.axes = this.axes.map((axis) => turned(axis, this.up, yaw));
    // Rounding adds up over thousands of moves.
    const forward = unit(this.axes[2]);
    const down = unit(cross(forward, this.axes[0]));
    this.axes = [cross(down, forward), down, forward];
  }

  // Along the picture, in shares of its width at the target.
  pan(x, y) {
    const width = 2 * this.distance * Math.tan((this.fov * Math.PI) / 360);
    this.move(add(scale(this.axes[0], -x * width), this.axes[1], -y * width));
  }

  move(way) {
    this.eye = add(this.eye, way);
    this.target = add(this.target, way);
  }

  // Nearer to the target for factors below 1; close to it, it gives way.
  dolly(factor) {
    const away = this.distance;
    const nearest = NEAREST * this.reach;
    this.eye = add(this.eye, this.forward, (1 - factor) * Math.max(away, nearest));
    this.target = add(this.eye, this.forward, Math.max(factor * away, nearest));
  }

  // Pixel [x, y] and depth of a point in a picture of that size; null behind the eye.
  project(point, [width, height]) {
    const way = sub(point, this.eye);
    const [x, y, z] = this.axes.map((axis) => dot(way, axis));
    if (z < 1e-6) return null;
    const focal = width / 2 / Math.tan((this.fov * Math.PI) / 360);
    return [width / 2 + (focal * x) / z, height / 2 + (focal * y) / z, z];
  }
}

// A camera file of one view or several, as `plenostream render --cameras` reads them.
export function cameraFile(views, [width, height]) {
  const frames = views.map(({ pose, fov }) => {
    const focal = width / 2 / Math.tan((fov * Math.PI) / 360);
    // OpenGL's axes: y up, z backward.
    const rows = [0, 1, 2].map((row) => [0, 1, 2, 3].map(
      (column) => pose[4 * row + column] * (column === 1 || column === 2 ? -1 : 1)));
    return { fl_x: focal, fl_y: focal, transform_matrix: [...rows, [0, 0, 0, 1]] };
  });
  return { w: width, h: height, cx: width / 2, cy: height / 2, frames };
}
