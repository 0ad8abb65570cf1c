// The waiting room: says how the connection is, falls back to asking, and takes people in.
// Everything it does, the page can also do without it; this only makes it quicker.

const SILENCE_MS = 20000; // two heartbeats and a half
const line = document.getElementById("line");
const place = document.getElementById("place");
const connection = document.getElementById("connection");
const tools = document.getElementById("line-tools");
const assurance = document.querySelector(".assurance");
const sound = document.getElementById("sound");
const say = document.getElementById("say");
const placeUrl = line?.dataset.placeUrl;
const title = document.title;
const icons = [...document.querySelectorAll("link[data-turn]")].map((icon) => ({ icon, href: icon.href }));

let stream = null; // the extension's own record of the open stream
let heardAt = 0;
let polling = 0;
let turnUrl = null;
let audio = null;
let spoken = null;

function setConnection(state) {
  if (!connection || connection.dataset.state === state) return;
  connection.dataset.state = state;
  document.getElementById("connection-text").textContent = connection.dataset[state];
}

function heard() {
  heardAt = Date.now();
  setConnection("live");
}

function current() {
  return place.querySelector(".place");
}

// Says the place aloud now and then, not at every change.
function speak() {
  const position = current()?.dataset.position;
  if (!position || !say) return;
  const now = Date.now();
  if (spoken && (spoken.position === position || now - spoken.at < 30000)) return;
  spoken = { position, at: now };
  say.textContent = say.dataset.place.replace("{n}", Number(position).toLocaleString());
}

function refresh() {
  if (!placeUrl) return Promise.resolve();
  return htmx
    .ajax("GET", placeUrl, { target: "#place", swap: "innerMorph" })
    .then(look, () => setConnection("lost"));
}

// While the stream is silent, ask as often as the server says.
function keepAsking() {
  clearTimeout(polling);
  const seconds = Number(current()?.dataset.poll) || 5;
  polling = setTimeout(async () => {
    const silent = Date.now() - heardAt > SILENCE_MS;
    if (silent) {
      setConnection("lost");
      stream?.reader?.cancel();
      await refresh();
    }
    keepAsking();
  }, Math.min(seconds, 10) * 1000);
}

function look() {
  const shown = current();
  if (!shown) return;
  if (shown.dataset.status === "admitted") turn(shown.dataset.wayIn);
  else if (turnUrl) callNoMore();
  // What is told to those who wait goes with the waiting.
  if (shown.dataset.status !== "waiting") for (const part of [tools, assurance]) part?.setAttribute("hidden", "");
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
  place.addEventListener("htmx:sse:error", () => setConnection("lost"));
  place.addEventListener("turn", (event) => turn(event.detail.data));
  place.addEventListener("over", () => refresh());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (turnUrl) location.assign(turnUrl);
    else refresh();
  });
  addEventListener("online", () => {
    stream?.reader?.cancel();
    refresh();
  });
  addEventListener("offline", () => setConnection("lost"));
  // A page that comes back from the browser's memory is as old as it was left.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  heardAt = Date.now();
  keepAsking();
  look();
}
