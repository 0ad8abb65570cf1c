// The seat map: keeps it live, keeps to the limit, and says what happens to the chosen seats.

const form = document.getElementById("seat-form");
const map = document.getElementById("map");
const changes = document.getElementById("changes");
const say = document.getElementById("say");
const limit = Number(form.dataset.limit);
const SILENCE_MS = 20000;
const LOOK_MS = 30000;
const BELIEVED_MS = 1200;
const MOST_TRIES = 8;
const AGAIN_MS = 300;

let stream = null;
let heardAt = Date.now();
let lookedAt = Date.now();
let looking = false;
let wanted = false;
let chosen = new Set();
const taken = new Set(); // what others took of it since the last choice

function inputs() {
  return [...form.querySelectorAll("input[name=seats]")];
}

function won(amount) {
  return document.documentElement.dataset.won.replace("{digits}", amount.toLocaleString());
}

// Reads the boxes; whatever was chosen and is not to be had any more is taken out and said.
function update(announce) {
  const before = chosen;
  const gone = inputs().filter((input) => input.disabled && (input.checked || before.has(input.value)));
  for (const input of gone) input.checked = false;
  if (announce) tell(gone.filter((input) => before.has(input.value)));
  for (const number of map.querySelectorAll("[data-count]")) {
    const seats = map.querySelectorAll(`.seat[data-state=${number.dataset.count}]`);
    number.textContent = seats.length.toLocaleString();
  }
  offerWhatCanBe();
  const boxes = inputs().filter((input) => input.checked && !input.disabled);
  chosen = new Set(boxes.map((input) => input.value));
  const text = document.getElementById("tray-text");
  text.textContent = boxes.length
    ? text.dataset.some.replace("{seats}", [...chosen].join(", "))
    : text.dataset.none;
  const amount = boxes.reduce((sum, input) => sum + Number(input.dataset.price), 0);
  document.getElementById("tray-amount").textContent = boxes.length ? won(amount) : "";
}

// Where nothing is free nothing is offered, and what can be done is said; until a seat comes back.
function offerWhatCanBe() {
  const any = (state) => map.querySelector(`.seat[data-state=${state}]`);
  const state = any("available") ? "open" : any("held") ? "all_held" : "sold_out";
  for (const part of document.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(state);
}

// Says which chosen seats others have taken since the last choice, all of them by number; and
// which have become this person's own, in another tab or by the form that is on its way.
function tell(gone) {
  const mine = gone.filter((input) => input.closest(".seat-mine"));
  for (const input of gone) if (!mine.includes(input)) taken.add(input.value);
  for (const number of taken) {
    const seat = map.querySelector(`#seat-${number}`);
    if (seat.dataset.state === "available") taken.delete(number);
    else seat.classList.add("seat-lost");
  }
  if (mine.length) {
    say.textContent = say.dataset.held.replace("{seats}", mine.map((input) => input.value).join(", "));
  } else if (gone.length) {
    const words = taken.size > 1 ? say.dataset.takenSeveral : say.dataset.taken;
    say.textContent = words.replace("{seats}", [...taken].join(", "));
  }
}

// How the map stands here, a letter a seat, as the server writes it too.
function states() {
  return [...map.querySelectorAll(".seat")]
    .map((seat) => (seat.classList.contains("seat-mine") ? "m" : seat.dataset.state[0]))
    .join("");
}

// Looks whether the map is still right, and draws it anew only where it is not. A map that is drawn
// anew may be older than what the stream has told meanwhile, so it is compared until both agree.
async function compare() {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (tries) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * tries));
    const answer = await fetch(form.dataset.states, { headers: { Accept: "text/plain" } });
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) return;
    const told = await answer.text();
    if (told === "ended") return location.replace(form.dataset.page);
    if (told === states()) return;
    await htmx.ajax("GET", map.dataset.part, { target: "#map", swap: "innerMorph" });
    update(true);
  }
  lookedAt = 0; // it goes on changing: look again soon
}

// One look at a time: whoever asks meanwhile gets one more when it is done.
async function look() {
  wanted = true;
  if (looking) return;
  looking = true;
  while (wanted) {
    wanted = false;
    lookedAt = Date.now();
    await compare().catch(() => {}); // without a network there is nothing to see; the next look is not far
  }
  looking = false;
}

form.addEventListener("change", (event) => {
  if (event.target.name !== "seats") return;
  taken.clear();
  const boxes = inputs().filter((input) => input.checked && !input.disabled);
  if (boxes.length > limit) {
    event.target.checked = false;
    say.textContent = say.dataset.limit;
  }
  update(false);
});

// Arrow keys move between seats, as in any grid; Tab and the space bar work as ever.
form.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const step = steps[event.key];
  if (!step || event.target.name !== "seats") return;
  event.preventDefault();
  const rows = [...form.querySelectorAll(".seat-row")].map((row) => [...row.querySelectorAll("input[name=seats]")]);
  let depth = rows.findIndex((row) => row.includes(event.target));
  let across = rows[depth].indexOf(event.target);
  do {
    depth += step[0];
    across += step[1];
    const seat = rows[depth]?.[across];
    if (!seat) return;
    if (!seat.disabled) return seat.focus();
  } while (true);
});

changes.addEventListener("htmx:sse:after:connection", (event) => {
  stream = event.detail.connection;
  heardAt = Date.now();
});
changes.addEventListener("htmx:sse:before:message", () => (heardAt = Date.now()));
changes.addEventListener("htmx:sse:after:message", () => update(true));
changes.addEventListener("resync", look);
// The organiser has corrected prices or the number of seats, which no letter tells. Another process of the
// service may believe the old ones for a second; and a crowd does not ask at once.
changes.addEventListener("corrected", () =>
  setTimeout(
    () => htmx.ajax("GET", map.dataset.part, { target: "#map", swap: "innerMorph" }).then(() => update(true)),
    BELIEVED_MS * (1 + Math.random()),
  ),
);

// A silent stream is opened anew. While somebody looks, the map is compared now and then in any case.
setInterval(() => {
  const silent = Date.now() - heardAt >= SILENCE_MS;
  if (silent) stream?.reader?.cancel();
  if (silent || (!document.hidden && Date.now() - lookedAt >= LOOK_MS)) look();
}, 10000);
document.addEventListener("visibilitychange", () => document.hidden || look());
addEventListener("online", () => {
  stream?.reader?.cancel();
  look();
});
addEventListener("pageshow", (event) => event.persisted && location.reload());
// What the page came with as chosen becomes the person's own choice, which a fresh map leaves alone.
for (const input of inputs().filter((one) => one.checked)) {
  input.removeAttribute("checked");
  input.checked = true;
}
update(false);
// What was lost is said, and what is offered instead is on the screen: where both do not fit, the
// tray, which always is, says it once more.
const lost = document.getElementById("lost");
lost?.focus({ preventScroll: true });
map.querySelector(".seat-offered")?.scrollIntoView({ block: "center", inline: "center" });
if (lost && lost.getBoundingClientRect().top < 0) say.textContent = lost.querySelector("strong").textContent;
