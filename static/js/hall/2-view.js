// How one looks at the hall: a point of the floor is at ((x - view.x) * scale, (y - view.y) * scale)
// of a picture that is so many pixels wide and high. A view is never changed, only replaced.

// A seat is chosen by a finger from this size on; smaller ones are brought nearer first.
export const NEAR_PX = 17;
const MOST_PX = 46;
const TAPPED_PX = 30;

export function fit(box, size, margin = 10) {
  const [width, height] = [box.x1 - box.x0, box.y1 - box.y0];
  const scale = Math.min((size.width - 2 * margin) / width, (size.height - 2 * margin) / height);
  return { scale, x: (box.x0 + box.x1) / 2 - size.width / 2 / scale, y: (box.y0 + box.y1) / 2 - size.height / 2 / scale };
}

// The least scale shows the whole hall, the greatest a seat as large as a fingertip.
export function bounds(plan, size) {
  const least = fit(plan.box, size).scale;
  return { least, most: Math.max(least, MOST_PX / plan.pitch) };
}

// The view from which nothing is nearer or further than it may be, and the hall not out of sight.
export function within(view, plan, size) {
  const { least, most } = bounds(plan, size);
  const scale = Math.min(most, Math.max(least, view.scale));
  const whole = fit(plan.box, size);
  if (scale <= least * 1.001) return whole;
  const along = (at, low, high, length) => {
    const shown = length / scale;
    const spare = Math.min(shown / 3, (high - low) / 3);
    return Math.min(Math.max(at, low - spare), Math.max(high + spare - shown, low - spare));
  };
  return {
    scale,
    x: along(view.x, plan.box.x0, plan.box.x1, size.width),
    y: along(view.y, plan.box.y0, plan.box.y1, size.height),
  };
}

// Nearer by a factor, while the floor stays where it is under one point of the picture.
export function zoomed(view, factor, at, plan, size) {
  const { least, most } = bounds(plan, size);
  const scale = Math.min(most, Math.max(least, view.scale * factor));
  return within({ scale, x: view.x + at.x / view.scale - at.x / scale, y: view.y + at.y / view.scale - at.y / scale }, plan, size);
}

export function moved(view, dx, dy, plan, size) {
  return within({ scale: view.scale, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, plan, size);
}

export function floorAt(view, at) {
  return { x: view.x + at.x / view.scale, y: view.y + at.y / view.scale };
}

export function shownBox(view, size) {
  return { x0: view.x, y0: view.y, x1: view.x + size.width / view.scale, y1: view.y + size.height / view.scale };
}

export function isWhole(view, plan, size) {
  return view.scale <= bounds(plan, size).least * 1.02;
}

export function seatPx(view, plan) {
  return view.scale * plan.pitch;
}

// Where a tap from afar leads: to the section that was meant, or nearer to the point of it.
export function nearer(view, at, plan, size) {
  const floor = floorAt(view, at);
  const number = sectionAt(plan, floor.x, floor.y);
  if (number >= 0) {
    const section = within(fit(plan.sections[number].box, size, 18), plan, size);
    if (section.scale > view.scale * 1.15) return section;
  }
  return centred(floor, TAPPED_PX / plan.pitch, plan, size);
}

// The view with a point of the floor in its middle; not further away than `scale`.
export function centred(floor, scale, plan, size) {
  return within({ scale, x: floor.x - size.width / 2 / scale, y: floor.y - size.height / 2 / scale }, plan, size);
}

export function between(from, to, part) {
  const scale = from.scale * (to.scale / from.scale) ** part;
  // What is told by the scale moves evenly in the picture, not on the floor.
  const way = Math.abs(to.scale - from.scale) < 1e-9 ? part : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
  return { scale, x: from.x + (to.x - from.x) * way, y: from.y + (to.y - from.y) * way };
}
