// Keeps every <time data-until> running on the server's clock. The text is right without it.
// Elements may come and go (htmx): they are looked up anew at every tick.
const offsets = new WeakMap();
const said = new WeakMap();
const ended = new WeakSet();

function offsetOf(element) {
  let offset = offsets.get(element);
  if (offset === undefined || offset.now !== element.dataset.now) {
    // The page's own countdowns were true when its first byte came, others when they appeared.
    const [loaded] = performance.getEntriesByType("navigation");
    const young = document.readyState !== "complete" && loaded;
    const seenAt = young ? performance.timeOrigin + loaded.responseStart : Date.now();
    offset = { now: element.dataset.now, ms: Number(element.dataset.now) - seenAt };
    offsets.set(element, offset);
    said.delete(element);
    ended.delete(element);
  }
  return offset.ms;
}

function words(seconds, element) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  const two = (n) => String(n).padStart(2, "0");
  const rest = seconds % 60;
  const digits = hours || days ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  if (!days) return digits;
  const pattern = days === 1 ? element.dataset.day : element.dataset.days;
  return `${pattern.replace("{n}", days)} ${digits}`;
}

function announce(element, seconds) {
  const marks = (element.dataset.sayAt || "").split(",").filter(Boolean).map(Number);
  const mark = Math.min(...marks.filter((one) => seconds <= one));
  if (!Number.isFinite(mark) || seconds === 0 || said.get(element) <= mark) return;
  const isFirstLook = !said.has(element) && seconds < mark - 2;
  said.set(element, mark);
  const announcer = document.getElementById("announcer");
  if (announcer && !isFirstLook) {
    announcer.textContent = element.dataset.say.replace("{time}", words(seconds, element));
  }
}

function end(element) {
  if (ended.has(element)) return;
  ended.add(element);
  element.dispatchEvent(new CustomEvent("countdown:end", { bubbles: true }));
  if (element.dataset.atEnd === "reload") {
    // Spread, so that everybody who waits does not ask in the same instant.
    setTimeout(() => location.reload(), 300 + Math.random() * 1700);
  }
}

function tick() {
  for (const element of document.querySelectorAll("time[data-until]")) {
    const left = Number(element.dataset.until) - (Date.now() + offsetOf(element));
    const seconds = Math.max(0, Math.ceil(left / 1000));
    const text = words(seconds, element);
    if (element.textContent !== text) element.textContent = text;
    const isSoon = seconds <= Number(element.dataset.soonAt || 0);
    if (isSoon !== "soon" in element.dataset) element.toggleAttribute("data-soon", isSoon);
    announce(element, seconds);
    if (left <= 0) end(element);
  }
}

// Whoever waits for an end listens by then.
document.addEventListener("DOMContentLoaded", tick);
setInterval(tick, 250);
document.addEventListener("visibilitychange", () => document.hidden || tick());
