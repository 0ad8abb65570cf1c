// Keeps the screen on while somebody waits, for whoever wants that: a locked phone cannot call anybody.
// The browser takes the lock back whenever the page is hidden, so it is asked for again.

const wish = document.getElementById("awake");
let lock = null;

async function keep() {
  if (!wish.checked || document.hidden || lock) return;
  try {
    lock = await navigator.wakeLock.request("screen");
    lock.addEventListener("release", () => (lock = null));
    if (!wish.checked) letGo();
  } catch {
    // The battery is low, or the browser does not want to; the box says how it is.
    wish.checked = false;
  }
}

function letGo() {
  lock?.release();
}

if (wish && "wakeLock" in navigator) {
  wish.closest("label").hidden = false;
  wish.addEventListener("change", () => (wish.checked ? keep() : letGo()));
  document.addEventListener("visibilitychange", keep);
}
