"use strict";
// The page is complete without this: it adds a filter and shows what belongs together in the graph.
(() => {
  const graph = document.querySelector("svg.graph");
  if (graph) {
    const edges = [...graph.querySelectorAll(".edge")];
    const show = (event) => {
      const node = event.target.closest("[data-row], [data-place], .edge");
      const belongs = (edge) => node === edge || node.dataset.row === edge.dataset.from
        || node.dataset.place === edge.dataset.to;
      const chosen = node ? edges.filter(belongs) : [];
      graph.classList.toggle("focused", chosen.length > 0);
      for (const marked of graph.querySelectorAll(".marked")) marked.classList.remove("marked");
      for (const edge of chosen) {
        edge.classList.add("marked");
        graph.querySelector(`[data-row="${edge.dataset.from}"]`).classList.add("marked");
        graph.querySelector(`[data-place="${edge.dataset.to}"]`).classList.add("marked");
      }
    };
    for (const kind of ["pointerover", "focusin"]) graph.addEventListener(kind, show);
  }

  const form = document.querySelector("form.filter");
  if (form) {
    const [words, onlyBlocked, matches] = ["filter", "only-blocked", "matches"].map((id) => document.getElementById(id));
    const programs = [...document.querySelectorAll(".program")].map((section) => ({
      section,
      name: section.querySelector("h3").textContent.toLowerCase(),
      rows: [...section.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
    }));
    const apply = () => {
      const wanted = words.value.trim().toLowerCase();
      let count = 0;
      for (const { section, name, rows } of programs) {
        let shown = 0;
        for (const { row, text } of rows) {
          const fits = (name.includes(wanted) || text.includes(wanted))
            && !(onlyBlocked.checked && row.className !== "is-blocked");
          row.hidden = !fits;
          if (fits) shown += 1;
        }
        section.hidden = shown === 0;
        count += shown;
      }
      matches.textContent = wanted || onlyBlocked.checked ? `${count} shown` : "";
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
})();
