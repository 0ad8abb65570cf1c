// The page of the door: scan, ask the server, say what it says; without the network verify, queue and merge later.

import { watch } from "./camera.js";
import { codeIn, readCode } from "./code.js";
import { deviceName, hexOf, keepEntry, keepList, keptEntries, keptList } from "./kept.js";
import { listen, sound } from "./sound.js";

const door = document.getElementById("door");
const words = document.getElementById("words").dataset;
const page = document.querySelector('meta[name="csrf-token"]').content;
const find = (id) => document.getElementById(id);
const { gate, zone, language } = door.dataset;
const performance_id = Number(door.dataset.performance);
const device = deviceName();

const SIGNS = { in: "✓", already_in: "!", void: "✕", other_date: "◷", unknown: "?", queued: "⧗", wait: "…" };
// A code that stays before the camera is read once.
const SAME_AGAIN_MS = 4000;
// Longer than any answer takes that comes at all.
const PATIENCE_MS = 2500;
const SOON_MS = 300;
const COUNT_MS = 3000;
const LIST_MS = 30_000;
// Sooner where somebody has entered since, but no more often than this: it may be long.
const LIST_AGAIN_MS = 10_000;

let online = navigator.onLine;
let signedOut = false;
const seenAt = new Map();
let shown = null;
let syncing = false;
let listed = { entered: 0, at: 0 };

const clock = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit", timeZone: zone });
const time = (moment) => clock.format(new Date(moment));
const said = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// Asking the server.

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "X-CSRF-Token": page, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
    cache: "no-store",
  });
  if (answer.status === 401 || answer.status === 403) signedOut = true;
  if (!answer.ok) {
    const error = new Error(String(answer.status));
    error.status = answer.status;
    throw error;
  }
  signedOut = false;
  return answer.status === 204 ? null : answer.json();
}

// Whether an error means that nobody has answered; what was refused is refused.
const isSilence = (error) => !error.status || error.status >= 500 || error.status === 429;

function connected(is) {
  online = is;
  const badge = find("network");
  badge.hidden = false;
  badge.textContent = signedOut ? words.signedOut : is ? words.online : words.offline;
  badge.className = `badge ${is && !signedOut ? "badge-good" : "badge-warm"}`;
}

// Showing what was said.

function show(kind, more, told = null) {
  const verdict = find("verdict");
  verdict.dataset.kind = kind;
  verdict.replaceChildren(
    part("door-sign", SIGNS[kind], true),
    part("door-word", words[kind]),
    part("door-more", more.filter(Boolean).join(" ")),
  );
  shown = told;
  const others = kind === "in" || kind === "already_in" ? (told?.together ?? []).filter((one) => one.status === "valid") : [];
  find("together").hidden = !others.length;
  find("together").textContent = others.length === 1 ? words.togetherOne : said(words.together, { n: others.length });
  find("undo").hidden = kind !== "in" || !told?.entry_id;
  find("undoing").hidden = true;
  find("after").hidden = find("together").hidden && find("undo").hidden;
  sound(kind);
}

function part(name, text, hidden = false) {
  const made = document.createElement("p");
  made.className = name;
  made.textContent = text;
  if (hidden) made.setAttribute("aria-hidden", "true");
  return made;
}

const seat = (number, label) => label?.[language] ?? (number ? said(words.seat, { seat: number }) : "");

function tell(told) {
  const first = told.result === "already_in" ? said(words.first, { time: time(told.first_at), gate: told.gate }) : words[`${told.result}Says`];
  show(told.result, [first, seat(told.seat_no, told.label)], told);
}

// One scan.

function see(text) {
  const before = seenAt.get(text) ?? 0;
  seenAt.set(text, Date.now());
  if (Date.now() - before >= SAME_AGAIN_MS) scan(text);
}

async function scan(text) {
  const code = codeIn(text);
  if (!code) return;
  const now = Date.now();
  const entry = { code: code.slice(0, 500), gate, device, scan_id: hexOf(12), at: new Date(now).toISOString(), performance_id };
  if (online) {
    // What was shown for the one before must not be taken for this one's.
    const slow = setTimeout(() => show("wait", []), SOON_MS);
    try {
      tell(await call("POST", "/v1/entries", entry));
      count();
      return;
    } catch (error) {
      if (!isSilence(error)) {
        connected(true);
        show("wait", [signedOut ? words.signedOut : error.message]);
        return;
      }
      connected(false);
    } finally {
      clearTimeout(slow);
    }
  }
  await judge(entry);
}

// What the phone can know by itself. It never says that somebody is in: only the server does.
async function judge(entry) {
  const list = await keptList(performance_id);
  if (!list) return show("wait", [words.noList]);
  const age = said(words.listAge, { time: time(list.at) });
  const read = await readCode(entry.code, list.keys);
  if (!read) return show("unknown", [words.unknownSays, age]);
  if (read.performance !== performance_id) return show("other_date", [words.other_dateSays, seat(read.seat)]);
  if (list.ended[read.ticket] || (list.serials[read.ticket] ?? 1) !== read.serial) return show("void", [words.voidSays, seat(read.seat), age]);
  const before = (await keptEntries()).find((one) => one.ticket === read.ticket && (one.state === "queued" || one.state === "in"));
  if (before) return show("already_in", [said(words.firstHere, { time: time(before.at) }), seat(read.seat)]);
  if (list.entered.includes(read.ticket)) return show("already_in", [age, seat(read.seat)]);
  await keepEntry({ ...entry, offline: true, state: "queued", ticket: read.ticket, seat: read.seat });
  show("queued", [words.queuedSays, seat(read.seat)]);
  await showKept();
}

// When the network is back: what was queued is told in its order, each once.
async function merge() {
  if (syncing) return;
  syncing = true;
  try {
    const waiting = (await keptEntries()).filter((one) => one.state === "queued").sort((one, other) => one.at.localeCompare(other.at));
    for (const entry of waiting) {
      const { state, ticket, seat: number, ...asked } = entry;
      let told;
      try {
        told = await call("POST", "/v1/entries", asked);
      } catch (error) {
        if (isSilence(error) || signedOut) return;
        told = { result: "unknown" };
      }
      await keepEntry({ ...entry, state: told.result === "in" ? "in" : "conflict", told });
    }
    if (waiting.length) await showKept();
  } finally {
    syncing = false;
  }
}

async function showKept() {
  const entries = (await keptEntries()).filter((one) => one.performance_id === performance_id);
  find("kept").hidden = !entries.length;
  find("queue").replaceChildren(
    ...entries.sort((one, other) => other.at.localeCompare(one.at)).map((one) => {
      const state = { queued: words.stateQueued, in: words.stateIn, conflict: words.stateConflict }[one.state];
      const first = one.told?.first_at ? said(words.inFirst, { time: time(one.told.first_at), gate: one.told.gate }) : words.notGood;
      return row(`${seat(one.seat, one.told?.label)} · ${time(one.at)}`, one.state === "conflict" ? `${state}: ${first}` : state, one.state);
    }),
  );
}

function row(text, state, kind) {
  const made = document.createElement("li");
  made.className = "rows-row";
  made.dataset.state = kind;
  const what = document.createElement("span");
  what.textContent = text;
  const badge = document.createElement("span");
  badge.className = `badge ${kind === "in" ? "badge-good" : "badge-warm"}`;
  badge.textContent = state;
  made.append(what, badge);
  return made;
}

// How many are in; whether anybody answers shows whether there is a network.

async function count() {
  try {
    const told = await call("GET", `/v1/performances/${performance_id}/entries`);
    const number = (value) => value.toLocaleString(language);
    find("entered").textContent = number(told.entered);
    find("expected").textContent = number(told.expected);
    find("gates").textContent = Object.entries(told.by_gate).map(([name, many]) => `${said(words.gateWord, { gate: name })}: ${number(many)}`).join(" · ");
    find("conflicts").hidden = !told.conflicts.length;
    find("conflict-list").replaceChildren(
      ...told.conflicts.map((one) => row(
        `${seat(one.seat_no)} · ${said(words.gateWord, { gate: one.gate })}, ${time(one.at)}`,
        one.first_at ? said(words.inFirst, { time: time(one.first_at), gate: one.first_gate }) : words.notGood,
        "conflict",
      )),
    );
    const wasAway = !online;
    connected(true);
    if (wasAway || (told.entered !== listed.entered && Date.now() - listed.at > LIST_AGAIN_MS)) await fetchList();
    await merge();
  } catch (error) {
    connected(!isSilence(error));
  }
}

async function fetchList() {
  try {
    const list = await call("GET", `/v1/performances/${performance_id}/door-list`);
    listed = { entered: list.entered.length, at: Date.now() };
    await keepList(performance_id, list);
  } catch {
    // The list of before is good until there is a newer one; it says how old it is.
  }
}

async function every(milliseconds, work) {
  if (!document.hidden) await work();
  setTimeout(() => every(milliseconds, work), milliseconds);
}

// What is done by hand.

find("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  listen();
  const field = event.target.elements.code;
  scan(field.value);
  field.value = "";
  for (const button of event.target.querySelectorAll("button")) button.disabled = false;
});

find("together").addEventListener("click", async () => {
  const group = (shown?.together ?? []).filter((one) => one.status === "valid");
  let entered = 0;
  for (const one of group) {
    const entry = { ticket_id: one.ticket_id, gate, device, scan_id: hexOf(12), at: new Date().toISOString(), performance_id };
    try {
      if ((await call("POST", "/v1/entries", entry)).result === "in") entered += 1;
    } catch {
      break;
    }
  }
  if (entered) show("in", [said(words.groupIn, { n: entered })]);
  count();
});

find("undo").addEventListener("click", () => {
  find("undoing").hidden = false;
  find("undo-reason").focus();
});

find("undoing").addEventListener("submit", async (event) => {
  event.preventDefault();
  const reason = find("undo-reason").value;
  try {
    await call("DELETE", `/v1/entries/${shown.entry_id}?${new URLSearchParams({ reason })}`);
    find("undo-reason").value = "";
    find("undoing").hidden = find("after").hidden = true;
    find("verdict").dataset.kind = "ready";
    find("verdict").replaceChildren(part("door-sign", "↶", true), part("door-word", words.undone));
    count();
  } catch (error) {
    connected(!isSilence(error));
  }
});

async function start() {
  listen();
  try {
    find("camera").hidden = false;
    await watch(find("video"), door.dataset.wasm, see);
    find("start").hidden = true;
  } catch {
    find("camera").hidden = true;
    find("no-camera").hidden = false;
  }
}

find("start").hidden = !navigator.mediaDevices?.getUserMedia;
find("start").addEventListener("click", start);
addEventListener("online", count);
addEventListener("offline", () => connected(false));
// One who has said yes before is not asked again.
navigator.permissions?.query({ name: "camera" }).then((found) => found.state === "granted" && start(), () => {});

// What the phone keeps to open this page without the network.
async function keepPage() {
  const files = performance.getEntriesByType("resource").map((one) => one.name).filter((name) => name.includes("/static/"));
  const addresses = [...new Set([location.href, new URL(door.dataset.wasm, location.href).href, ...files])];
  navigator.serviceWorker.addEventListener("message", (event) => {
    if (!event.data.kept) return;
    door.dataset.kept = event.data.kept;
    find("ready").hidden = false;
  });
  await navigator.serviceWorker.register(door.dataset.worker, { scope: "/door/" });
  (await navigator.serviceWorker.ready).active.postMessage({ keep: addresses });
}

showKept();
every(COUNT_MS, count);
every(LIST_MS, fetchList);
if ("serviceWorker" in navigator) keepPage().catch(() => {});
