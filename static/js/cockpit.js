// A sale as it moves: numbers and charts, brought up to date whenever the stream says that something has.
//
// The stream tells that, and not what. The page then asks once, whatever was told meanwhile, for
// fragments that replace what it shows and for the points that its charts do not have yet.

const changes = document.getElementById("changes");
const plots = document.getElementById("plots");
const lost = document.getElementById("lost");
const announcer = document.getElementById("announcer");
const SILENCE_MS = 20000;
// Longer than any process remembers what it has read of a sale.
const BELIEVED_MS = 2500;
const MOST_SAMPLES = 5000;

let stream = null;
let heardAt = Date.now();
let looking = false;
let wanted = false;

// Charts.

// Each [ms, waiting, inside, let in a minute, free, held, sold]: what the service has written down, every ten
// seconds in which something moved, and the moment of the last look.
const samples = JSON.parse(plots.dataset.points);
let latest = samples.pop();
let charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Room for the longest of the numbers at the side, whatever language and magnitude they have.
function asWide(_, marks) {
  const longest = Math.max(0, ...(marks ?? []).map((mark) => mark.length));
  return Math.max(40, longest * 8 + 18);
}

function columns(chart) {
  const points = [...samples, latest];
  const given = [points.map((point) => point[0] / 1000), ...chart.series.map(([index]) => points.map((point) => point[index]))];
  if (chart.most) given.push(points.map(() => chart.most));
  return given;
}

function drawn(element) {
  const chart = { element, series: JSON.parse(element.dataset.series), most: Number(element.dataset.most) || 0 };
  // What stands stays so until the next point; people a minute are those of the time before it.
  const stepped = uPlot.paths.stepped({ align: element.dataset.most ? -1 : 1 });
  const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "13px system-ui, sans-serif" };
  const series = chart.series.map(([, label, name], index) => ({
    label,
    stroke: colour(name),
    width: 2.5,
    dash: [[], [8, 5], [2, 4]][index],
    fill: index ? undefined : colour(name) + "1f",
    paths: stepped,
    points: { show: false },
    value: (_, value) => (value == null ? "–" : Math.round(value).toLocaleString()),
  }));
  if (chart.most) {
    series.push({ label: element.dataset.mostName, stroke: colour("--line-strong"), width: 1.5, dash: [4, 4], points: { show: false }, value: (_, value) => (value == null ? "–" : value.toLocaleString()) });
  }
  const zone = plots.dataset.zone;
  const clock = (seconds, second) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { timeZone: zone, hour: "2-digit", minute: "2-digit", second, hourCycle: "h23" });
  const marked = (_, marks) => marks.map((mark) => clock(mark, marks.length > 1 && marks[1] - marks[0] < 60 ? "2-digit" : undefined));
  chart.plot = new uPlot(
    {
      width: element.clientWidth,
      height: 220,
      padding: [8, 24, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, least, most) => [0, Math.max(1, most * 1.08)] } },
      axes: [{ ...axis, space: 75, values: marked }, { ...axis, size: asWide, values: (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? mark.toLocaleString() : "")) }],
      series: [{ label: plots.dataset.time, value: (_, seconds) => (seconds == null ? "–" : clock(seconds, "2-digit")) }, ...series],
      legend: { live: true },
    },
    columns(chart),
    element,
  );
  return chart;
}

function draw() {
  for (const chart of charts) chart.plot.destroy();
  charts = [...document.querySelectorAll(".plot-canvas")].map(drawn);
  showLatest();
}

function redraw() {
  for (const chart of charts) chart.plot.setData(columns(chart));
  showLatest();
}

// While nobody points at a chart it names its latest numbers; people a minute are known of whole steps only.
function showLatest() {
  for (const { plot, most } of charts) if (plot.cursor.left < 0) plot.setLegend({ idx: samples.length - (most ? 1 : 0) });
}

function extend(fresh) {
  latest = fresh.pop();
  samples.push(...fresh);
  if (samples.length > MOST_SAMPLES) samples.splice(0, samples.length - MOST_SAMPLES);
  redraw();
}

// Looking.

function put(id, html) {
  const place = document.getElementById(id);
  if (place.innerHTML !== html) place.innerHTML = html;
}

function state() {
  return document.getElementById("sale-state")?.dataset.state;
}

async function show() {
  const address = new URL(changes.dataset.now, location.href);
  address.searchParams.set("since", samples.at(-1)?.[0] ?? 1);
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (answer.status === 401 || answer.status === 403) return location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  const told = await answer.json();
  const before = state();
  put("now", told.now);
  put("dates", told.dates);
  put("parts", told.parts);
  extend(told.points);
  lost.hidden = true;
  const words = document.getElementById("now").getAttribute(`data-announce-${state()}`);
  if (before !== state() && words) announcer.textContent = words;
}

// One look at a time, and one a second at the most: whoever asks meanwhile gets one more when it is done.
async function look() {
  wanted = true;
  if (looking || document.hidden) return;
  looking = true;
  while (wanted && !document.hidden) {
    wanted = false;
    await show().catch(() => (lost.hidden = false));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  looking = false;
}

changes.addEventListener("htmx:sse:after:connection", (event) => {
  stream = event.detail.connection;
  heardAt = Date.now();
});
changes.addEventListener("htmx:sse:before:message", () => (heardAt = Date.now()));
// Another process of the service may believe for a second what it read before that.
changes.addEventListener("moved", () => {
  look();
  setTimeout(look, BELIEVED_MS);
});
changes.addEventListener("live:lost", () => (lost.hidden = false));
setInterval(() => {
  if (Date.now() - heardAt >= SILENCE_MS) stream?.reader?.cancel();
}, 10000);
document.addEventListener("visibilitychange", () => document.hidden || look());
addEventListener("online", look);
addEventListener("pageshow", (event) => event.persisted && location.reload());

plots.hidden = false;
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(() => {
  for (const chart of charts) {
    const width = chart.element.clientWidth;
    if (width && width !== chart.plot.width) chart.plot.setSize({ width, height: 220 });
  }
}).observe(plots);
