// The window into the hall: dragged, pinched, turned by a wheel, tapped; it draws when something has
// changed, and rests otherwise. It never moves by itself, but for what somebody here has just done.

const TRAVEL_MS = 240;
const STILL_PX = 7;
const TAP_MS = 600;
const TWICE_MS = 320;
const TWICE = 2.2;
const WHEEL = 0.0018;
const REACH_PX = 22;

export class Pane {
  // `tapped` is told of taps by a place in the picture, and says whether it has done something there;
  // `pointed` of a mouse that moves over it.
  constructor({ canvas, small, plan, painter, tapped, pointed, looked }) {
    Object.assign(this, { canvas, small, plan, painter, tapped, pointed, looked });
    this.size = { width: 0, height: 0 };
    this.view = null;
    this.fingers = new Map();
    this.waiting = 0;
    this.travel = null;
    this.lastTap = null;
    this.wheeledAt = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
  }

  // The picture is so large from now on; what is in its middle stays there.
  fill(size, palette, ratio) {
    const middle = this.view && !isWhole(this.view, this.plan, this.size) ? floorAt(this.view, { x: this.size.width / 2, y: this.size.height / 2 }) : null;
    const scale = this.view?.scale;
    this.size = size;
    this.painter.dress(palette, size, ratio);
    this.look(middle ? centred(middle, scale, this.plan, size) : fit(this.plan.box, size));
  }

  look(view) {
    this.view = view;
    const whole = isWhole(view, this.plan, this.size);
    // A finger that moves up and down over the whole hall moves the page, as everywhere else.
    this.canvas.style.touchAction = whole ? "pan-y" : "none";
    this.small.hidden = whole;
    this.looked(view, whole);
    this.ask();
  }

  // Something else than the view has changed.
  draw() {
    this.painter.spoil();
    this.ask();
  }

  ask() {
    if (!this.waiting) this.waiting = requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.waiting = 0;
    if (this.travel) this.go(now);
    const isZooming = Boolean(this.travel) || this.fingers.size > 1 || now - this.wheeledAt < 150;
    this.painter.paint(this.view, isZooming);
    if (!this.small.hidden) this.smallView = this.painter.paintSmall(this.small, this.smallSize(), this.view);
    if (isZooming) this.ask();
  }

  smallSize() {
    return { width: this.small.clientWidth || 96, height: this.small.clientHeight || 72 };
  }

  // Goes to a view, quickly, or at once for whoever wants things to stand still.
  show(view) {
    const to = within(view, this.plan, this.size);
    if (this.still.matches) return this.look(to);
    this.travel = { from: this.view, to, began: 0 };
    this.ask();
  }

  go(now) {
    const { travel } = this;
    travel.began ||= now;
    const part = Math.min(1, (now - travel.began) / TRAVEL_MS);
    if (part === 1) this.travel = null;
    this.look(part === 1 ? travel.to : between(travel.from, travel.to, 1 - (1 - part) ** 3));
  }

  zoom(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    this.show(zoomed(this.travel?.to ?? this.view, factor, at, this.plan, this.size));
  }

  whole() {
    this.show(fit(this.plan.box, this.size));
  }

  // Brings a seat near and into the middle, where it is not to be seen well already.
  bring(x, y) {
    const at = { x: (x - this.view.x) * this.view.scale, y: (y - this.view.y) * this.view.scale };
    const isSeen = at.x > 30 && at.y > 30 && at.x < this.size.width - 30 && at.y < this.size.height - 30;
    const scale = Math.max(this.view.scale, (NEAR_PX * 1.3) / this.plan.pitch);
    if (!isSeen || scale > this.view.scale) this.show(centred({ x, y }, scale, this.plan, this.size));
  }

  listen() {
    const { canvas, small } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.up(event, end === "pointerup"));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.pointed(null));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const move of ["pointerdown", "pointermove"]) {
      small.addEventListener(move, (event) => {
        if (!event.buttons) return;
        small.setPointerCapture(event.pointerId);
        const floor = floorAt(this.smallView, placeOf(event, small));
        this.travel = null;
        this.look(centred(floor, this.view.scale, this.plan, this.size));
      });
    }
  }

  down(event) {
    if (event.button) return;
    const at = placeOf(event, this.canvas);
    this.travel = null;
    this.fingers.set(event.pointerId, at);
    this.canvas.setPointerCapture(event.pointerId);
    if (this.fingers.size === 1) this.press = { at, began: event.timeStamp, moved: false };
    else this.press = null;
    this.pinch = this.pinched();
  }

  move(event) {
    const at = placeOf(event, this.canvas);
    if (!this.fingers.has(event.pointerId)) return event.pointerType === "mouse" && this.pointed(at);
    const before = this.fingers.get(event.pointerId);
    if (this.press && !this.press.moved) {
      if (Math.hypot(at.x - this.press.at.x, at.y - this.press.at.y) < STILL_PX) return;
      this.press.moved = true;
    }
    this.fingers.set(event.pointerId, at);
    if (this.fingers.size === 1) return this.look(moved(this.view, at.x - before.x, at.y - before.y, this.plan, this.size));
    const pinch = this.pinched();
    const carried = moved(this.view, pinch.x - this.pinch.x, pinch.y - this.pinch.y, this.plan, this.size);
    this.look(zoomed(carried, pinch.apart / (this.pinch.apart || 1), pinch, this.plan, this.size));
    this.pinch = pinch;
  }

  up(event, isMeant) {
    if (!this.fingers.delete(event.pointerId)) return;
    const { press } = this;
    this.press = null;
    this.pinch = this.pinched();
    this.ask();
    if (!isMeant || !press || press.moved || event.timeStamp - press.began > TAP_MS) return;
    this.tap(press.at, event.timeStamp);
  }

  tap(at, now) {
    const last = this.lastTap;
    const again = last && now - last.now < TWICE_MS && Math.hypot(at.x - last.at.x, at.y - last.at.y) < 30;
    this.lastTap = null;
    if (again) return this.zoom(TWICE, at);
    if (!this.tapped(at)) this.lastTap = { at, now };
  }

  pinched() {
    const [one, other] = [...this.fingers.values()];
    if (!other) return null;
    return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, apart: Math.hypot(one.x - other.x, one.y - other.y) };
  }

  // Turning it towards oneself while all is in view moves the page on, so that nobody is caught here.
  wheel(event) {
    const isAway = event.deltaY > 0;
    if (isAway && isWhole(this.view, this.plan, this.size)) return;
    event.preventDefault();
    this.travel = null;
    this.wheeledAt = performance.now();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const turn = Math.max(-240, Math.min(240, event.deltaY * lines)) * (event.ctrlKey ? 5 : 1);
    this.look(zoomed(this.view, Math.exp(-turn * WHEEL), placeOf(event, this.canvas), this.plan, this.size));
  }

  // How far from a place in the picture a finger may have meant a seat.
  reach() {
    return Math.max(this.plan.pitch * 0.75, REACH_PX / this.view.scale);
  }
}

function placeOf(event, element) {
  const box = element.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}
