// The waiting room: says how the connection is, falls back to asking, and takes people in.
// Everything it does, the page can also do without it; this only makes it quicker.

const SILENCE_MS = 17000; // two heartbeats and a moment
const MOST_PAUSE_MS = 30000;
const PATIENCE_MS = 8000; // with one question
const SAID_OF = { open: "open", all_held: "allHeld", sold_out: "soldOut", ended: "ended" };
const line = document.getElementById("line");
const place = document.getElementById("place");
const connection = document.getElementById("connection");
const tools = document.getElementById("line-tools");
const assurance = document.querySelector(".assurance");
const sound = document.getElementById("sound");
const say = document.getElementById("say");
let placeUrl = line?.dataset.placeUrl;
const title = document.title;
const icons = [...document.querySelectorAll("link[data-turn]")].map((icon) => ({ icon, href: icon.href }));

let stream = null; // the extension's own record of the open stream
let isOpen = false;
let heardAt = 0;
let asking = 0; // the timer of the next look, while the stream does not tell
let failures = 0;
let isOver = false;
let hasEnded = false; // as the stream says
let looking = null; // the question that is on its way
let turnUrl = null;
let audio = null;
let spoken = null;
let isHere = false; // and the line knows it
let saidLast = null; // of the seats and by the organiser, at the last look

function setConnection(state) {
  if (!connection || connection.dataset.state === state) return;
  connection.dataset.state = state;
  document.getElementById("connection-text").textContent = connection.dataset[state];
}

function heard() {
  heardAt = Date.now();
  isOpen = true;
  failures = 0;
  clearTimeout(asking);
  asking = 0;
  setConnection("live");
}

function current() {
  return place.querySelector(".place");
}

// Only what is this person's own has changed.
function move(told) {
  const shown = current();
  if (shown?.dataset.status !== "waiting") return refresh();
  for (const part of shown.querySelectorAll("[data-told]")) {
    if (part.textContent !== told[part.dataset.told]) part.textContent = told[part.dataset.told];
  }
  const progress = shown.querySelector(".place-progress");
  if (progress) Object.assign(progress, { max: told.start, value: told.passed, textContent: `${told.passed} / ${told.start}` });
  const bar = shown.querySelector(".counts-bar");
  if (bar) {
    bar.setAttribute("viewBox", `0 0 ${told.all} 1`);
    for (const [kind, from, width] of [
      ["sold", 0, told.sold_width],
      ["held", told.sold_width, told.held_width],
      ["available", told.free_from, told.free_width],
    ]) {
      const part = bar.querySelector(`.counts-${kind}`);
      part.setAttribute("x", from);
      part.setAttribute("width", width);
    }
  }
  shown.dataset.position = told.position;
  shown.dataset.poll = told.poll;
  sayHere();
}

// Near the front the page says once that somebody is in front of it, so that the line counts on them.
function sayHere() {
  const position = Number(current()?.dataset.position);
  if (isHere || document.hidden || !position || position > Number(line.dataset.near)) return;
  isHere = true;
  const body = new URLSearchParams({ csrf_token: document.querySelector("[name=csrf_token]")?.value ?? "" });
  fetch(line.dataset.hereUrl, { method: "POST", body, keepalive: true, signal: AbortSignal.timeout(PATIENCE_MS) })
    .then((answer) => answer.ok || Promise.reject())
    .catch(() => setTimeout(() => (isHere = false), MOST_PAUSE_MS));
}

// Says the place aloud now and then, not at every change; what the seats have come to and what the
// organiser says, once when it changes.
function speak() {
  const shown = current();
  if (!shown || !say) return;
  const { position, seats } = shown.dataset;
  const message = shown.querySelector(".message-words")?.textContent ?? "";
  const words = [];
  if (saidLast && saidLast.seats !== seats) words.push(say.dataset[SAID_OF[seats]]);
  if (saidLast && message && saidLast.message !== message) words.push(say.dataset.message.replace("{words}", message));
  saidLast = { seats, message };
  const now = Date.now();
  if (position && !(spoken && (spoken.position === position || now - spoken.at < 30000))) {
    spoken = { position, at: now };
    words.push(say.dataset.place.replace("{n}", Number(position).toLocaleString()));
  }
  if (words.length) say.textContent = words.join(" ");
}

// Looks where the place stands; false where nobody answers. Errors are no part of the page: it says
// "reconnecting", and what it shows is still the place.
function refresh() {
  looking ??= ask().finally(() => (looking = null));
  return looking;
}

async function ask() {
  const asked = { status: 0 };
  await htmx.ajax("GET", placeUrl, { target: "#place", swap: "innerMorph", timeout: PATIENCE_MS, asked });
  // "Too many" is about this moment; whatever else is refused is refused for good.
  if (asked.status >= 400 && asked.status < 500 && asked.status !== 429) finish();
  if (asked.status !== 200) return false;
  look();
  // Whoever has a place although theirs has ended has lined up again elsewhere.
  if (hasEnded && !isOver && !turnUrl) location.reload();
  return true;
}

document.addEventListener("htmx:before:response", (event) => {
  const { asked, response } = event.detail.ctx;
  if (!asked) return;
  asked.status = response.status;
  if (asked.status === 200) return;
  event.preventDefault();
  response.raw.body?.cancel();
});

// While the stream does not tell, ask as often as the server says; less often while nobody answers.
function keepAsking(afterMs) {
  if (isOver || asking) return;
  asking = setTimeout(async () => {
    const answered = await refresh();
    failures = answered ? 0 : failures + 1;
    asking = 0;
    const pause = (Number(current()?.dataset.poll) || 5) * 1000 * 2 ** failures;
    if (!isOpen) keepAsking(Math.min(pause, MOST_PAUSE_MS) * (failures ? 0.5 + Math.random() / 2 : 1));
  }, afterMs);
}

function lost() {
  if (isOver) return;
  isOpen = false;
  setConnection("lost");
  keepAsking(200 + Math.random() * 800);
}

// A stream that says nothing for so long is broken, whatever the network says of it.
function listen() {
  if (isOver || !isOpen || Date.now() - heardAt < SILENCE_MS) return;
  stream?.reader?.cancel();
  lost();
}

// The place has ended, says the stream; what became of it is asked, until somebody answers.
async function ended(event) {
  if (isOver) return;
  if (event.detail.data === "left") {
    const asked = new URL(placeUrl, location);
    asked.searchParams.set("left", "1");
    placeUrl = asked.pathname + asked.search;
  }
  isOpen = false;
  hasEnded = true;
  clearTimeout(asking);
  asking = 0;
  if (!(await refresh())) keepAsking(1000 + Math.random() * 1000);
}

// The place is over: nothing more is asked, and nothing more is told.
function finish() {
  isOver = true;
  clearTimeout(asking);
  asking = 0;
  place.removeAttribute("hx-sse:connect");
  for (const part of [tools, assurance]) part?.setAttribute("hidden", "");
}

function look() {
  const shown = current();
  if (!shown) return;
  const { status } = shown.dataset;
  if (isOver && (status === "waiting" || status === "admitted")) return location.reload();
  if (status === "admitted") turn(shown.dataset.wayIn);
  else if (turnUrl) callNoMore();
  // What is told to those who wait goes with the waiting.
  if (status === "admitted") for (const part of [tools, assurance]) part?.setAttribute("hidden", "");
  else if (status !== "waiting") finish();
  sayHere();
  speak();
}

function chime() {
  if (!audio || !sound?.checked) return;
  const start = audio.currentTime;
  for (const [index, pitch] of [523.25, 659.25, 783.99].entries()) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.0001, start + index * 0.22);
    volume.gain.exponentialRampToValueAtTime(0.3, start + index * 0.22 + 0.03);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + index * 0.22 + 0.5);
    tone.connect(volume).connect(audio.destination);
    tone.start(start + index * 0.22);
    tone.stop(start + index * 0.22 + 0.6);
  }
}

// It is this person's turn: go in at once where they are looking, else call them.
function turn(url) {
  if (!url || turnUrl) return;
  turnUrl = url;
  document.title = `● ${line.dataset.titleTurn}`;
  for (const { icon } of icons) icon.href = icon.dataset.turn;
  if (say) say.textContent = say.dataset.turn;
  chime();
  if (!document.hidden) location.assign(url);
}

// The turn was missed: a tab in the background must not promise it any longer.
function callNoMore() {
  turnUrl = null;
  document.title = title;
  if (say) say.textContent = say.dataset.missed;
  for (const { icon, href } of icons) icon.href = href;
}

sound?.addEventListener("change", () => {
  // Browsers let a page make sound only after somebody has touched it.
  if (sound.checked && !audio) audio = new AudioContext();
  audio?.resume();
});

if (placeUrl) {
  place.addEventListener("htmx:sse:after:connection", (event) => {
    stream = event.detail.connection;
    heard();
  });
  place.addEventListener("htmx:sse:before:message", heard);
  place.addEventListener("htmx:sse:after:message", look);
  place.addEventListener("live:lost", lost);
  place.addEventListener("moved", (event) => move(JSON.parse(event.detail.data)));
  place.addEventListener("turn", (event) => turn(event.detail.data));
  place.addEventListener("over", ended);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (turnUrl) location.assign(turnUrl);
    else refresh(); // and with it says, near the front, that somebody is there
  });
  addEventListener("online", () => {
    stream?.reader?.cancel();
    refresh();
  });
  addEventListener("offline", () => setConnection("lost"));
  // A page that comes back from the browser's memory is as old as it was left.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  heardAt = Date.now();
  setInterval(listen, 1000);
  // Where the stream has not opened by then, the page asks.
  setTimeout(() => isOpen || lost(), SILENCE_MS);
  look();
} else {
  // Nothing changes here by itself; how the room is, is looked up when somebody comes back.
  const status = document.getElementById("room-status");
  const seats = () => status.querySelector("[data-seats]")?.dataset.seats;
  document.addEventListener("visibilitychange", async () => {
    if (!status || document.hidden) return;
    const before = seats();
    await htmx.ajax("GET", status.dataset.statusUrl, { target: "#room-status" });
    // What can be done has changed with it: another button, or none.
    if (seats() && seats() !== before) location.reload();
  });
}
