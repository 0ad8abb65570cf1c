// A second click while the first is on its way sends nothing: a new person would become two.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.hasAttribute("hx-post")) return;
  if ("sent" in form.dataset) event.preventDefault();
  form.dataset.sent = "";
});
// Whoever comes back to the page may send again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
