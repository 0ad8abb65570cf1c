// The hall on the map: what stands where, how it is looked at, how it is drawn, and what a finger
// or a key does to it. The files of this folder are one module, js/hall.js, in the order of their names.
//
// First: the plan as it is sent, turned into what can be drawn and found quickly. Nothing here
// knows of the page; tests call it.

// The document is the compact form of docs/halls.md. Seats are numbered 1..N; every list below has
// one entry for each, at its number.
export function readPlan(told) {
  const count = told.capacity;
  const plan = {
    count,
    x: new Float32Array(count + 1),
    y: new Float32Array(count + 1),
    category: new Uint8Array(count + 1),
    section: new Uint16Array(count + 1),
    row: new Uint16Array(count + 1),
    flags: new Uint8Array(count + 1),
    label: new Array(count + 1).fill(""),
    flagNames: told.flags,
    categories: told.categories,
    sections: [],
    stage: told.stage && { ...told.stage, box: boxOf(told.stage.outline), middle: middleOf(told.stage.outline) },
    seatSize: told.seat_size,
    box: emptyBox(),
  };
  const steps = [];
  told.sections.forEach((section, number) => plan.sections.push(readSection(plan, section, number, steps)));
  const shared = sharedWord(plan.sections);
  for (const section of plan.sections) section.shortName = section.name.startsWith(shared) ? section.name.slice(shared.length) : section.name;
  plan.pitch = pitchOf(steps) || told.seat_size * 1.15;
  for (const section of plan.sections) include(plan.box, section.box);
  if (plan.stage) include(plan.box, plan.stage.box);
  plan.index = indexOf(plan);
  return plan;
}

function readSection(plan, told, number, steps) {
  const section = { name: told.name, standing: told.standing, outline: told.outline, box: boxOf(told.outline), middle: middleOf(told.outline), first: 0, last: 0, rows: [] };
  told.rows.forEach((row, depth) => {
    const last = row.first + row.count - 1;
    section.rows.push({ label: row.label, first: row.first, last });
    section.first ||= row.first;
    section.last = last;
    const [xs, ys] = [runs(row.x, row.count), runs(row.y, row.count)];
    for (let place = 0; place < row.count; place++) {
      const n = row.first + place;
      plan.x[n] = xs[place];
      plan.y[n] = ys[place];
      plan.category[n] = typeof row.category === "number" ? row.category : row.category[place];
      plan.section[n] = number;
      plan.row[n] = depth;
      plan.flags[n] = row.flags?.[place] ?? 0;
      plan.label[n] = labelAt(row.seats, place);
      if (place && !section.standing) steps.push(Math.hypot(xs[place] - xs[place - 1], ys[place] - ys[place - 1]));
    }
  });
  return section;
}

// Tenths of the unit, each told by what is between it and the one before; the last goes on.
function runs(told, count) {
  const found = [told[0]];
  let step = 0;
  for (let place = 1; place < count; place++) {
    step = place < told.length ? told[place] : told.length > 1 ? step : 0;
    found.push(found[place - 1] + step);
  }
  return found.map((tenths) => tenths / 10);
}

function labelAt(told, place) {
  if (Array.isArray(told)) return told[place];
  return String(typeof told === "number" ? told + place : told.from + told.step * place);
}

export function hasFlag(plan, n, name) {
  return Boolean(plan.flags[n] & (1 << plan.flagNames.indexOf(name)));
}

// "Block " where most sections are called Block 101, Block 102 and so on: on the drawing the numbers do.
function sharedWord(sections) {
  const counts = new Map();
  for (const { name } of sections) {
    const [word] = name.match(/^\S+ (?=\d+$)/) ?? [""];
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const [[word, count]] = [...counts].sort((one, other) => other[1] - one[1]);
  return count > 2 ? word : "";
}

// How far seats of a row stand apart: the middle of all distances, so that aisles do not count.
function pitchOf(steps) {
  const sorted = Float32Array.from(steps).sort();
  return sorted[sorted.length >> 1];
}

function emptyBox() {
  return { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
}

function boxOf(outline) {
  const box = emptyBox();
  for (const [x, y] of outline) widen(box, x, y);
  return box;
}

function widen(box, x, y) {
  if (x < box.x0) box.x0 = x;
  if (y < box.y0) box.y0 = y;
  if (x > box.x1) box.x1 = x;
  if (y > box.y1) box.y1 = y;
}

function include(box, other) {
  widen(box, other.x0, other.y0);
  widen(box, other.x1, other.y1);
}

// Where the name of a section stands: the middle of its outline by area, if that lies within it.
function middleOf(outline) {
  let [area, x, y] = [0, 0, 0];
  outline.forEach(([ax, ay], number) => {
    const [bx, by] = outline[(number + 1) % outline.length];
    const cross = ax * by - bx * ay;
    area += cross;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
  });
  if (area && isWithin(outline, x / area / 3, y / area / 3)) return [x / area / 3, y / area / 3];
  const [xs, ys] = [outline.map((one) => one[0]), outline.map((one) => one[1])];
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

export function isWithin(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [[ax, ay], [bx, by]] = [outline[i], outline[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

// Seats by squares of the floor, so that drawing and finding look at those only that are near.
// Places of a standing area are no seats to be seen: they all stand at one point.
function indexOf(plan) {
  const size = plan.pitch * 6;
  const squares = new Map();
  for (let n = 1; n <= plan.count; n++) {
    if (plan.sections[plan.section[n]].standing) continue;
    const key = squareOf(plan.x[n], plan.y[n], size);
    if (!squares.has(key)) squares.set(key, []);
    squares.get(key).push(n);
  }
  return { size, squares };
}

function squareOf(x, y, size) {
  return Math.floor(x / size) * 65536 + Math.floor(y / size);
}

// Calls `each` with every list of seats of the squares that touch a box.
export function seatsIn(plan, box, each) {
  const { size, squares } = plan.index;
  const [left, right] = [Math.floor(box.x0 / size), Math.floor(box.x1 / size)];
  const [top, bottom] = [Math.floor(box.y0 / size), Math.floor(box.y1 / size)];
  if ((right - left + 1) * (bottom - top + 1) > squares.size) return squares.forEach(each);
  for (let column = left; column <= right; column++) {
    for (let line = top; line <= bottom; line++) {
      const seats = squares.get(column * 65536 + line);
      if (seats) each(seats);
    }
  }
}

// The seat nearest to a point of the floor, none further than `reach` away; 0 for none.
export function seatAt(plan, x, y, reach, counts = () => true) {
  let [found, nearest] = [0, reach];
  seatsIn(plan, { x0: x - reach, y0: y - reach, x1: x + reach, y1: y + reach }, (seats) => {
    for (const n of seats) {
      const away = Math.hypot(plan.x[n] - x, plan.y[n] - y);
      if (away <= nearest && counts(n)) [found, nearest] = [n, away];
    }
  });
  return found;
}

// The number of the section at a point of the floor; -1 for none.
export function sectionAt(plan, x, y) {
  return plan.sections.findIndex((section) => isWithin(section.outline, x, y));
}
