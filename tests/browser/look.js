() => {
  // What a person could not read or reach on this page, as sentences; empty when all is well.
  // Contrast: WCAG 2.2, 1.4.3, relative luminance as in the definition there.
  const faults = [];
  const parse = (text) => {
    const found = text.match(/rgba?\(([^)]+)\)/);
    if (!found) return [0, 0, 0, 0];
    const parts = found[1].split(/[\s,/]+/).map(Number);
    return [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, under) => {
    const a = top[3];
    return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)).concat([1]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const unit = value / 255;
      return unit <= 0.04045 ? unit / 12.92 : ((unit + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    let colour = [255, 255, 255, 1];
    for (const layer of layers.reverse()) colour = over(layer, colour);
    return colour;
  };
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true })
    && element.getBoundingClientRect().width > 1;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !isShown(element) || element.closest(".unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const isText = !(element instanceof SVGElement);
    const under = ground(element);
    const colour = over(parse(isText ? style.color : style.fill), under);
    const [low, high] = [luminance(colour), luminance(under)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      faults.push(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title) faults.push("no title");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push("an id stands twice");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels.length) faults.push(`no label: ${field.name}`);
  }
  for (const field of document.querySelectorAll("[aria-describedby]")) {
    for (const id of field.getAttribute("aria-describedby").split(" ")) {
      if (!document.getElementById(id)) faults.push(`described by nothing: ${id}`);
    }
  }
  for (const picture of document.querySelectorAll("img")) {
    if (!picture.alt) faults.push(`no words for ${picture.src}`);
  }
  for (const drawing of document.querySelectorAll("svg")) {
    if (!drawing.ariaLabel && drawing.ariaHidden !== "true") faults.push("a drawing without words");
  }
  for (const link of document.querySelectorAll("a, button")) {
    if (!link.textContent.trim() && !link.querySelector("img[alt]")) faults.push(`empty: ${link.outerHTML}`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1 && level) faults.push(`heading ${level} then ${next}: ${heading.textContent}`);
    level = next;
  }
  return faults;
}
