/**
 * The style sheet of pages: what reports are made of, and the page in a browser too.
 * Colours are those of pictures (`chart/style.ts`), light and dark.
 *
 * @module
 */

/** CSS of texts, tables, figures and bars. */
export const STYLE = `:root {
  color-scheme: light dark;
  --paper: #ffffff;
  --ink: #1c2026;
  --muted: #5a616c;
  --rule: #e3e6ea;
  --main: #0060a8;
  --good: #00704f;
  --alert: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c;
    --ink: #e8eaee;
    --muted: #a2aab6;
    --rule: #2a2f37;
    --main: #5cb3f0;
    --good: #35c79a;
    --alert: #ff8a80;
  }
}
* {
  box-sizing: border-box;
}
body {
  margin: 0 auto;
  max-width: 70rem;
  padding: 1rem;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 span {
  font-size: 1rem;
  font-weight: normal;
  color: var(--muted);
  display: block;
}
h2 {
  margin-top: 2.5rem;
  border-top: 1px solid var(--rule);
  padding-top: 1rem;
}
a {
  color: var(--main);
}
:focus-visible {
  outline: 3px solid var(--main);
  outline-offset: 2px;
}
.figures {
  display: flex;
  flex-wrap: wrap;
  gap: 1rem 2.5rem;
  margin: 1rem 0;
}
.figures dt {
  color: var(--muted);
}
.figures dd {
  margin: 0;
}
.figures strong {
  display: block;
  font-size: 1.6rem;
}
table {
  border-collapse: collapse;
  width: 100%;
  margin: 1rem 0;
}
caption {
  text-align: left;
  font-weight: 600;
  padding: 0.25rem 0;
}
th,
td {
  text-align: left;
  vertical-align: top;
  padding: 0.25rem 0.75rem 0.25rem 0;
  border-bottom: 1px solid var(--rule);
  font-weight: normal;
  overflow-wrap: anywhere;
}
th[scope="row"] {
  overflow-wrap: normal;
  color: var(--muted);
}
.number {
  text-align: right;
}
td.number {
  white-space: nowrap;
}
.wide {
  overflow-x: auto;
}
.wide table {
  font-size: 0.875rem;
}
.wide td,
.wide th {
  overflow-wrap: normal;
}
.wide .methods .bar {
  width: 20%;
  min-width: 6rem;
}
.methods .bar {
  width: 40%;
  vertical-align: middle;
}
.methods svg {
  display: block;
  width: 100%;
  height: 0.75rem;
}
.methods rect {
  fill: var(--muted);
}
.methods .ours rect {
  fill: var(--main);
}
.methods .ours th,
.methods .ours td {
  color: var(--ink);
  font-weight: 600;
}
.picture {
  width: 100%;
  min-width: 40rem;
}
.refusal {
  color: var(--alert);
}
.good {
  color: var(--good);
}
@media (max-width: 40rem) {
  .methods .bar,
  .methods thead th:last-child {
    display: none;
  }
}
`;
