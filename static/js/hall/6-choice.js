// What has been chosen, what became of it, and the tray that says so. The tray's hidden fields are what
// is sent; the boxes of the list and the map only show the same.

export class Choice {
  constructor({ plan, states, words, limit, changed }) {
    Object.assign(this, { plan, words, limit, changed });
    this.states = ["", ...states];
    this.chosen = new Set();
    this.lost = new Set();
    this.mine = new Set();
    this.say = document.getElementById("say");
    this.list = document.getElementById("tray-seats");
    this.free = plan.sections.map(() => 0);
    this.count = { a: 0, h: 0, s: 0, m: 0, b: 0 };
    for (let n = 1; n <= plan.count; n++) this.add(n, 1);
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.drop(Number(button.value), button);
    });
  }

  add(n, by) {
    const state = this.states[n];
    this.count[state] += by;
    if (state === "a") this.free[this.plan.section[n]] += by;
    if (state === "m") by > 0 ? this.mine.add(n) : this.mine.delete(n);
  }

  name(n) {
    const { plan, words } = this;
    const section = plan.sections[plan.section[n]];
    const row = section.rows[plan.row[n]].label;
    const pattern = section.standing ? words.place : !section.name ? words.rowOnly : row ? words.seat : words.seatOnly;
    return pattern.replace("{section}", section.name).replace("{row}", row).replace("{seat}", plan.label[n]);
  }

  price(n) {
    return this.plan.categories[this.plan.category[n]].price;
  }

  // All there is to say of a seat, as the list's labels say it.
  describe(n) {
    const { plan, words } = this;
    const flags = Object.keys(words.flags).filter((name) => hasFlag(plan, n, name));
    const state = this.chosen.has(n) ? words.chosen : words.states[this.states[n]];
    return [this.name(n), money(this.price(n), words), ...flags.map((name) => words.flags[name]), state].join(", ");
  }

  // Chooses a seat, or no longer; says why it cannot be. True where something has changed.
  toggle(n) {
    if (this.states[n] !== "a") return false;
    this.lost.clear();
    if (this.chosen.has(n)) this.chosen.delete(n);
    else if (this.chosen.size >= this.limit) {
      this.say.textContent = this.words.limit;
      return false;
    } else this.chosen.add(n);
    this.say.textContent = "";
    this.show();
    return true;
  }

  // Chosen as the page came: seats that are wanted still, and those that are offered for lost ones.
  begin(chosen, lost) {
    for (const n of chosen) if (this.states[n] === "a") this.chosen.add(n);
    for (const n of lost) this.lost.add(n);
    this.show();
  }

  // The next free place where nobody has a seat of their own; 0 for none.
  placeIn(section) {
    for (let n = section.first; n <= section.last; n++) if (this.states[n] === "a" && !this.chosen.has(n)) return n;
    return 0;
  }

  drop(n, button) {
    const chips = [...this.list.querySelectorAll("button")];
    const place = chips.indexOf(button);
    this.toggle(n);
    // The focus stays in the tray: on what has moved up, or on what comes next.
    const left = this.list.querySelectorAll("button");
    (left[place] ?? left[left.length - 1] ?? document.querySelector("#tray button[type=submit]"))?.focus();
  }

  // Seats have become something else: a letter for each. What was chosen and is not to be had any more
  // is taken out and said, all of it at once.
  become(changes) {
    const [gone, own] = [[], []];
    let any = false;
    for (const [n, state] of changes) {
      if (!(n in this.states) || n < 1 || this.states[n] === state) continue;
      any = true;
      this.add(n, -1);
      this.states[n] = state;
      this.add(n, 1);
      if (state === "a") this.lost.delete(n);
      else if (this.chosen.delete(n)) (state === "m" ? own : gone).push(n);
    }
    if (!any) return;
    for (const n of gone) this.lost.add(n);
    if (own.length) this.say.textContent = this.words.held.replace("{seats}", this.names(own));
    else if (gone.length) {
      const pattern = this.lost.size > 1 ? this.words.takenSeveral : this.words.taken;
      this.say.textContent = pattern.replace("{seats}", this.names(this.lost));
    }
    this.show(gone.length + own.length > 0);
  }

  names(seats) {
    return [...seats].map((n) => this.name(n)).join("; ");
  }

  show(isTrayNew = true) {
    if (isTrayNew) this.showTray();
    for (const number of document.querySelectorAll("[data-count]")) {
      const letter = number.dataset.count;
      const count = letter === "s" ? this.count.s + this.count.b : this.count[letter];
      number.textContent = count.toLocaleString();
    }
    const state = this.count.a ? "open" : this.count.h || this.count.m ? "all_held" : "sold_out";
    for (const part of document.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(state);
    this.changed();
  }

  showTray() {
    const seats = [...this.chosen].sort((one, other) => one - other);
    this.list.replaceChildren(...seats.map((n) => this.chip(n)));
    this.list.hidden = !seats.length;
    const sum = seats.reduce((all, n) => all + this.price(n), 0);
    document.getElementById("tray-text").textContent = seats.length ? this.words.some.replace("{n}", seats.length) : this.words.none;
    document.getElementById("tray-amount").textContent = seats.length ? money(sum, this.words) : "";
  }

  chip(n) {
    const [chip, field, name, button] = ["li", "input", "span", "button"].map((tag) => document.createElement(tag));
    Object.assign(field, { type: "hidden", name: "seats", value: n });
    field.setAttribute("form", "seat-form");
    name.textContent = this.name(n);
    Object.assign(button, { type: "button", value: n, textContent: "×" });
    button.setAttribute("aria-label", this.words.remove.replace("{seat}", this.name(n)));
    chip.append(field, name, button);
    return chip;
  }
}

function money(amount, words) {
  return amount ? document.documentElement.dataset.won.replace("{digits}", amount.toLocaleString()) : words.free;
}
