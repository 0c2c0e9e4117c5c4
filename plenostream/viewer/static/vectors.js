// Points and directions as arrays of three numbers.

export const add = (a, b, t = 1) => a.map((v, i) => v + t * b[i]);
export const sub = (a, b) => add(a, b, -1);
export const scale = (a, t) => a.map((v) => v * t);
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [0, 1, 2].map((i) => {
  const [j, k] = [(i + 1) % 3, (i + 2) % 3];
  return a[j] * b[k] - a[k] * b[j];
});
export const length = (a) => Math.hypot(...a);
export const unit = (a) => scale(a, 1 / length(a));

// `a` turned about the unit vector `axis` (Rodrigues).
export function turned(a, axis, angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return add(add(scale(a, c), cross(axis, a), s), axis, dot(axis, a) * (1 - c));
}
