// Keeps the page as the hub is now. Everything works without it; only news then needs a reload.
"use strict";
(() => {
  const notice = document.getElementById("notice");
  if (!document.body.hasAttribute("data-live") || !window.EventSource || !notice) return;
  let waiting = 0;
  let stale = false;

  const say = (what) => {
    notice.textContent = "";
    // A text that is set anew after a pause is read out again.
    setTimeout(() => { notice.textContent = notice.dataset[what]; }, 50);
    if (what === "updated") setTimeout(() => { if (notice.textContent === notice.dataset[what]) notice.textContent = ""; }, 4000);
  };

  // Whoever is typing or has something opened must not lose it.
  const busy = () => {
    const at = document.activeElement;
    const typing = at && at.closest("main") && at.matches("input:not([type=hidden]), select, textarea");
    const filled = [...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")].some((field) =>
      field.matches("select") ? [...field.options].some((option) => option.selected !== option.defaultSelected && option.defaultSelected)
        : field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
    return typing || filled;
  };

  // An element is found again by its id, or as the n-th of its kind with the same words and target: those before it
  // may be gone, as the buttons of what was decided are.
  const focusable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const likeness = (it) => [it.localName, it.getAttribute("href"), it.getAttribute("name"), it.matches("div") ? "" : it.textContent].join("|");
  const alike = (main, like) => [...main.querySelectorAll(focusable)].filter((it) => likeness(it) === like);
  const place = (main) => {
    const at = document.activeElement;
    if (!at || !main.contains(at)) return null;
    return { id: at.id, like: likeness(at), index: alike(main, likeness(at)).indexOf(at) };
  };

  const refresh = async () => {
    waiting = 0;
    if (busy()) { stale = true; say("waiting"); return; }
    const answer = await fetch(location.href, { headers: { "x-live": "1" }, credentials: "same-origin", redirect: "error" }).catch(() => null);
    if (!answer || !answer.ok) { say("lost"); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    const main = document.querySelector("main");
    if (!fresh || !main || busy()) return;
    stale = false;
    if (fresh.innerHTML === main.innerHTML) return;
    const open = new Set([...main.querySelectorAll("details[open][id]")].map((it) => it.id));
    const focus = place(main);
    const [x, y] = [scrollX, scrollY];
    main.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    const target = focus && ((focus.id && document.getElementById(focus.id)) || alike(main, focus.like)[focus.index]);
    if (target) target.focus({ preventScroll: true });
    scrollTo(x, y);
    say("updated");
  };

  // During an attack changes come by the second; whoever reads is not disturbed more often than every three.
  let last = 0;
  const later = () => {
    if (waiting) return;
    waiting = setTimeout(() => { last = Date.now(); refresh(); }, Math.max(300, last + 3000 - Date.now()));
  };
  document.addEventListener("focusout", () => { if (stale) later(); });
  const source = new EventSource("/live");
  source.addEventListener("change", later);
  source.addEventListener("error", () => say("lost"));
  let first = true;
  source.addEventListener("open", () => { if (!first) later(); first = false; notice.textContent = ""; });
  addEventListener("pagehide", () => source.close());
})();
