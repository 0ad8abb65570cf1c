// The checkout: when the time is over while somebody looks, the page says so at once.

const checkout = document.getElementById("checkout");

function refresh() {
  return htmx.ajax("GET", checkout.dataset.part, { target: "#checkout", swap: "innerHTML" });
}

// countdown.js tells when a timer reaches its end. The server decides whether it is over.
checkout.addEventListener("countdown:end", () => setTimeout(refresh, 400));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && location.reload());

// A second tap on a button that is at work does nothing.
checkout.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  form.querySelector("button")?.setAttribute("aria-disabled", "true");
});
