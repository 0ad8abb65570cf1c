// Keeps the map as it is in the hall: what others do is told by a stream, and compared with the server
// when the stream begins, when somebody comes back, and now and then while they look.

const SILENCE_MS = 20000;
const LOOK_MS = 30000;
const WATCH_MS = 10000;
// What was heard so lately may be newer than what a look says.
const NEWER_MS = 2500;
// Another process of the service may believe the old prices for a second; and a crowd does not ask at once.
const BELIEVED_MS = 1200;
const LETTERS_OF = { available: "a", held: "h", sold: "s", blocked: "b" };

export function letterOf(state, isMine) {
  return isMine && state !== "available" ? "m" : (LETTERS_OF[state] ?? "s");
}

export class Live {
  // It listens at once: the stream may begin before the plan is there. What it hears by then is
  // made good by the look that follows.
  // `corrected` is called when the organiser has changed prices, which no letter tells.
  constructor(element, { address, page, corrected }) {
    Object.assign(this, { element, address, page, choice: null });
    this.heardAt = this.lookedAt = Date.now();
    this.heard = new Map();
    this.looking = this.wanted = false;
    this.stream = null;
    this.mayHaveMissed = false;
    element.addEventListener("htmx:sse:after:connection", (event) => {
      this.stream = event.detail.connection;
      this.heardAt = Date.now();
    });
    element.addEventListener("htmx:sse:before:message", () => (this.heardAt = Date.now()));
    element.addEventListener("seats", (event) => this.hear(JSON.parse(event.detail.data)));
    element.addEventListener("resync", () => this.look());
    element.addEventListener("corrected", () => setTimeout(corrected, BELIEVED_MS * (1 + Math.random())));
    setInterval(() => this.watch(), WATCH_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    addEventListener("online", () => {
      this.stream?.reader?.cancel();
      this.look();
    });
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // From now on there is something to be kept right.
  begin(choice) {
    this.choice = choice;
    if (this.mayHaveMissed) this.look();
  }

  hear({ seats, state, mine }) {
    if (!this.choice) return;
    const letter = letterOf(state, mine);
    for (const n of seats) this.heard.set(n, Date.now());
    this.choice.become(seats.map((n) => [n, letter]));
  }

  watch() {
    const silent = Date.now() - this.heardAt >= SILENCE_MS;
    if (silent) this.stream?.reader?.cancel();
    if (silent || (!document.hidden && Date.now() - this.lookedAt >= LOOK_MS)) this.look();
  }

  // One look at a time: whoever asks meanwhile gets one more when it is done.
  async look() {
    this.mayHaveMissed = this.wanted = true;
    if (this.looking || !this.choice) return;
    this.looking = true;
    while (this.wanted) {
      this.wanted = false;
      this.lookedAt = Date.now();
      await this.compare().catch(() => {}); // without a network there is nothing to see; the next look is not far
    }
    this.looking = false;
  }

  async compare() {
    const asked = Date.now();
    const answer = await fetch(this.address, { headers: { Accept: "text/plain" } });
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) return;
    const told = await answer.text();
    if (told === "ended") return location.replace(this.page);
    const changes = [];
    let doubtful = false;
    for (let n = 1; n <= told.length; n++) {
      if (told[n - 1] === this.choice.states[n]) continue;
      if ((this.heard.get(n) ?? 0) > asked - NEWER_MS) doubtful = true;
      else changes.push([n, told[n - 1]]);
    }
    this.choice.become(changes);
    for (const [n, at] of this.heard) if (at < asked - NEWER_MS) this.heard.delete(n);
    if (doubtful) setTimeout(() => this.look(), NEWER_MS);
  }
}
