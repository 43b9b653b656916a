// The style sheet of the report.
#pragma once

namespace dehvf::cli {

inline constexpr char kReportStyle[] = R"css(
:root { --ink: #1b1f24; --soft: #5b6570; --line: #e3e6ea; --blue: #0b62a4; --pale: #bcd3e6; --right: #1f7a44; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.1rem 4rem; max-width: 70rem; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  -webkit-text-size-adjust: 100%; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .6rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 44rem; }
.soft, figcaption, small { color: var(--soft); }
.soft, figcaption { font-size: .875rem; }
.scroll { overflow-x: auto; margin: 0 -1.1rem; padding: 0 1.1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { font-weight: 600; font-size: .8rem; color: var(--soft); text-align: right; padding: .3rem .6rem; white-space: nowrap;
  border-bottom: 1px solid #aab2bb; vertical-align: bottom; }
td { padding: .45rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; min-width: 12.5rem; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
td.long { white-space: normal; text-align: left; min-width: 14rem; }
tr.of td:first-child { padding-left: 1.3rem; color: var(--soft); }
td small { display: block; font-size: .75rem; line-height: 1.35; }
td svg { display: inline-block; vertical-align: middle; width: 8rem; height: 1.1rem; margin-right: .6rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.6rem 2rem;
  align-items: start; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figcaption { margin: 0 0 .5rem; }
figcaption b { color: var(--ink); font-size: 1rem; display: block; }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1.4rem 2rem; }
.example { display: grid; grid-template-columns: 8rem 1fr; gap: 1rem; align-items: start; }
.example > img, .nopicture { width: 8rem; height: 8rem; object-fit: contain; image-rendering: pixelated;
  border: 1px solid var(--line); border-radius: 4px; }
.nopicture { display: grid; place-items: center; text-align: center; color: var(--soft); font-size: .8rem; }
.example p { margin: 0 0 .4rem; font-weight: 600; overflow-wrap: anywhere; }
.choice { position: relative; display: flex; justify-content: space-between; gap: .6rem; margin: 2px 0;
  padding: .12rem .5rem; font-size: .875rem; border-radius: 3px; overflow: hidden; background: #f4f6f8; }
.choice i { position: absolute; left: 0; top: 0; bottom: 0; background: #d5dbe1; }
.choice.chosen i { background: var(--pale); }
.choice span { position: relative; overflow-wrap: anywhere; }
.choice .value { font-variant-numeric: tabular-nums; white-space: nowrap; }
.choice.chosen { box-shadow: inset 0 0 0 1.5px var(--blue); }
.choice em { font-style: normal; font-weight: 600; color: var(--right); }
.choice em.no { color: var(--blue); }
@media (max-width: 30rem) {
  .example { grid-template-columns: 6rem 1fr; gap: .8rem; }
  .example > img, .nopicture { width: 6rem; height: 6rem; }
  td svg { width: 6rem; }
  th:first-child, td:first-child { min-width: 7rem; }
}
@media print { body { max-width: none; } .scroll { overflow: visible; } }
)css";

}  // namespace dehvf::cli
