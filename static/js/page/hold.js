// What is held is gone when its time is over, in every tab, and right after going back. That asks the
// server nothing: tabs tell each other by what they keep in the browser.
const NAME = "concert-hold";
const bar = document.getElementById("hold");
const checkout = document.querySelector("#checkout time[data-until]");
const until = (bar?.querySelector("time") ?? checkout)?.dataset.until ?? null;

function keep(value) {
  try {
    if (value) localStorage.setItem(NAME, value);
    else localStorage.removeItem(NAME);
  } catch {
    // A browser that keeps nothing shows each page as the server wrote it.
  }
}

function kept() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

const [arrival] = performance.getEntriesByType("navigation");
// A page about what is broken does not know what is held, and says nothing of it.
const isUnknown = "holdUnknown" in document.body.dataset;

// Going back, a browser shows a page as it was: before the hold, or before its end.
if (!isUnknown && arrival?.type === "back_forward" && kept() !== until) location.reload();
else if (!isUnknown) keep(until);

bar?.addEventListener("countdown:end", () => bar.remove());
// Paid or given back in another tab.
addEventListener("storage", (event) => event.key === NAME && !event.newValue && bar?.remove());
addEventListener("pageshow", (event) => event.persisted && kept() !== until && location.reload());
