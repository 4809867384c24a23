--- How the page of a trace looks: CSS, for light and dark.
--
-- Part of neap.timeline.
--
-- @module neap.timeline.style

return [==[
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f6f8fa; --line: #d9dee4; --faint: #eef1f4;
  --text: #1f2328; --soft: #667079; --accent: #0969da;
  --run: #1a7f37; --life: #e4e8ec;
  --sleep: #8b98a5; --io: #0969da; --lock: #c77d00; --message: #8250df;
  --task: #0f8a8a; --turn: #c2388f;
  --done: #1a7f37; --failed: #d1242f; --cancelled: #c77d00;
  --wash: 0.26;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --panel: #161b22; --line: #2c333c; --faint: #171c23;
    --text: #e6edf3; --soft: #8b949e; --accent: #58a6ff;
    --run: #3fb950; --life: #262d36;
    --sleep: #8b98a5; --io: #58a6ff; --lock: #e3a008; --message: #b48cff;
    --task: #39c5c5; --turn: #f778ba;
    --done: #3fb950; --failed: #ff6b64; --cancelled: #e3a008;
    --wash: 0.30;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: flex; flex-direction: column; overflow: hidden;
  background: var(--back); color: var(--text);
  font: 13px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif;
}
header, footer {
  display: flex; align-items: center; gap: 14px; flex: none;
  padding: 8px 14px; background: var(--panel); white-space: nowrap;
}
header { border-bottom: 1px solid var(--line); }
footer { border-top: 1px solid var(--line); color: var(--soft); }
footer { font-size: 12px; padding: 5px 14px; overflow: hidden; }
h1 { margin: 0; font-size: 15px; font-weight: 600; }
#summary { color: var(--soft); overflow: hidden; text-overflow: ellipsis; }
.space { flex: 1; }
input, button {
  font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--line); border-radius: 6px; padding: 3px 9px;
}
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
button[aria-pressed="true"] {
  color: var(--accent); border-color: var(--accent);
}
input { width: 220px; }
input:focus-visible, button:focus-visible, canvas:focus-visible {
  outline: 2px solid var(--accent); outline-offset: -1px;
}
#clocks { display: flex; gap: 4px; }
#clocks[hidden] { display: none; }
main { flex: 1; display: flex; min-height: 0; }
#left { flex: 1; min-width: 0; display: flex; flex-direction: column; }
canvas { display: block; width: 100%; touch-action: none; }
#overview { flex: none; height: 46px; border-bottom: 1px solid var(--line); }
#rows { flex: 1; min-height: 0; cursor: grab; }
#rows.dragging { cursor: grabbing; }
#details {
  flex: none; width: 300px; overflow: auto; padding: 14px 16px;
  border-left: 1px solid var(--line); background: var(--panel);
}
#details[hidden] { display: none; }
#details h2 {
  margin: 0 24px 2px 0; font-size: 14px; overflow-wrap: anywhere;
}
#details .close { float: right; border: 0; background: none; padding: 0 4px; }
#details dl {
  display: grid; grid-template-columns: auto 1fr; gap: 3px 12px;
  margin: 10px 0;
}
#details dt { color: var(--soft); }
#details dd { margin: 0; overflow-wrap: anywhere; text-align: right; }
#details .error { color: var(--failed); overflow-wrap: anywhere; }
#details a { color: var(--accent); cursor: pointer; text-decoration: none; }
.bar { height: 4px; border-radius: 2px; background: var(--life); }
.bar i { display: block; height: 100%; border-radius: 2px; }
.share { margin: 7px 0; }
.share div:first-child { display: flex; gap: 8px; }
.share span:last-child { margin-left: auto; color: var(--soft); }
#tip {
  position: fixed; z-index: 2; max-width: 420px; padding: 7px 10px;
  pointer-events: none; background: var(--panel); border-radius: 7px;
  border: 1px solid var(--line); box-shadow: 0 4px 16px rgb(0 0 0 / .22);
  overflow-wrap: anywhere;
}
#tip[hidden] { display: none; }
#tip b { font-weight: 600; }
#tip .soft { color: var(--soft); }
.key { display: inline-flex; align-items: center; gap: 5px; }
.key i { width: 14px; height: 10px; border-radius: 2px; }
.done { color: var(--done); }
.failed { color: var(--failed); }
.cancelled { color: var(--cancelled); }
]==]
