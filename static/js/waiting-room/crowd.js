// The crowd, drawn: everybody in line as dots on their way to the door, oneself among them.
// It is made of the numbers that the page shows anyway, so it asks for nothing, and whoever cannot see it
// misses nothing. It stands still for whoever wants that, and rests where nobody sees it.

const canvas = document.getElementById("crowd");
const scale = document.getElementById("crowd-scale");
const place = document.getElementById("place");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const context = canvas?.getContext("2d");
const SPACES = [30, 24, 19, 15, 12]; // from dot to dot, in pixels, as everything here: as wide as all can stand
const EDGE = 16;
const DOOR = 30;
const WALK_MS = 900; // for a step towards the door
const SWAY_MS = 90; // between two pictures of people who only stand

let width = 0;
let height = 0;
let space = SPACES[0];
let size = 1; // of a dot
let columns = 1;
let rows = 1;
let colours = {};
let line = null; // { me, all, start }, in dots from the door
let people = 1; // behind one dot
let walked = 0; // dots still to go since the last step
let stepped = 0; // when it began
let timer = 0;
let isSeen = true;

function number(name) {
  return Number((place.querySelector(`[data-told="${name}"]`)?.textContent ?? "").replace(/\D/g, ""));
}

// What the page says now, in dots; a step is shown as one.
function read() {
  const shown = place.querySelector('.place[data-status="waiting"]');
  canvas.parentElement.hidden = !shown;
  if (!shown || !width) return (line = null);
  const position = Number(shown.dataset.position) || 1;
  const waiting = position + number("behind");
  const began = Math.max(position, Number(place.querySelector(".place-progress")?.max) || 0);
  const before = line && { ...line, people, space };
  stand(Math.max(waiting, position));
  people = Math.max(1, Math.ceil(Math.max(waiting, position) / (columns * rows)));
  line = { me: (position - 1) / people, all: Math.ceil(waiting / people), start: (began - 1) / people };
  scale.hidden = people === 1;
  scale.textContent = people === 1 ? "" : scale.dataset.words.replace("{n}", people.toLocaleString());
  const isStep = before?.people === people && before.space === space && before.me > line.me;
  if (isStep && !still.matches) {
    walked = Math.min(before.me - line.me + rest(performance.now()), columns);
    stepped = performance.now();
  }
  draw();
}

// How so many people stand: as far apart as fits, or the closest.
function stand(waiting) {
  for (space of SPACES) {
    columns = Math.max(1, Math.floor((width - 2 * EDGE - DOOR) / space));
    rows = Math.max(1, Math.floor((height - 2 * EDGE) / space) + 1);
    if (columns * rows >= waiting) break;
  }
  size = space * 0.24;
}

// How far there is still to go of the last step: quick at first, then slower.
function rest(now) {
  const share = Math.min(1, (now - stepped) / WALK_MS);
  return walked * (1 - share) ** 3;
}

// Where a dot stands that is so many from the door: the line winds upwards, from the door on the right.
function spot(dots) {
  if (dots < 0) return [width - EDGE - DOOR + Math.min(DOOR, -dots * space), height - EDGE];
  const row = Math.floor(dots / columns);
  const along = dots - row * columns;
  const across = Math.min(along, columns - 1) * space;
  const turning = Math.max(0, along - (columns - 1));
  const right = width - EDGE - DOOR - space;
  const left = right - (columns - 1) * space;
  return [row % 2 ? left + across : right - across, height - EDGE - (row + turning) * space];
}

function dot(dots, colour, radius, now, seed) {
  let [x, y] = spot(dots);
  if (!still.matches) {
    x += Math.sin(now / 640 + seed * 2.4) * 1.1;
    y += Math.cos(now / 820 + seed * 1.7) * 0.9;
  }
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  return [x, y];
}

function door() {
  const right = width - EDGE;
  context.fillStyle = colours.soft;
  context.strokeStyle = colours.accent;
  context.lineWidth = 2;
  context.beginPath();
  context.roundRect(right - DOOR + 8, height - EDGE - 30, DOOR - 8, 38, [11, 11, 2, 2]);
  context.fill();
  context.stroke();
}

// The way that one has come already, along the line.
function way() {
  const end = Math.min(line.start, columns * rows - 1, line.me + columns * 3);
  if (end <= line.me) return;
  context.strokeStyle = colours.soft;
  context.lineWidth = space * 0.7;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (let dots = line.me; dots <= end; dots += 0.25) context.lineTo(...spot(dots));
  context.stroke();
}

function draw() {
  clearTimeout(timer);
  if (!line || !isSeen || document.hidden) return;
  const now = performance.now();
  const still_to_go = rest(now);
  const me = Math.floor(line.me);
  context.clearRect(0, 0, width, height);
  way();
  door();
  for (let index = -Math.ceil(still_to_go); index < Math.min(line.all, columns * rows); index += 1) {
    if (index !== me) dot(index + still_to_go, index < me ? colours.ahead : colours.behind, size, now, index + 50);
  }
  const [x, y] = dot(me + still_to_go, colours.accent, size * 1.5, now, 0);
  context.strokeStyle = colours.accent;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y, size * 2.4, 0, 2 * Math.PI);
  context.stroke();
  if (still.matches) return;
  if (still_to_go > 0.01) requestAnimationFrame(draw);
  else timer = setTimeout(() => requestAnimationFrame(draw), SWAY_MS);
}

function paint() {
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  colours = {
    accent: colour("--accent"),
    soft: colour("--accent-soft"),
    ahead: colour("--ink-soft"),
    behind: colour("--line-strong"),
  };
}

function measure() {
  const ratio = devicePixelRatio || 1;
  width = canvas.clientWidth;
  height = canvas.clientHeight;
  if (!width) return (line = null);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  line = null;
  read();
}

if (context && place) {
  paint();
  new ResizeObserver(measure).observe(canvas);
  new MutationObserver(read).observe(place, {
    subtree: true,
    childList: true,
    attributeFilter: ["data-position", "data-status"],
  });
  new IntersectionObserver(([found]) => {
    isSeen = found.isIntersecting;
    draw();
  }).observe(canvas);
  document.addEventListener("visibilitychange", draw);
  still.addEventListener("change", draw);
  dark.addEventListener("change", () => {
    paint();
    draw();
  });
}
