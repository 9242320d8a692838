"use strict";
(() => {
  const field = document.getElementById("words");
  const said = document.getElementById("said");
  const checks = [...document.querySelectorAll(".check")];
  const all = checks.map((check) => [check, [...check.querySelectorAll(".row")].map((row) => [row, row.textContent.toLowerCase()])]);
  document.getElementById("search").hidden = false;
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [check, rows] of all) {
      const head = check.querySelector("summary").textContent.toLowerCase();
      let some = false;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word) || head.includes(word));
        some ||= !row.hidden;
        shown += row.hidden ? 0 : 1;
      }
      check.hidden = !some;
    }
    said.textContent = words.length ? `${shown} findings match` : "";
  };
  field.addEventListener("input", search);
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => checks.forEach((check) => { check.open = true; }));
  open();
})();
