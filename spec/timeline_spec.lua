--- The page that shows a trace: in a browser, where there is Chromium.
--
-- What a page shows is asked by a script that is put behind it: it does what a
-- user does, and leaves what it found for --dump-dom.

local assert = require "luassert"
local json = require "dkjson"
local neap = require "neap"
local support = require "spec.support"
local timeline = require "neap.timeline"

local folder


local function find_browser ()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    local pipe <close> = io.popen("command -v " .. name)
    local path = pipe:read "l"
    if path then return path end
  end
end

local browser = find_browser()


local function write (name, text)
  local file <close> = assert(io.open(name, "w"))
  assert(file:write(text))
end


local function text_of (name)
  local file <close> = assert(io.open(name))
  return file:read "a"
end


-- a trace of a program on the virtual clock
local function trace (program)
  local path = folder .. "/x.json"
  local _ <close> = neap.trace(path)
  support.run(program)
  return path
end


local function a_program ()
  local sem = neap.semaphore(1)
  neap.current().name = "root"
  sem:acquire()
  local child = neap.spawn(function ()
    sem:acquire()
    neap.sleep(2)
  end)
  child.name = "</script> & \xff"
  neap.async(function ()
    neap.sleep(1)
    error "boom"
  end).name = "bad"
  neap.tasks()[1].children[2].task:pawait()
  sem:release()
end


-- What the JavaScript gives, as the body of an async function, on the page of
-- this trace; 'hash' is behind its address.
local function browse (path, script, hash)
  if not browser then pending "there is no Chromium" end
  local page = folder .. "/x.html"
  assert(timeline.write(path, page, "x & <y>"))
  write(page, text_of(page) .. [[<script>
    const mouse = (type, id, x, y, more) => $(id).dispatchEvent(
      new (type === "wheel" ? WheelEvent : PointerEvent)(type, {
        clientX: $(id).getBoundingClientRect().left + x,
        clientY: $(id).getBoundingClientRect().top + y,
        bubbles: true, cancelable: true, ...more,
      }));
    const key = name => document.dispatchEvent(
      new KeyboardEvent("keydown", { key: name }));
    const frame = () => new Promise(done => setTimeout(done, 100));
    window.onerror = message => document.body.dataset.error = message;
    window.onload = async () => {
      HTMLElement.prototype.setPointerCapture = () => {};
      await frame();
      const result = await (async () => {]] .. script .. [[})();
      document.body.dataset.result = JSON.stringify(result);
    };
  </script>]])
  local pipe <close> = assert(io.popen(("env -u LD_PRELOAD timeout 60 "
    .. "%s --headless --no-sandbox --disable-gpu --window-size=1000,600 "
    .. "--user-data-dir=%s/profile --virtual-time-budget=5000 --dump-dom "
    .. "'file://%s#%s' 2>/dev/null"):format(browser, folder, page, hash or "")))
  local dom = pipe:read "a"
  assert.is_nil(dom:match 'data%-error="([^"]*)"')
  local result = assert(dom:match 'data%-result="([^"]*)"', dom)
  return json.decode((result:gsub("&quot;", '"'):gsub("&lt;", "<")
    :gsub("&gt;", ">"):gsub("&amp;", "&")))
end


describe("timeline #slow", function ()

  before_each(function ()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
  end)

  after_each(function () os.execute("rm -rf " .. folder) end)

  it("is one file that needs no other, with the trace in it", function ()
    local path = trace(a_program)
    assert.is_true(timeline.write(path, folder .. "/x.html", "x"))
    local page = text_of(folder .. "/x.html")
    assert.is_truthy(page:find(text_of(path), 1, true))
    assert.is_nil(page:find "https?://")
    assert.is_nil(page:find "%u%u%u%u%u+\n")
    local _, scripts = page:gsub("</script>", "")
    assert.equal(2, scripts)
  end)

  it("is not written where that cannot be", function ()
    local path = trace(a_program)
    assert.same({ nil, "/no/x.json: No such file or directory" },
      { timeline.write("/no/x.json", folder .. "/x.html", "x") })
    assert.same({ nil, "/no/x.html: No such file or directory" },
      { timeline.write(path, "/no/x.html", "x") })
    if io.open "/dev/full" then
      assert.same({ nil, "/dev/full: No space left on device" },
        { timeline.write(path, "/dev/full", "x") })
    end
  end)

  it("shows the tasks below those that they belong to", function ()
    local found = browse(trace(a_program), [[
      return {
        title: document.title, summary: $("summary").textContent,
        rows: view.rows.map(task => [task.label, task.depth, task.outcome]),
        legend: $("legend").textContent, clocks: !$("clocks").hidden,
        drawn: [...$("rows").getContext("2d").getImageData(
          view.gutter + 20, 40, 400, 50).data].some(x => x > 0 && x < 255),
      };
    ]])
    assert.equal("x & <y> · neap trace", found.title)
    assert.matches("^3 tasks · %d+ steps · 3 s in [%d.]+ ..?s", found.summary)
    assert.matches(" · 1 failed$", found.summary)
    assert.same({
      { "root", 0, "done" },
      { "</script> & \u{fffd}", 1, "done" },
      { "bad", 1, "failed" },
    }, found.rows)
    assert.matches("running.*sleep.*semaphore.*other tasks", found.legend)
    assert.is_true(found.clocks)
    assert.is_true(found.drawn)
  end)

  it("tells what a task did, and of what it died", function ()
    local path = trace(a_program)
    local id = math.tointeger(text_of(path):match '"tid":(%d+)[^\n]*"bad"')
    local found = browse(path, [[
      const details = $("details").textContent;
      mouse("pointermove", "rows", xOf(0.5), 26 + 22 * 1.5);
      const tip = $("tip").textContent;
      mouse("pointerleave", "rows", 0, 0);
      return { details, tip, hidden: $("tip").hidden };
    ]], id)
    assert.matches("bad.*failed.*timeline_spec.lua:%d+: boom", found.details)
    assert.matches("parentroot #%d+", found.details)
    assert.matches("lives1 s.*sleep1 s · 1×", found.details)
    assert.matches("waits for semaphore: 1 wanted, 0 of 1 free", found.tip)
    assert.matches("1 s, from 0 to 1 s.*at .*timeline_spec.lua:%d+", found.tip)
    assert.is_true(found.hidden)
  end)

  it("tells who spawned a task, if that was not its parent", function ()
    local path = trace(function ()
      neap.scope(function (scope)
        neap.spawn(function ()
          scope:spawn(neap.sleep, 1).name = "adopted"
        end).name = "spawner"
        neap.sleep(0)
      end)
    end)
    local found = browse(path, [[
      const found = {};
      for (const task of trace.tasks.values()) {
        select(task);
        found[task.label] = $("details").textContent;
      }
      return found;
    ]])
    assert.matches("byspawner #%d+", found.adopted)
    assert.not_matches("by%a* #", found.spawner)
  end)

  it("says times as people do, and finds what is under the mouse",
    function ()
      local found = browse(trace(a_program), [[
        const span = (t0, t1) => ({ t0, t1 });
        const task = { runs: [span(1, 1), span(2, 2)],
          waits: [span(1, 2), span(2, 4)] };
        return {
          times: [0, 5e-9, 1.25e-5, 1e-3, 0.999, 1, 1.25, 119, 120, 7199, 7200,
            172799, 172800].map(say),
          spans: [0.9, 0.5, 1.05, 1.2, 1.95, 2.05, 3, 4, 4.05].map(t => {
            const found = spanAt(task, t, 0.1);
            return found === null ? "" : (task.runs.includes(found) ? "step "
              : "wait ") + found.t0;
          }),
          forward: [...trace.tasks.values()].every(task =>
            task.runs.every(run => run.end[0] >= run.start[0])),
        };
      ]])
      assert.same({ "0", "5 ns", "12.5 µs", "1 ms", "999 ms", "1 s", "1.25 s",
        "119 s", "2 min", "120 min", "2 h", "48 h", "2 d" }, found.times)
      assert.same({ "step 1", "", "step 1", "wait 1", "step 2", "step 2",
        "wait 2", "wait 2", "" }, found.spans)
      assert.is_true(found.forward)
    end)

  it("zooms by the wheel, moves by the mouse, folds, searches", function ()
    local found = browse(trace(a_program), [[
      const x = view.gutter + 300, at = tOf(x), result = {};
      const all = view.t1 - view.t0;
      mouse("wheel", "rows", x, 60, { deltaY: -500 });
      result.closer = (view.t1 - view.t0) / all;
      result.still = Math.abs(tOf(x) - at) < 1e-6;
      const t0 = view.t0;
      mouse("pointerdown", "rows", x, 60);
      mouse("pointermove", "rows", x + 50, 60, { buttons: 1 });
      mouse("pointerup", "rows", x + 50, 60);
      result.moved = view.t0 < t0;
      key("0");
      result.back = (view.t1 - view.t0) / all;
      mouse("pointerdown", "rows", 14, 37);
      mouse("pointerup", "rows", 14, 37);
      result.folded = view.rows.length;
      mouse("pointerdown", "rows", 14, 37);
      mouse("pointerup", "rows", 14, 37);
      $("search").value = "BOOM";
      $("search").dispatchEvent(new Event("input"));
      result.matches = view.rows.map(task => task.matches);
      key("n");
      result.selected = view.selected.label;
      key("Escape");
      result.none = view.selected === null && $("details").hidden;
      $("real").click();
      result.length = trace.length < 1;
      return result;
    ]])
    assert.is_true(found.closer < 0.6)
    assert.is_true(math.abs(found.back - 1) < 1e-6)
    assert.same({ true, true, true, true },
      { found.still, found.moved, found.none, found.length })
    assert.equal(1, found.folded)
    assert.same({ false, false, true }, found.matches)
    assert.equal("bad", found.selected)
  end)

  it("shows what there is of a trace that was cut short", function ()
    local path = trace(a_program)
    local text = text_of(path)
    for _, cut in ipairs { 4, text:len() // 2 } do
      write(path, text:sub(1, -cut))
      assert.is_true(browse(path, "return view.rows.length") > 0)
    end
  end)

  it("is drawn fast, of tens of thousands of events", function ()
    local found = browse(trace(function ()
      for _ = 1, 500 do
        neap.spawn(function () for _ = 1, 20 do neap.sleep(1) end end)
      end
    end), [[
      drawRows(trace, $("rows"));
      view.top = 1e9;
      drawRows(trace, $("rows"));
      return { rows: view.rows.length, down: view.top > 5000, spans:
        view.rows.reduce((n, t) => n + t.waits.length + t.runs.length, 0) };
    ]])
    assert.equal(501, found.rows)
    assert.is_true(found.down)
    assert.is_true(found.spans > 20000)
  end)

end)
