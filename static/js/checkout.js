// The checkout: when the time is over while somebody looks, the page says so at once.

const checkout = document.getElementById("checkout");

function refresh() {
  return htmx.ajax("GET", checkout.dataset.part, { target: "#checkout", swap: "innerHTML" });
}

// countdown.js tells when a timer reaches its end. The server decides whether it is over.
checkout.addEventListener("countdown:end", () => setTimeout(refresh, 400));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && location.reload());
