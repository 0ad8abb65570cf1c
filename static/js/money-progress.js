// A cancellation: how far the money has gone back, told anew every two seconds until it is done.

const SECONDS = 2;

async function look() {
  const shown = document.getElementById("progress");
  if (!document.hidden) {
    try {
      const answer = await fetch(shown.dataset.part);
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        shown.replaceWith(page.getElementById("progress"));
      }
    } catch {
      // The next look tells.
    }
  }
  if (document.getElementById("progress").dataset.state !== "done") {
    setTimeout(look, SECONDS * 1000);
  }
}

setTimeout(look, SECONDS * 1000);
