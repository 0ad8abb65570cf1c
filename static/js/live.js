// Opens the streams of a page again after they broke, and knows when not to.
//
// htmx' extension opens a stream when the page is there and reads it (hx-sse:connect). Its own way
// of opening it again is switched off in base.html: it takes a stream that ends at once for one that
// works, which is two requests a second for ever; it asks on after "you have no place here"; and
// where the first answer is an error it does not come back at all.
//
//   the server's last word (hx-sse:close)   never again
//   4xx, such as a place that is over       closed; once more when somebody comes back to the page
//   5xx, no network, silence, an end        again, later each time: up to 30 s, each page by chance
//   "away", from a process that ends        again after the time that it names, so that not all come at once
//
// Pages hear "live:lost" when a stream is gone, with `closed` where it is not opened again by itself.

const CONNECT_MS = 10000;
const LEAST_MS = 500;
const MOST_MS = 30000;
// A stream that has stood this long was a good one; what breaks now begins to count anew.
const STEADY_MS = 10000;

const streams = new Map(); // element -> how its stream fares

function fares(element) {
  if (!streams.has(element)) streams.set(element, { failures: 0, openedAt: 0, awayMs: 0, timer: 0, closed: false, over: false });
  return streams.get(element);
}

function isStream(element) {
  return element instanceof Element && element.hasAttribute("hx-sse:connect");
}

function open(element) {
  const stream = fares(element);
  clearTimeout(stream.timer);
  stream.timer = 0;
  if (stream.over || !element.isConnected || !isStream(element) || element._htmx?.sse) return;
  stream.closed = false;
  htmx.ajax("GET", element.getAttribute("hx-sse:connect"), { source: element, timeout: CONNECT_MS });
}

function lose(element, { status = 0, leastMs = 0 } = {}) {
  const stream = fares(element);
  if (stream.timer || stream.over) return;
  if (stream.openedAt && Date.now() - stream.openedAt > STEADY_MS) stream.failures = 0;
  stream.openedAt = 0;
  leastMs = Math.max(leastMs, stream.awayMs);
  stream.awayMs = 0;
  stream.closed = status >= 400 && status < 500;
  if (!stream.closed) {
    const delay = Math.min(MOST_MS, LEAST_MS * 2 ** stream.failures) * (0.5 + Math.random() / 2);
    stream.failures += 1;
    stream.timer = setTimeout(() => open(element), Math.max(delay, leastMs));
  }
  element.dispatchEvent(new CustomEvent("live:lost", { bubbles: true, detail: { closed: stream.closed, status } }));
}

document.addEventListener("htmx:sse:after:connection", (event) => {
  fares(event.target).openedAt = Date.now();
});

document.addEventListener("away", (event) => {
  if (isStream(event.target)) fares(event.target).awayMs = Math.min(Number(event.detail.data) || 0, MOST_MS);
});

document.addEventListener("htmx:sse:close", (event) => {
  if (!isStream(event.target)) return;
  if (event.detail.reason === "message") fares(event.target).over = true;
  else if (event.target.isConnected) lose(event.target);
});

// An answer that is no stream says why there is none. It is no part of the page.
document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  if (!isStream(ctx.sourceElement)) return;
  event.preventDefault();
  ctx.response.raw.body?.cancel();
  const seconds = Number(ctx.response.headers.get("Retry-After")) || 0;
  lose(ctx.sourceElement, { status: ctx.response.status, leastMs: Math.min(seconds * 1000, MOST_MS) });
});

// No answer at all: no network, or nobody at the other end within CONNECT_MS.
document.addEventListener("htmx:error", (event) => {
  const element = event.detail.ctx?.sourceElement;
  if (isStream(element)) lose(element);
});

// Whoever looks again, or has a network again, need not wait for the next try.
function hurry() {
  if (document.hidden) return;
  for (const [element, stream] of streams) if (stream.timer || stream.closed) open(element);
}
document.addEventListener("visibilitychange", hurry);
addEventListener("online", hurry);
