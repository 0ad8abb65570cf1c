// The list beside the map: section, row, seat, as links and boxes that the server has written. Here they
// come without a new page, take one Tab stop each, and are moved through with the arrow keys.

const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class List {
  // `address` is where what stands here now can be had.
  constructor(element, { address, choice, pointed }) {
    Object.assign(this, { element, address, choice, pointed });
    element.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-step]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.step(link);
    });
    element.addEventListener("change", (event) => {
      if (!event.target.dataset.seat) return;
      choice.toggle(Number(event.target.dataset.seat));
      this.sync();
    });
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("focusin", (event) => {
      this.stop(event.target);
      if (event.target.dataset.seat) pointed(Number(event.target.dataset.seat));
    });
    element.addEventListener("focusout", () => pointed(0));
    this.take();
  }

  // The same step once more, with what it costs now; the focus stays where it is.
  async again() {
    const meant = (one) => one.dataset.seat ?? one.getAttribute("href");
    const held = document.activeElement;
    const same = this.element.contains(held) ? meant(held) : null;
    await this.fetch(this.address);
    this.take();
    if (same) [...this.element.querySelectorAll("a, input")].find((one) => meant(one) === same)?.focus();
  }

  async fetch(address) {
    const part = new URL(address);
    part.searchParams.set("part", "list");
    const answer = await fetch(part, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    this.element.innerHTML = await answer.text();
    this.address = address;
  }

  // One step further: the rows of a section, or the seats of a row.
  async step(link) {
    this.element.setAttribute("aria-busy", "true");
    try {
      await this.fetch(new URL(link.href));
    } catch {
      return location.assign(link.href);
    } finally {
      this.element.removeAttribute("aria-busy");
    }
    this.take();
    const next = this.element.querySelector(`[data-roving=${link.dataset.step}]`);
    this.stops(next).find((one) => one.tabIndex === 0)?.focus();
  }

  // What has just come: boxes show what is chosen and are not sent, for the tray is; one Tab stop each.
  take() {
    for (const box of this.boxes()) {
      box.dataset.seat = box.value;
      box.removeAttribute("name");
    }
    this.sync();
    for (const group of this.element.querySelectorAll("[data-roving]")) {
      const stops = this.stops(group);
      this.stop(stops.find((one) => one.matches("[aria-current], :checked")) ?? stops[0]);
    }
  }

  boxes() {
    return this.element.querySelectorAll("input[type=checkbox]");
  }

  sync() {
    const { choice } = this;
    for (const box of this.boxes()) {
      const n = Number(box.value);
      const state = choice.states[n];
      const label = box.closest(".seat");
      if (state !== "a" && document.activeElement === box) this.leave(box);
      box.disabled = state !== "a";
      box.checked = choice.chosen.has(n);
      label.dataset.state = { a: "available", h: "held" }[state] ?? (state === "m" ? "mine" : "sold");
      label.className = `seat seat-${label.dataset.state}${choice.lost.has(n) ? " seat-lost" : ""}`;
      const said = choice.describe(n);
      if (box.getAttribute("aria-label") !== said) box.setAttribute("aria-label", said);
    }
    for (const says of this.element.querySelectorAll("[data-free]")) {
      const [first, last] = says.dataset.free.split("-").map(Number);
      let free = 0;
      for (let n = first; n <= last; n++) free += choice.states[n] === "a";
      const words = choice.words.count.replace("{n}", free.toLocaleString());
      if (says.textContent !== words) says.textContent = words;
    }
  }

  // Somebody took the seat under the focus: it goes on to the nearest that can be chosen.
  leave(box) {
    const group = box.closest("[data-roving]");
    const all = [...group.querySelectorAll("input")];
    const place = all.indexOf(box);
    const free = all.filter((one) => this.choice.states[Number(one.value)] === "a");
    free.sort((one, other) => Math.abs(all.indexOf(one) - place) - Math.abs(all.indexOf(other) - place));
    free[0]?.focus();
  }

  stops(group) {
    return group ? [...group.querySelectorAll("a, input:not(:disabled)")] : [];
  }

  stop(one) {
    const group = one?.closest("[data-roving]");
    if (!group) return;
    for (const other of group.querySelectorAll("a, input")) other.tabIndex = other === one ? 0 : -1;
  }

  key(event) {
    const group = event.target.closest("[data-roving]");
    if (!group || event.altKey || event.ctrlKey || event.metaKey) return;
    const stops = this.stops(group);
    const place = stops.indexOf(event.target);
    const next = event.key === "Home" ? 0 : event.key === "End" ? stops.length - 1 : event.key in ARROWS ? place + ARROWS[event.key] : -1;
    if (!stops[next]) return;
    event.preventDefault();
    stops[next].focus();
  }
}
