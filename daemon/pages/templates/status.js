// The page keeps itself fresh: a hidden copy of itself, read again from the folder, hands over its content.
// Only what differs is changed, so place, focus and open details stay.
const AGAIN_MS = 5000;
const STALE_MS = 150000; // the service writes every minute at least

function inOrder(page) {
  // "Today" is the reader's day, not the service's.
  const today = page.querySelector("#today"), earlier = page.querySelector("#earlier-list");
  const jobs = [...page.querySelectorAll("[data-done]")];
  for (const job of jobs) {
    const isToday = new Date(job.dataset.done).toDateString() === new Date().toDateString();
    (isToday ? today : earlier).append(job);
  }
  page.querySelector("#earlier").hidden = !earlier.childElementCount;
  page.querySelector("#none-today").hidden = today.childElementCount > 0;
  page.querySelector("#count-done").textContent = today.childElementCount;
}

function sync(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "data-stale") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const twin = node.id ? [...old.children].find((child) => child.id === node.id)
      : place && place.nodeName === node.nodeName && !place.id ? place : null;
    if (!twin) old.insertBefore(node, place);
    else {
      if (twin === place) place = place.nextSibling;
      else old.insertBefore(twin, place);
      if (twin.nodeType === Node.ELEMENT_NODE) sync(twin, node);
      else if (twin.data !== node.data) twin.data = node.data;
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

const page = () => document.getElementById("page");
let seen = { at: page().dataset.updated, moved: 0 };
let misses = 0;

function stale() {
  // A change that came in while we watched tells more than two clocks that may differ.
  const age = seen.moved ? performance.now() - seen.moved : Date.now() - Date.parse(page().dataset.updated);
  const silent = page().dataset.state !== "stopped" && age > STALE_MS;
  document.body.toggleAttribute("data-stale", silent);
  document.getElementById("stale").hidden = !silent;
  document.getElementById("unread").hidden = silent || misses < 3;
}

function title() {
  const told = document.getElementById("told");
  const words = [...told.querySelectorAll(":scope > [lang]")].find((part) => part.lang === root.lang) || told;
  document.title = words.textContent.trim();
  document.body.dataset.state = page().dataset.state;
}

function show(fresh) {
  const focused = document.activeElement?.id;
  if (fresh.dataset.updated !== seen.at) seen = { at: fresh.dataset.updated, moved: performance.now() };
  inOrder(fresh);
  localise(fresh);
  sync(page(), fresh);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  title();
  stale();
}

function read() {
  const frame = document.createElement("iframe");
  frame.name = "dualface-copy"; // see copy.js
  frame.setAttribute("sandbox", "allow-scripts");
  frame.setAttribute("aria-hidden", "true");
  frame.tabIndex = -1;
  const address = location.href.split(/[?#]/)[0];
  frame.src = location.protocol === "file:" ? address : `${address}?${Date.now()}`;
  const done = (text, build) => {
    clearTimeout(timer);
    removeEventListener("message", taken);
    frame.remove();
    misses = text ? 0 : misses + 1;
    if (build && build !== root.dataset.build) location.reload(); // the service has been updated
    else if (text) show(new DOMParser().parseFromString(text, "text/html").getElementById("page"));
    else stale();
    setTimeout(again, AGAIN_MS);
  };
  const taken = (event) => {
    if (event.source === frame.contentWindow) done(event.data.text, event.data.build);
  };
  const timer = setTimeout(done, AGAIN_MS);
  addEventListener("message", taken);
  document.body.append(frame);
}

function again() {
  if (document.hidden) document.addEventListener("visibilitychange", again, { once: true });
  else read();
}

root.lang = preferred();
inOrder(page());
localise(document);
title();
stale();
document.addEventListener("click", title);
document.addEventListener("error", (event) => event.target.closest?.(".thumb")?.remove(), true); // taken away
setInterval(stale, 1000);
setTimeout(again, AGAIN_MS);
