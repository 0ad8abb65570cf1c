// The seat map: keeps it live, keeps to the limit, and says what happens to the chosen seats.

const form = document.getElementById("seat-form");
const map = document.getElementById("map");
const changes = document.getElementById("changes");
const say = document.getElementById("say");
const limit = Number(form.dataset.limit);
const SILENCE_MS = 20000;

let stream = null;
let heardAt = Date.now();
let chosen = new Set();

function inputs() {
  return [...form.querySelectorAll("input[name=seats]")];
}

function won(amount) {
  return document.documentElement.dataset.won.replace("{digits}", amount.toLocaleString());
}

// Reads the boxes; whatever was chosen and is not to be had any more is taken out and said.
function update(announce) {
  const before = chosen;
  const taken = inputs().filter((input) => input.disabled && (input.checked || before.has(input.value)));
  for (const input of taken) {
    input.checked = false;
    if (announce && before.has(input.value)) {
      input.closest(".seat").classList.add("seat-lost");
      say.textContent = say.dataset.taken.replace("{seat}", input.value);
    }
  }
  for (const number of map.querySelectorAll("[data-count]")) {
    const seats = map.querySelectorAll(`.seat[data-state=${number.dataset.count}]`);
    number.textContent = seats.length.toLocaleString();
  }
  const boxes = inputs().filter((input) => input.checked && !input.disabled);
  chosen = new Set(boxes.map((input) => input.value));
  const text = document.getElementById("tray-text");
  text.textContent = boxes.length
    ? text.dataset.some.replace("{seats}", [...chosen].join(", "))
    : text.dataset.none;
  const amount = boxes.reduce((sum, input) => sum + Number(input.dataset.price), 0);
  document.getElementById("tray-amount").textContent = boxes.length ? won(amount) : "";
}

// How the map stands here, a letter a seat, as the server writes it too.
function states() {
  return [...map.querySelectorAll(".seat")]
    .map((seat) => (seat.classList.contains("seat-mine") ? "m" : seat.dataset.state[0]))
    .join("");
}

// Looks whether the map is still right, and draws it anew only where it is not.
async function refresh() {
  const answer = await fetch(form.dataset.states, { headers: { Accept: "text/plain" } });
  if (answer.redirected) return location.assign(answer.url);
  if (!answer.ok || (await answer.text()) === states()) return;
  await htmx.ajax("GET", map.dataset.part, { target: "#map", swap: "innerMorph" });
  update(true);
}

// Without a network there is nothing to see; the next look is not far.
function look() {
  refresh().catch(() => {});
}

form.addEventListener("change", (event) => {
  if (event.target.name !== "seats") return;
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

setInterval(() => {
  if (Date.now() - heardAt < SILENCE_MS) return;
  stream?.reader?.cancel();
  look();
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
document.getElementById("lost")?.focus();
update(false);
