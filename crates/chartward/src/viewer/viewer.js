(() => {
  "use strict";
  const root = document.documentElement;
  const field = document.getElementById("q");
  const typing = (e) => e && (e.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName));
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const move = (step) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
    if (next < 0 && field) { field.focus(); return true; }
    if (!all[next]) { return false; }
    all[next].focus();
    return true;
  };
  const go = (keys) => {
    const link = document.querySelector(`[data-keys="${keys}"]`);
    if (!link) { return false; }
    link.click();
    const section = link.hash && document.getElementById(link.hash.slice(1));
    if (section) { section.focus({ preventScroll: true }); }
    return true;
  };
  let began = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) { return; }
    const key = event.key;
    if (key === "Escape") {
      if (typing(document.activeElement)) { document.activeElement.blur(); } else { go("Escape"); }
      began = "";
      return;
    }
    const inField = document.activeElement === field;
    if (key === "ArrowDown" && (inField || !typing(document.activeElement)) && rows().length) {
      if (move(1)) { event.preventDefault(); }
      return;
    }
    if (key === "ArrowUp" && !typing(document.activeElement) && rows().length) {
      if (move(-1)) { event.preventDefault(); }
      return;
    }
    if (typing(document.activeElement)) { return; }
    if (key === "/" && field) { event.preventDefault(); field.focus(); field.select(); return; }
    if (began === "" && key === "g") { began = "g"; setTimeout(() => { began = ""; }, 1500); return; }
    const keys = began ? `${began} ${key}` : key;
    began = "";
    if (/^[\w ?]+$/.test(keys) && go(keys)) { event.preventDefault(); }
  });
  const progress = document.querySelector("[data-reading]");
  if (progress) { setTimeout(() => { if (!typing(document.activeElement) || !document.activeElement.value) { location.reload(); } }, 2000); }
  const idle = Number(root.dataset.idle || 0);
  if (idle) {
    let seen = Date.now();
    for (const kind of ["keydown", "pointerdown", "pointermove", "scroll"]) {
      addEventListener(kind, () => { seen = Date.now(); }, { passive: true });
    }
    setInterval(() => { if (Date.now() - seen > idle * 1000) { location.assign("/"); } }, 15000);
  }
})();
