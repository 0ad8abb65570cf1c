// What the phone keeps: the list of each date, and the entries that the server has not confirmed.

const STORES = ["lists", "entries"];

const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("concert-door", 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("lists");
    asked.result.createObjectStore("entries", { keyPath: "scan_id" });
  };
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function within(store, mode, work) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const asked = work(database.transaction(STORES, mode, { durability: "strict" }).objectStore(store));
    const done = asked.transaction;
    done.oncomplete = () => resolve(asked.result);
    done.onerror = done.onabort = () => reject(done.error);
  });
}

export const keepList = (performance, list) => within("lists", "readwrite", (store) => store.put(list, performance));
export const keptList = (performance) => within("lists", "readonly", (store) => store.get(performance));
export const keepEntry = (entry) => within("entries", "readwrite", (store) => store.put(entry));
export const keptEntries = () => within("entries", "readonly", (store) => store.getAll());

// The scanner's name: made once, and kept as long as the browser keeps anything.
export function deviceName() {
  let name = localStorage.getItem("concert-device");
  if (!name) {
    name = `phone-${hexOf(6)}`;
    localStorage.setItem("concert-device", name);
  }
  return name;
}

export function hexOf(count) {
  return [...crypto.getRandomValues(new Uint8Array(count))].map((one) => one.toString(16).padStart(2, "0")).join("");
}
