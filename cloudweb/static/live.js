// Says how fresh a page is, and rests its refreshing while nobody looks. Pages are whole without it.
(() => {
  "use strict";
  const REST_AFTER_MS = 10 * 60 * 1000;
  const words = document.getElementById("fresh");
  const time = document.getElementById("fresh-time");
  const zone = document.documentElement.dataset.zone || "UTC";
  let lastUse = Date.now();
  let resting = false;

  const poller = () => document.querySelector("#live [hx-trigger^=every]");
  const say = (text) => { if (words.textContent !== text) words.textContent = text; };
  const wake = () => {
    lastUse = Date.now();
    if (!resting) return;
    resting = false;
    say("As of");
    const found = poller();
    if (found) window.htmx.trigger(found, "every");
  };

  for (const name of ["pointerdown", "keydown", "scroll"]) {
    document.addEventListener(name, wake, { passive: true });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) wake(); });

  document.addEventListener("htmx:before:request", (event) => {
    if (document.hidden || Date.now() - lastUse > REST_AFTER_MS) {
      resting = true;
      if (!document.hidden) say("Paused until you move; as of");
      event.preventDefault();
    }
  });
  document.addEventListener("htmx:after:request", (event) => {
    const response = event.detail.ctx.response;
    const status = response.raw.status;
    if (status >= 500) return say("Not refreshing now, will try again; as of");
    const date = new Date(response.headers.get("Date") || Date.now());
    time.dateTime = date.toISOString();
    time.textContent = date.toLocaleTimeString("en-GB", { timeZone: zone });
    say(status < 400 ? "As of" : "No longer refreshing; as of");
  });
  // The link that shows what is new is gone once it has done so: its list has the focus then.
  let asked = false;
  document.addEventListener("click", (event) => { asked = event.target.closest("#newer") !== null; });
  document.addEventListener("htmx:after:swap", () => {
    if (!asked || document.activeElement !== document.body) return;
    asked = false;
    const list = document.querySelector("#live .frame");
    if (list) list.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:error", () => say("Not refreshing now, will try again; as of"));
})();
