// Drawing. Far away a hall is its sections, each seat a dot of its price's colour; near, a seat is what
// it is in the list: free with its number, held round and dashed, sold with a cross. What is one's
// own, chosen or lost is drawn last, and never so small that it could be missed.

const NUMBERS_PX = 15;
const ROWS_PX = 11;
const NAMES_PX = 12;
const LEAST_MARK_PX = 13;
const LETTERS = { free: "a", held: "h", mine: "m" };

// `marks` is what is known of the seats: `states` (a letter each, at its number), `chosen`, `lost`, `offered`
// and `shown` (sets; `shown` of categories, empty for all), `pointed` (the number of one, or 0), and
// `free` (how many of each section).
export class Painter {
  constructor(canvas, plan, marks) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.plan = plan;
    this.marks = marks;
    this.sprites = new Map();
    this.words = new Map();
    this.spriteSize = 0;
  }

  // The colours of the page, and how large the picture is on it.
  dress(palette, size, ratio) {
    this.palette = palette;
    this.size = size;
    this.ratio = ratio;
    this.canvas.width = Math.round(size.width * ratio);
    this.canvas.height = Math.round(size.height * ratio);
    this.forget();
    this.grounds = this.plan.sections.map((section) => mixed(this.colourOf(section), palette.ground, section.standing ? 0.62 : 0.86));
  }

  forget() {
    this.spoil();
    this.sprites.clear();
    this.words.clear();
    this.spriteSize = 0;
  }

  colourOf(section) {
    return this.palette.prices[this.plan.category[section.first]];
  }

  isShown(n) {
    return !this.marks.shown.size || this.marks.shown.has(this.plan.category[n]);
  }

  // Something is not as it was painted: the next picture is painted anew.
  spoil() {
    this.painted = null;
  }

  // What is dragged was painted already, but for what has come into view; while it is made larger or
  // smaller, so is what was painted. Only what stands still, or has gone too far, is painted anew.
  paint(view, isZooming = false) {
    const { context, canvas, painted } = this;
    const k = view.scale * this.ratio;
    const [x, y] = [Math.round(view.x * k), Math.round(view.y * k)];
    if (painted?.k === k && !painted.isZoomed) {
      const [dx, dy] = [painted.x - x, painted.y - y];
      if (!dx && !dy) return;
      if (Math.abs(dx) < canvas.width / 2 && Math.abs(dy) < canvas.height / 2) {
        this.stand(view, k, x, y);
        context.globalCompositeOperation = "copy";
        context.drawImage(canvas, dx, dy);
        context.globalCompositeOperation = "source-over";
        if (dx) this.paintPart(dx > 0 ? 0 : canvas.width + dx, 0, Math.abs(dx), canvas.height);
        if (dy) this.paintPart(0, dy > 0 ? 0 : canvas.height + dy, canvas.width, Math.abs(dy));
        return;
      }
    }
    if (isZooming && painted) {
      if (!painted.isZoomed) this.keep(painted);
      const { kept } = this;
      const part = k / kept.k;
      if (part < 1.6 && part > 0.7) {
        this.stand(view, k, x, y);
        this.painted.isZoomed = true;
        context.clearRect(0, 0, canvas.width, canvas.height);
        this.paintFloor();
        context.drawImage(kept.picture, kept.x * part - x, kept.y * part - y, canvas.width * part, canvas.height * part);
        return;
      }
    }
    this.stand(view, k, x, y);
    if (Math.abs(this.plan.seatSize * k - this.spriteSize) >= 0.5) this.fitSprites(this.plan.seatSize * k);
    this.paintPart(0, 0, canvas.width, canvas.height);
  }

  stand(view, k, x, y) {
    this.view = view;
    this.k = k;
    this.painted = { k, x, y, isZoomed: false };
  }

  keep({ k, x, y }) {
    const picture = this.kept?.picture ?? blank(1);
    picture.width = this.canvas.width;
    picture.height = this.canvas.height;
    picture.getContext("2d").drawImage(this.canvas, 0, 0);
    this.kept = { picture, k, x, y };
  }

  // A part of the picture, in its own pixels.
  paintPart(left, top, width, height) {
    const { context, plan, view } = this;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.clearRect(left, top, width, height);
    const seatPx = view.scale * plan.pitch;
    const px = plan.seatSize * this.k;
    const margin = plan.pitch;
    const [x, y] = [(left + this.painted.x) / this.k, (top + this.painted.y) / this.k];
    const box = { x0: x - margin, y0: y - margin, x1: x + width / this.k + margin, y1: y + height / this.k + margin };
    this.paintFloor();
    this.paintSeats(seatPx, px, box);
    if (seatPx >= ROWS_PX) this.paintRows(px, box);
    else this.paintNames();
    for (const section of plan.sections) if (section.standing && seatPx >= ROWS_PX) this.paintName(section);
    this.paintMarks(px);
    context.restore();
  }

  fitSprites(px) {
    this.sprites.clear();
    this.spriteSize = px;
  }

  at(x, y) {
    return [x * this.k - this.painted.x, y * this.k - this.painted.y];
  }

  trace(outline) {
    const { context } = this;
    context.beginPath();
    for (const [x, y] of outline) context.lineTo(...this.at(x, y));
    context.closePath();
  }

  paintFloor() {
    const { context, plan, palette, ratio, grounds } = this;
    context.lineJoin = "round";
    context.lineWidth = ratio;
    plan.sections.forEach((section, number) => {
      this.trace(section.outline);
      context.fillStyle = grounds[number];
      context.fill();
      context.strokeStyle = palette.line;
      context.stroke();
    });
    if (!plan.stage) return;
    this.trace(plan.stage.outline);
    context.fillStyle = palette.stage;
    context.fill();
    const [x, y] = this.at(...plan.stage.middle);
    const room = (plan.stage.box.x1 - plan.stage.box.x0) * this.k;
    const word = this.word(plan.stage.label, Math.min(14 * ratio, room / 7), palette.soft, 600);
    context.drawImage(word, x - word.width / 2, y - word.height / 2);
  }

  paintSeats(seatPx, px, box) {
    const { plan, marks, context, palette, ratio, k, painted } = this;
    const withNumbers = seatPx >= NUMBERS_PX;
    const isDot = px < 7 * ratio;
    const { states } = marks;
    // A dot that is a few pixels wide is a square, which costs a tenth of a round one.
    const dot = Math.max(1, Math.round(px * 0.82));
    const isSquare = px < 4.5 * ratio;
    const dots = palette.prices.map(() => []);
    const taken = [];
    seatsIn(plan, box, (seats) => {
      for (const n of seats) {
        const state = states[n];
        const free = state === LETTERS.free && this.isShown(n);
        if (isSquare) {
          (free ? dots[plan.category[n]] : taken).push(n);
          continue;
        }
        const x = plan.x[n] * k - painted.x;
        const y = plan.y[n] * k - painted.y;
        const kind = free ? "free" : state === LETTERS.held ? "held" : state === LETTERS.free ? "dimmed" : "gone";
        const sprite = this.sprite(kind, plan.category[n], withNumbers && free ? plan.label[n] : "", isDot, n);
        context.drawImage(sprite, Math.round(x - sprite.width / 2), Math.round(y - sprite.width / 2));
      }
    });
    if (!isSquare) return;
    const paintDots = (seats, colour, wide) => {
      context.fillStyle = colour;
      for (const n of seats) context.fillRect(Math.round(plan.x[n] * k - painted.x - wide / 2), Math.round(plan.y[n] * k - painted.y - wide / 2), wide, wide);
    };
    paintDots(taken, palette.dot, Math.max(1, Math.round(dot * 0.6)));
    dots.forEach((seats, category) => paintDots(seats, palette.prices[category], dot));
  }

  // A seat as a picture of its own, drawn once for all that look alike.
  sprite(kind, category, text, isDot, n) {
    const wheelchair = !isDot && hasFlag(this.plan, n, "wheelchair");
    const narrowed = !isDot && hasFlag(this.plan, n, "restricted_view");
    const key = `${kind} ${kind === "free" ? category : ""} ${text} ${wheelchair} ${narrowed}`;
    let sprite = this.sprites.get(key);
    if (!sprite) this.sprites.set(key, (sprite = this.drawn(kind, category, text, isDot, wheelchair, narrowed)));
    return sprite;
  }

  drawn(kind, category, text, isDot, wheelchair, narrowed) {
    const { palette, ratio } = this;
    const px = this.spriteSize;
    const sprite = blank(Math.ceil(px * 1.3));
    const pen = sprite.getContext("2d");
    const middle = sprite.width / 2;
    pen.translate(middle, middle);
    const half = px / 2;
    const line = Math.max(1, Math.min(2 * ratio, px / 10));
    pen.lineWidth = line;
    if (kind === "free") {
      const colour = palette.prices[category];
      seatShape(pen, half, isDot || wheelchair);
      pen.fillStyle = colour;
      pen.fill();
      if (narrowed) {
        seatShape(pen, half, false);
        pen.clip();
        pen.fillStyle = palette.ground;
        pen.beginPath();
        pen.moveTo(half * 0.1, -half);
        pen.lineTo(half, -half);
        pen.lineTo(half, -half * 0.1);
        pen.fill();
      }
      if (wheelchair) wheel(pen, half, inkOn(colour), line);
      else if (text) write(pen, text, Math.min(px * 0.46, (px * 0.92 * 1.6) / text.length), inkOn(colour));
    } else if (kind === "held") {
      pen.strokeStyle = palette.held;
      pen.beginPath();
      pen.arc(0, 0, half - line / 2, 0, Math.PI * 2);
      if (!isDot) pen.setLineDash([half * 0.42, half * 0.36]);
      pen.stroke();
    } else {
      pen.fillStyle = palette.taken;
      seatShape(pen, isDot ? half * 0.7 : half * 0.92, isDot);
      pen.fill();
      if (kind === "gone" && !isDot) cross(pen, half * 0.34, palette.cross, line);
    }
    return sprite;
  }

  paintRows(px, seen) {
    const { plan, palette, ratio } = this;
    const wide = Math.min(13 * ratio, px * 0.6);
    for (const section of plan.sections) {
      const { box } = section;
      if (section.standing || box.x1 < seen.x0 || box.x0 > seen.x1 || box.y1 < seen.y0 || box.y0 > seen.y1) continue;
      for (const row of section.rows) if (row.label) this.paintRow(row, this.word(row.label, wide, palette.soft, 700));
    }
  }

  // The letter of a row stands before its first seat.
  paintRow(row, word) {
    const { plan, context } = this;
    const next = Math.min(row.first + 1, row.last);
    const [dx, dy] = [plan.x[row.first] - plan.x[next] || -plan.pitch, plan.y[row.first] - plan.y[next]];
    const part = (plan.pitch * 0.9) / Math.hypot(dx, dy);
    const [x, y] = this.at(plan.x[row.first] + dx * part, plan.y[row.first] + dy * part);
    context.drawImage(word, Math.round(x - word.width / 2), Math.round(y - word.height / 2));
  }

  paintNames() {
    for (const section of this.plan.sections) this.paintName(section);
  }

  paintName(section) {
    const { context, palette, ratio, marks, plan } = this;
    const room = (section.box.x1 - section.box.x0) * this.k;
    const tall = (section.box.y1 - section.box.y0) * this.k;
    if (!section.name) return;
    const px = Math.max(9.5, Math.min(NAMES_PX + 1, Math.sqrt(room * tall) / ratio / 4.4));
    const name = this.word(section.shortName, px * ratio, palette.ink, 700, true);
    if (name.width > room * 1.5) return;
    const [x, y] = this.at(...section.middle);
    const free = marks.free[plan.sections.indexOf(section)];
    const count = this.word(marks.sayFree(free), 10.5 * ratio, palette.soft, 550, true);
    const both = tall * room > 5 * name.height * Math.max(name.width, count.width) && count.width < room;
    const lift = both ? name.height * 0.42 : 0;
    context.drawImage(name, Math.round(x - name.width / 2), Math.round(y - name.height / 2 - lift));
    if (both) context.drawImage(count, Math.round(x - count.width / 2), Math.round(y - count.height / 2 + lift));
  }

  // A word as a picture, as fast as any other; on a ground of its own where it lies on seats.
  word(text, px, colour, weight, onGround = false) {
    px = Math.max(6, Math.round(px));
    const key = `${text} ${px} ${colour} ${weight}`;
    let word = this.words.get(key);
    if (word) return word;
    const font = `${weight} ${px}px ${this.palette.font}`;
    const pen = this.context;
    pen.font = font;
    const wide = pen.measureText(text).width;
    const margin = onGround ? px * 0.28 : 1;
    word = blank(Math.ceil(wide + margin * 2), Math.ceil(px * (onGround ? 1.25 : 1.4)));
    const of = word.getContext("2d");
    if (onGround) {
      of.globalAlpha = 0.88;
      of.fillStyle = this.palette.ground;
      of.beginPath();
      of.roundRect(0, 0, word.width, word.height, px * 0.4);
      of.fill();
      of.globalAlpha = 1;
    }
    of.font = font;
    of.fillStyle = colour;
    of.textAlign = "center";
    of.textBaseline = "middle";
    of.fillText(text, word.width / 2, word.height / 2 + px * 0.04);
    this.words.set(key, word);
    return word;
  }

  paintMarks(px) {
    const { plan, marks, ratio } = this;
    const wide = Math.max(px, LEAST_MARK_PX * ratio);
    const seats = new Map();
    for (const n of marks.mine) seats.set(n, "mine");
    for (const n of marks.lost) if (marks.states[n] !== LETTERS.free) seats.set(n, "lost");
    for (const n of marks.chosen) seats.set(n, "chosen");
    for (const [n, kind] of seats) {
      if (plan.sections[plan.section[n]].standing) continue;
      this.paintMark(kind, n, wide, px >= NUMBERS_PX * ratio ? plan.label[n] : "");
    }
    this.paintStanding(seats, wide);
    if (marks.pointed && !plan.sections[plan.section[marks.pointed]].standing) this.paintPointed(marks.pointed, wide);
  }

  paintMark(kind, n, wide, text) {
    const [x, y] = this.at(this.plan.x[n], this.plan.y[n]);
    this.markAt(x, y, kind, wide, text);
  }

  // Chosen: larger than its neighbours, with a tick in a light ring. One's own: dark, ringed twice, with
  // a star. Lost: a warm ring that is broken by an exclamation mark.
  markAt(x, y, kind, wide) {
    const { context: pen, palette, ratio } = this;
    const half = wide / 2;
    const line = Math.max(1.5 * ratio, wide / 11);
    pen.save();
    pen.translate(Math.round(x), Math.round(y));
    pen.lineWidth = line;
    if (kind === "lost") {
      pen.beginPath();
      pen.arc(0, 0, half * 1.15, 0, Math.PI * 2);
      pen.fillStyle = palette.ground;
      pen.fill();
      pen.strokeStyle = palette.lost;
      pen.stroke();
      write(pen, "!", wide * 0.75, palette.lost, 800);
    } else {
      const colour = kind === "mine" ? palette.ink : palette.chosen;
      seatShape(pen, half * 1.2 + line, false);
      pen.fillStyle = palette.ground;
      pen.fill();
      seatShape(pen, half * 1.2, false);
      pen.fillStyle = colour;
      pen.fill();
      if (kind === "mine") {
        seatShape(pen, half * 0.92, false);
        pen.lineWidth = line * 0.6;
        pen.strokeStyle = palette.ground;
        pen.stroke();
        star(pen, half * 0.52, palette.ground);
      } else tick(pen, half * 0.62, palette.onChosen, line * 1.1);
    }
    pen.restore();
  }

  // Whoever stands has no seat to be marked: the area says how many.
  paintStanding(seats, wide) {
    const { plan } = this;
    plan.sections.forEach((section) => {
      if (!section.standing) return;
      const of = [...seats].filter(([n]) => n >= section.first && n <= section.last);
      const [x, y] = this.at(...section.middle);
      of.forEach(([, kind], place) => this.markAt(x + (place - (of.length - 1) / 2) * wide * 1.6, y + wide * 2.2, kind, wide));
    });
  }

  paintPointed(n, wide) {
    const { context: pen, palette, ratio } = this;
    const [x, y] = this.at(this.plan.x[n], this.plan.y[n]);
    pen.lineWidth = 2.5 * ratio;
    pen.strokeStyle = palette.accent;
    pen.beginPath();
    pen.roundRect(x - wide * 0.78, y - wide * 0.78, wide * 1.56, wide * 1.56, wide * 0.4);
    pen.stroke();
  }

  // The whole hall in small, with a frame around what is shown of it.
  paintSmall(canvas, size, view) {
    const pen = canvas.getContext("2d");
    const { plan, palette, ratio } = this;
    canvas.width = Math.round(size.width * ratio);
    canvas.height = Math.round(size.height * ratio);
    const whole = fit(plan.box, size, 4);
    const k = whole.scale * ratio;
    const trace = (outline) => {
      pen.beginPath();
      for (const [x, y] of outline) pen.lineTo((x - whole.x) * k, (y - whole.y) * k);
      pen.closePath();
    };
    plan.sections.forEach((section) => {
      trace(section.outline);
      pen.fillStyle = mixed(this.colourOf(section), palette.ground, 0.35);
      pen.fill();
    });
    if (plan.stage) {
      trace(plan.stage.outline);
      pen.fillStyle = palette.cross;
      pen.fill();
    }
    const shown = shownBox(view, this.size);
    pen.lineWidth = 2 * ratio;
    pen.strokeStyle = palette.ink;
    pen.strokeRect((shown.x0 - whole.x) * k, (shown.y0 - whole.y) * k, (shown.x1 - shown.x0) * k, (shown.y1 - shown.y0) * k);
    return whole;
  }
}

function blank(width, height = width) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  return canvas;
}

// A chair from above: its back is rounder than its front.
function seatShape(pen, half, isRound) {
  pen.beginPath();
  if (isRound) pen.arc(0, 0, half, 0, Math.PI * 2);
  else pen.roundRect(-half, -half, half * 2, half * 2, [half * 0.42, half * 0.42, half * 0.62, half * 0.62]);
}

function write(pen, text, px, colour, weight = 650) {
  pen.font = `${weight} ${px}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillStyle = colour;
  pen.fillText(text, 0, px * 0.05);
}

function cross(pen, half, colour, line) {
  pen.lineWidth = line;
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(-half, -half);
  pen.lineTo(half, half);
  pen.moveTo(half, -half);
  pen.lineTo(-half, half);
  pen.stroke();
}

function tick(pen, half, colour, line) {
  pen.lineWidth = line;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(-half * 0.9, half * 0.05);
  pen.lineTo(-half * 0.2, half * 0.75);
  pen.lineTo(half, -half * 0.7);
  pen.stroke();
}

function star(pen, radius, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  for (let point = 0; point < 10; point++) {
    const angle = (point * Math.PI) / 5 - Math.PI / 2;
    const away = point % 2 ? radius * 0.45 : radius * 1.15;
    pen.lineTo(Math.cos(angle) * away, Math.sin(angle) * away);
  }
  pen.fill();
}

function wheel(pen, half, colour, line) {
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = line;
  pen.lineCap = "round";
  pen.beginPath();
  pen.arc(-half * 0.06, half * 0.18, half * 0.4, -Math.PI * 0.45, Math.PI * 1.1);
  pen.moveTo(-half * 0.1, -half * 0.42);
  pen.lineTo(-half * 0.06, half * 0.1);
  pen.lineTo(half * 0.34, half * 0.1);
  pen.lineTo(half * 0.5, half * 0.52);
  pen.stroke();
  pen.beginPath();
  pen.arc(-half * 0.12, -half * 0.58, half * 0.13, 0, Math.PI * 2);
  pen.fill();
}

function mixed(colour, ground, part) {
  const [from, to] = [channels(colour), channels(ground)];
  return `rgb(${from.map((one, place) => Math.round(one + (to[place] - one) * part)).join(" ")})`;
}
