// Keeps the page of the door on the phone, so that it opens without the network.
// What is named by its content is taken from here first; the page itself from the network first.

const STORE = "concert-door-1";
// What a page varies by (language, cookie) is the same on one phone.
const AS_KEPT = { ignoreVary: true };

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("message", (event) => {
  const { keep } = event.data ?? {};
  if (keep) event.waitUntil(keepAll(keep).then(() => event.source.postMessage({ kept: keep.length })));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== location.origin) return;
  if (address.pathname.startsWith("/static/")) event.respondWith(fromHere(request));
  else if (request.mode === "navigate" && /^\/door\/\d+$/.test(address.pathname)) event.respondWith(fromThere(request));
});

async function keepAll(addresses) {
  const store = await caches.open(STORE);
  for (const address of addresses) {
    if (await store.match(address, AS_KEPT)) continue;
    const answer = await fetch(address);
    if (answer.ok && !answer.redirected) await store.put(address, answer);
  }
}

async function fromHere(request) {
  const store = await caches.open(STORE);
  return (await store.match(request, AS_KEPT)) ?? fetch(request);
}

async function fromThere(request) {
  const store = await caches.open(STORE);
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) await store.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await store.match(request, AS_KEPT);
    if (kept) return kept;
    throw error;
  }
}
