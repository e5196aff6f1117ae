"""The contrast of every visible text of a page with what lies behind it, as WCAG 2.2 counts it (success criterion 1.4.3)."""

#: A script that returns [text, ratio, size in pixels] of each text below AA: 4.5, or 3 for large ones. Disabled controls are exempt.
POOR = r"""
const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
const known = new Map();
function rgba(colour) {
  if (!known.has(colour)) {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = '#000'; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    known.set(colour, [r, g, b, a / 255]);
  }
  return known.get(colour);
}
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
const linear = (part) => (part <= 0.04045 * 255 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const ratio = (a, b) => { const [high, low] = [light(a), light(b)].sort((x, y) => y - x); return (high + 0.05) / (low + 0.05); };
const face = () => ['.face-a', '.face-b'].map((stop) => rgba(getComputedStyle(document.querySelector(stop)).stopColor));
// what may lie behind an element: one colour, or the ends of a gradient
function grounds(element) {
  const layers = [];
  for (let one = element; one; one = one.parentElement) {
    const style = getComputedStyle(one), image = style.backgroundImage;
    const colours = image.includes('gradient') ? [...image.matchAll(/(?:rgba?|color|oklab|oklch|lab)\([^()]*\)/g)].map((found) => found[0]) : [];
    if (colours.length) { layers.push(colours.map(rgba)); if (colours.every((colour) => rgba(colour)[3] === 1)) break; }
    if (one.matches('.module')) { layers.push(face()); break; }      // what the drawing shows there
    const plain = rgba(style.backgroundColor);
    if (plain[3]) layers.push([plain]);
    if (plain[3] === 1) break;
  }
  let found = [[255, 255, 255]];
  for (const layer of layers.reverse()) found = found.flatMap((ground) => layer.map((colour) => over(colour, ground)));
  return found;
}
const poor = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
  if (!text || !element.checkVisibility({ visibilityProperty: true }) || element.closest(':disabled, .unseen, noscript, script, option, .skip')) continue;
  const style = getComputedStyle(element), drawn = element.closest('svg.art');
  const ink = rgba(drawn ? style.fill : style.color);
  const behind = !drawn ? grounds(element) : element.matches('.on-light') ? [rgba(getComputedStyle(document.querySelector('.outputs')).fill)]
    : face();
  const pixels = parseFloat(style.fontSize) * (drawn ? drawn.clientWidth / 60.6 : 1), large = pixels >= 24 || (pixels >= 18.66 && Number(style.fontWeight) >= 700);
  const worst = Math.min(...behind.map((ground) => ratio(over(ink, ground), ground)));
  if (worst < (large ? 3 : 4.5)) poor.push([text.slice(0, 40), Math.round(worst * 100) / 100, Math.round(pixels)]);
}
return poor;
"""
