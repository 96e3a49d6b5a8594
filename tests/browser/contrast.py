"""How well texts can be read on a page."""

# Every text that is seen, with its contrast against what lies behind it (WCAG 2.2, relative luminance).
CONTRASTS = """() => {
  const parse = (colour) => {
    const ctx = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
    ctx.fillStyle = colour; ctx.fillRect(0, 0, 1, 1);
    return [...ctx.getImageData(0, 0, 1, 1).data].map((v) => v / 255);
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const behind = (e) => e ? over(parse(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [1, 1, 1, 1];
  const faded = (e) => e ? getComputedStyle(e).opacity * faded(e.parentElement) : 1;
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility() || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
    const under = behind(e), ink = parse(getComputedStyle(e)[e.ownerSVGElement ? 'fill' : 'color']);
    ink[3] *= faded(e);
    const [a, b] = [light(over(ink, under)), light(under)].sort();
    found.push([(b + .05) / (a + .05), texts.currentNode.data.trim()]);
  }
  return found;
}"""
