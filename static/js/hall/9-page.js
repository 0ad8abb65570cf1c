// The page itself: puts the plan, the picture, the tray, the list and the stream together.

const COLOURS = ["ground", "line", "ink", "soft", "taken", "dot", "cross", "held", "lost", "chosen", "on-chosen", "accent", "stage", "free"];

const hall = document.getElementById("hall");
if (hall) begin(hall);

async function begin(hall) {
  const { dataset } = hall;
  let [pane, list, choice] = [null, null, null];
  const live = new Live(document.getElementById("changes"), {
    address: dataset.look,
    page: dataset.page,
    // Without a network the prices stay as they are; what is held says its own.
    corrected: () => choice && reprice(hall, choice, list).catch(() => {}),
  });
  const answer = await fetch(dataset.plan);
  // Without the plan there is the list, which the server has written.
  if (!answer.ok) return;
  const plan = readPlan(await answer.json());
  const words = JSON.parse(dataset.words);
  const canvas = document.getElementById("hall-canvas");
  const marks = { shown: new Set(), pointed: 0, sayFree: (n) => words.count.replace("{n}", n.toLocaleString()) };
  const painter = new Painter(canvas, plan, marks);
  choice = new Choice({
    plan,
    words,
    states: dataset.states,
    limit: Number(dataset.limit),
    changed() {
      pane?.draw();
      list?.sync();
    },
  });
  for (const name of ["states", "chosen", "lost", "mine", "free"]) marks[name] = choice[name];
  const tip = document.getElementById("hall-tip");
  const where = document.getElementById("hall-where");
  const tools = [...document.querySelectorAll("#hall-tools button")];
  pane = new Pane({
    canvas,
    small: document.getElementById("hall-small"),
    plan,
    painter,
    tapped: (at) => tap(at, { plan, pane, choice, painter, tip }),
    pointed: (at) => point(at, { plan, pane, choice, marks, tip }),
    looked(view, whole) {
      const middle = floorAt(view, { x: pane.size.width / 2, y: pane.size.height / 2 });
      const section = seatPx(view, plan) >= ROWS_PX ? plan.sections[sectionAt(plan, middle.x, middle.y)] : null;
      if (where.textContent !== (section?.name ?? "")) where.textContent = section?.name ?? "";
      where.hidden = !section?.name;
      const { most } = bounds(plan, pane.size);
      tools[0].setAttribute("aria-disabled", String(view.scale >= most * 0.99));
      for (const tool of tools.slice(1)) tool.setAttribute("aria-disabled", String(whole));
    },
  });
  // A page that answers a form stands elsewhere than the map.
  const asked = new URL(dataset.page, location.href);
  for (const name of ["section", "row"]) {
    const value = new URLSearchParams(location.search).get(name);
    if (value !== null) asked.searchParams.set(name, value);
  }
  list = new List(document.getElementById("list-body"), {
    address: asked,
    choice,
    pointed(n) {
      marks.pointed = n;
      if (n) pane.bring(plan.x[n], plan.y[n]);
      pane.draw();
    },
  });
  hall.hidden = false;
  dressed(hall, plan, pane);
  legend(plan, marks, pane);
  tools.forEach((tool, place) => tool.addEventListener("click", () => (place === 2 ? pane.whole() : pane.zoom(place ? 1 / 1.8 : 1.8))));
  rove(document.getElementById("hall-tools"));
  rove(document.getElementById("hall-legend"));
  const numbers = (text) => text.split(",").filter(Boolean).map(Number);
  const lost = numbers(dataset.lost);
  choice.begin(numbers(dataset.chosen), lost);
  live.begin(choice);
  // What was lost is said, and what is offered instead is brought near.
  const [offered] = [...numbers(dataset.offered), ...lost];
  if (offered) pane.bring(plan.x[offered], plan.y[offered]);
  document.getElementById("lost")?.focus({ preventScroll: true });
  hall.dataset.ready = "";
  // For whoever looks from outside: the tests, and whoever wonders in the console.
  hall.map = { plan, pane, choice, painter };
  performance.mark("hall");
}

// Prices are others now: takes them from a page and a plan that are written anew. The choice, the view and
// the focus stay; what the chosen seats cost is another sum.
async function reprice(hall, choice, list) {
  const { dataset } = hall;
  const answer = await fetch(dataset.page, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page.getElementById("hall");
  if (!answer.ok || answer.redirected || !now) return location.replace(dataset.page);
  if (now.dataset.plan === dataset.plan) return;
  const plan = await fetch(now.dataset.plan);
  if (!plan.ok) return;
  choice.plan.categories = (await plan.json()).categories;
  dataset.plan = now.dataset.plan;
  for (const price of hall.querySelectorAll("[data-category] b")) {
    const { category } = price.parentElement.dataset;
    price.textContent = now.querySelector(`[data-category="${category}"] b`).textContent;
  }
  for (const option of document.querySelectorAll("#best-category option")) {
    const told = [...page.querySelectorAll("#best-category option")].find((one) => one.value === option.value);
    if (told) option.textContent = told.textContent;
  }
  choice.show();
  choice.say.textContent = choice.words.corrected;
  await list.again();
}

// Does what a tap means: nearer from afar; a seat, or a place to stand, from near by.
function tap(at, { plan, pane, choice, painter, tip }) {
  const floor = floorAt(pane.view, at);
  const section = plan.sections[sectionAt(plan, floor.x, floor.y)];
  const left = (section) => [section.name, choice.words.count.replace("{n}", choice.free[plan.sections.indexOf(section)].toLocaleString())].filter(Boolean).join(", ");
  if (section?.standing) {
    if (within(fit(section.box, pane.size, 18), plan, pane.size).scale > pane.view.scale * 1.15) return goTo(at, section);
    const place = choice.placeIn(section);
    if (place) choice.toggle(place);
    tip.textContent = place ? choice.describe(place) : left(section);
    return true;
  }
  if (seatPx(pane.view, plan) < NEAR_PX) return goTo(at, section);
  const n = seatAt(plan, floor.x, floor.y, pane.reach(), (one) => painter.isShown(one));
  if (!n) return false;
  choice.toggle(n);
  tip.textContent = choice.describe(n);
  return true;

  function goTo(at, section) {
    pane.show(nearer(pane.view, at, plan, pane.size));
    if (section) tip.textContent = left(section);
    return true;
  }
}

// Says what is under the mouse.
function point(at, { plan, pane, choice, marks, tip }) {
  const floor = at && floorAt(pane.view, at);
  const n = at && seatPx(pane.view, plan) >= ROWS_PX ? seatAt(plan, floor.x, floor.y, plan.pitch * 0.6) : 0;
  pane.canvas.style.cursor = !at || seatPx(pane.view, plan) < NEAR_PX ? "zoom-in" : n && choice.states[n] === "a" ? "pointer" : "grab";
  if (marks.pointed === n) return;
  marks.pointed = n;
  if (n) tip.textContent = choice.describe(n);
  pane.draw();
}

// Takes the page's colours, and takes them anew when the scheme or the size is another.
function dressed(hall, plan, pane) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.className = "hall-probe";
  hall.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--hall-${name})`;
    return getComputedStyle(probe).color;
  };
  const isForced = matchMedia("(forced-colors: active)");
  const dress = () => {
    const box = pane.canvas.parentElement.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const palette = Object.fromEntries(COLOURS.map((name) => [name.replace("on-c", "onC"), colour(name)]));
    palette.font = getComputedStyle(hall).fontFamily;
    palette.prices = plan.categories.map((one) => (isForced.matches ? palette.free : readable(one.color, palette.ground)));
    for (const key of document.querySelectorAll("[data-category] .hall-key")) {
      key.style.background = palette.prices[key.closest("[data-category]").dataset.category];
    }
    pane.fill({ width: box.width, height: box.height }, palette, Math.min(3, devicePixelRatio || 1));
  };
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) matchMedia(query).addEventListener("change", dress);
  isForced.addEventListener("change", dress);
  new ResizeObserver(dress).observe(pane.canvas.parentElement);
  dress();
}

// The prices: pressing one shows its seats alone, pressing it again shows all.
function legend(plan, marks, pane) {
  const buttons = [...document.querySelectorAll("#hall-legend button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const category = Number(button.dataset.category);
      if (!marks.shown.delete(category)) marks.shown.add(category);
      if (marks.shown.size === plan.categories.length) marks.shown.clear();
      for (const one of buttons) one.setAttribute("aria-pressed", String(marks.shown.has(Number(one.dataset.category))));
      pane.draw();
    });
  }
}

// Buttons that belong together are one Tab stop, moved through with the arrow keys.
function rove(bar) {
  const buttons = [...bar.querySelectorAll("button")];
  const stop = (one) => buttons.forEach((other) => (other.tabIndex = other === one ? 0 : -1));
  stop(buttons[0]);
  bar.addEventListener("focusin", (event) => stop(event.target));
  bar.addEventListener("keydown", (event) => {
    const next = buttons[buttons.indexOf(event.target) + (ARROWS[event.key] ?? NaN)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}
