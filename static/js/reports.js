// Bars of each hour in which something was paid; the tables on the page have the same numbers.

const plots = document.getElementById("plots");
let charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawn(element, points, zone) {
  const { column, name } = element.dataset;
  const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "13px system-ui, sans-serif" };
  const clock = (seconds) => new Date(seconds * 1000).toLocaleString(document.documentElement.lang, { timeZone: zone, month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const short = (value) => value.toLocaleString(document.documentElement.lang, { notation: "compact" });
  const first = points[0][0];
  const last = points[points.length - 1][0];
  return new uPlot(
    {
      width: element.clientWidth,
      height: 220,
      padding: [8, 24, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: [first - 1800, last + 5400] }, y: { range: (_, least, most) => [0, Math.max(1, most * 1.08)] } },
      axes: [{ ...axis, space: 100, values: (_, marks) => marks.map(clock) }, { ...axis, size: 64, values: (_, marks) => marks.map((mark) => (Number.isInteger(mark) ? short(mark) : "")) }],
      series: [
        { label: plots.dataset.time, value: (_, seconds) => (seconds == null ? "–" : clock(seconds)) },
        {
          label: name,
          stroke: colour(element.dataset.colour),
          fill: colour(element.dataset.colour) + "66",
          width: 1.5,
          paths: uPlot.paths.bars({ align: 1, size: [0.9, 60] }),
          points: { show: false },
          value: (_, value) => (value == null ? "–" : value.toLocaleString()),
        },
      ],
    },
    [points.map((point) => point[0]), points.map((point) => point[column])],
    element,
  );
}

function draw() {
  const points = JSON.parse(plots.dataset.points);
  for (const chart of charts) chart.destroy();
  charts = [...plots.querySelectorAll(".plot-canvas")].map((element) => drawn(element, points, plots.dataset.zone));
}

if (plots) {
  plots.hidden = false;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = plots.clientWidth;
  new ResizeObserver(() => {
    if (plots.clientWidth === width) return;
    width = plots.clientWidth;
    draw();
  }).observe(plots);
}
