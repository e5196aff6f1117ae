// Where everything lies on the front panel, in millimetres (3U, 12 HP: 60.6 x 128.5). The order and the names are those of
// hardware/panel.md; the rows move up or down with the size of the display and the number of CV jacks.

export const WIDTH = 60.6;
export const HEIGHT = 128.5;
const COLUMNS = [9.3, 23.3, 37.3, 51.3];

/**
 * @param {number} cvs CV jacks: 4 or 8
 * @param {boolean} square whether the display is as high as wide (240 x 240 instead of 128 x 64)
 * @returns {{window, encoder, button, jacks, square, dense}} window {x, y, width, height}; the others {x, y}, jacks by name
 */
export function layout(cvs, square) {
  const window = square ? { x: 8.5, y: 13.8, width: 43.6, height: 43.6 } : { x: 7.3, y: 14.5, width: 46, height: 23.6 };
  const rows = cvs > 4 ? 4 : 3, knob = window.y + window.height + (square ? 10.6 : rows > 3 ? 9.8 : 12.4);
  const first = square ? 83 : rows > 3 ? 68.5 : knob + 24.5;
  const audio = square ? 113.5 : 109, step = (audio - first) / (rows - 1);
  const jacks = { gate1: { x: COLUMNS[0], y: first }, gate2: { x: COLUMNS[3], y: first } };
  for (let i = 0; i < cvs; i += 1) jacks[`cv${i + 1}`] = { x: COLUMNS[i % 4], y: first + step * (1 + Math.floor(i / 4)) };
  ["in_l", "in_r", "out_l", "out_r"].forEach((name, i) => { jacks[name] = { x: COLUMNS[i], y: audio }; });
  return { window, encoder: { x: 20, y: knob }, button: { x: 44.5, y: knob }, jacks, square, dense: rows > 3 || square };
}
