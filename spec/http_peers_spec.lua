--- neap.http and examples/http with programs of others: nginx, node, curl. What
-- is not there is left out.

local http = require "neap.http"
local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local support = require "spec.support"

package.path = package.path .. ";examples/?.lua"
local new_server = require "http.server"

local task, error_of = peers.task, support.error_of


-- `it`, or `pending` where there is no such program
local function it_with (program, title, fn)
  local found = os.execute("PATH=$PATH:/usr/sbin command -v " .. program
    .. " >/dev/null 2>&1")
  if not found then return pending(title .. " (no " .. program .. ")") end
  it(title, fn)
end


local function free_port ()
  local sock = assert(socket.bind("127.0.0.1", 0))
  local _, port = sock:getsockname()
  sock:close()
  return math.tointeger(tonumber(port))
end


local function write_file (name, text)
  local file <close> = assert(io.open(name, "wb"))
  assert(file:write(text))
end


-- a text of n bytes that is unlike every other one
local function text_of (n, seed)
  local line = ("%d:%d\n"):format(seed, n)
  return line:rep(n // #line + 1):sub(1, n)
end


-- Call `fn(url, stop, folder)` while nginx serves the files in the folder;
-- `stop()` kills it.
local function with_nginx (files, location, fn)
  local folder <const> = peers.folder()
  local _ <close> = setmetatable({}, { __close = function ()
    os.execute("rm -rf " .. folder)
  end })
  for name, text in pairs(files) do write_file(folder .. "/" .. name, text) end
  local port = free_port()
  write_file(folder .. "/nginx.conf", ([[
    daemon off; master_process off; pid %s/pid; error_log stderr warn;
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 100000; default_type text/x-test;
      client_body_temp_path %s/1; proxy_temp_path %s/2;
      fastcgi_temp_path %s/3; uwsgi_temp_path %s/4; scgi_temp_path %s/5;
      server {
        listen 127.0.0.1:%d; root %s;
        location /status { stub_status; }
        %s
      }
    }
  ]]):format(folder, folder, folder, folder, folder, folder, port, folder,
    location))
  local nginx <close> = peers.start(("env PATH=\"$PATH:/usr/sbin\" nginx "
    .. "-p %s -e stderr -c %s/nginx.conf"):format(folder, folder))
  local url = ("http://127.0.0.1:%d/"):format(port)
  -- it says nothing when it is ready
  neap.retry(function () http.fetch(url .. "status"):text() end,
    { attempts = 500, delay = 0.01, backoff = 1 })
  fn(url, function () nginx:stop() end, folder)
end


describe("fetch from nginx #slow", function ()

  it_with("nginx", "gets a thousand files, fifty at a time, over fifty "
    .. "connections #slow", task(function ()
      local files = {}
      for i = 1, 50 do files["f" .. i] = text_of((i * i * 37) % 99991, i) end
      with_nginx(files, "", function (url)
        local running, most = 0, 0
        local results = neap.pool(neap.iter(function (_, i)
          if i < 1000 then return i + 1 end
        end, nil, 0), 50, function (i)
          running = running + 1
          most = math.max(most, running)
          local name = "f" .. i % 50 + 1
          local response = http.fetch(url .. name)
          local text = response:text()
          running = running - 1
          return response.status == 200
            and response.headers:get "content-type" == "text/x-test"
            and text == files[name]
        end)
        assert.equal(1000, results.n)
        for i = 1, 1000 do assert.is_true(results[i]) end
        assert.equal(50, most)
        local status = http.fetch(url .. "status"):text()
        local accepted = tonumber(status:match "requests%s+(%d+)")
        assert.is_true(accepted <= 51, accepted .. " connections")
      end)
    end))


  it_with("nginx", "streams lines, asks what has changed, sees redirects",
    task(function ()
      with_nginx({ lines = "a\nb\nc\n" }, [[
          location /moved { return 301 /lines; }
          location /loop { return 302 /loop; }
          location /gone { return 410 "gone\n"; }
        ]], function (url)
        assert.same({ "a", "b", "c", n = 3 },
          http.fetch(url .. "lines"):lines():collect())
        local response = http.fetch(url .. "moved")
        assert.equal("a\nb\nc\n", response:text())
        assert.equal(url .. "lines", response.url)
        assert.equal(304, http.fetch(url .. "lines", { headers = {
          ["If-None-Match"] = response.headers:get "etag",
        } }).status)
        local head = http.fetch(url .. "lines", { method = "HEAD" })
        assert.equal("6", head.headers:get "content-length")
        assert.equal("", head:text())
        assert.equal("b\n", http.fetch(url .. "lines", {
          headers = { Range = "bytes=2-3" },
        }):text())
        response = http.fetch(url .. "gone")
        assert.equal(410, response.status)
        assert.equal("gone\n", response:text())
        assert.equal(405, http.fetch(url .. "lines", { method = "POST",
          body = "x" }).status)
        assert.matches("too many redirects",
          error_of(http.fetch, url .. "loop").message)
      end)
    end))


  it_with("nginx", "says so when the server is killed in the middle",
    task(function ()
      with_nginx({ large = ("x"):rep(1000000) },
        "location /large { limit_rate 1000; sendfile off; }",
        function (url, stop)
          local stream = http.fetch(url .. "large"):chunks()
          assert.is_true(#stream:next() > 0)
          stop()
          local err = error_of(stream.collect, stream)
          assert.equal("NetworkError", err.name)
          assert.matches("^GET http.*large: .*connection", err.message)
          err = error_of(http.fetch, url .. "large")
          assert.matches("cannot connect: connection refused", err.message)
        end)
    end))


  it_with("nginx", "gets 100 MB in the memory of one piece #slow",
    task(function ()
      local size = 100 * 2 ^ 20
      with_nginx({}, "", function (url, _, folder)
        do -- a file that takes no room
          local file <close> = assert(io.open(folder .. "/large", "wb"))
          file:seek("set", size - 1)
          file:write "x"
        end
        local got, next_look, most = 0, 0, 0
        local before = support.memory()
        for part in http.fetch(url .. "large"):chunks() do
          got = got + #part
          if got >= next_look then
            next_look = got + size // 10
            most = math.max(most, support.memory())
          end
        end
        assert.equal(size, got)
        assert.is_true(most - before < 2 ^ 20, most - before .. " bytes more")
      end)
    end))


  it_with("nginx", "serves LuaSocket's request, a hundred at once",
    task(function ()
      with_nginx({ page = text_of(5000, 1) }, "", function (url)
        local results = neap.pool(neap.iter(function (_, i)
          if i < 100 then return i + 1 end
        end, nil, 0), 100, function ()
          return (http.request(url .. "page"))
        end)
        for i = 1, 100 do assert.equal(text_of(5000, 1), results[i]) end
      end)
    end))

end)


local NODE = [[
const server = require("http").createServer((req, res) => {
  if (req.url === "/echo") {
    res.writeHead(200, { "Content-Type": "text/plain", "Trailer": "X-Size" });
    let size = 0;
    req.on("data", (data) => { size += data.length; res.write(data); });
    req.on("end", () => { res.addTrailers({ "X-Size": size }); res.end(); });
  } else if (req.url === "/destroy") {
    res.writeHead(200, { "Content-Length": 100 });
    res.write("half", () => res.destroy());
  } else if (req.url === "/early") {
    res.writeEarlyHints({ link: "</style.css>; rel=preload" });
    res.setHeader("Set-Cookie", ["a=1", "b=2"]);
    res.end("late");
  } else if (req.url === "/close") {
    res.setHeader("Connection", "close");
    res.end("bye");
  } else if (req.url === "/never") {
    // no answer
  } else {
    res.statusCode = 404;
    res.end();
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
]]


describe("fetch from node #slow", function ()

  local function with_node (fn)
    local name <const> = os.tmpname()
    local _ <close> = setmetatable({}, { __close = function ()
      os.remove(name)
    end })
    write_file(name, NODE)
    local node <close> = peers.start("node " .. name)
    fn("http://127.0.0.1:" .. node:line "^(%d+)$")
  end


  it_with("node", "has its bodies echoed, in chunks, with trailers",
    task(function ()
      with_node(function (url)
        local parts = {}
        for i = 1, 100 do parts[i] = text_of(i * 31, i) end
        local response = http.fetch(url .. "/echo", { method = "POST",
          body = parts })
        assert.equal("chunked", response.headers:get "transfer-encoding")
        local text = response:text()
        assert.is_true(text == table.concat(parts))
        assert.equal(tostring(#text), response.trailers:get "x-size")
        assert.equal("abc", http.fetch(url .. "/echo", { method = "PUT",
          body = "abc" }):text())
      end)
    end))


  it_with("node", "sees what it does: hints, cookies, an end, a cut, no answer",
    task(function ()
      with_node(function (url)
        local response = http.fetch(url .. "/early")
        assert.equal(200, response.status)
        assert.same({ "a=1", "b=2" }, response.headers:all "set-cookie")
        assert.equal("late", response:text())
        assert.equal("bye", http.fetch(url .. "/close"):text())
        assert.equal(404, http.fetch(url .. "/nothing").status)
        response = http.fetch(url .. "/destroy")
        local err = error_of(response.text, response)
        assert.equal("NetworkError", err.name)
        assert.is_true(neap.is_timeout(error_of(http.fetch, url .. "/never",
          { timeout = 0.02 })))
      end)
    end))

end)


describe("examples/http's server, asked by curl", function ()

  -- what curl says when it has ended, while the server runs
  local function curl (...)
    local pipe <close> = assert(io.popen(peers.ALONE .. "curl -s -S "
      .. string.format(...)
      .. " 2>&1"))
    neap.readable(pipe)
    return pipe:read "a"
  end


  it_with("curl", "serves files, again and again on one connection",
    task(function ()
      local folder <const> = peers.folder()
      local _ <close> = setmetatable({}, { __close = function ()
        peers.remove(folder)
      end })
      local large = text_of(300000, 7)
      write_file(folder .. "/large.txt", large)
      local server = new_server { root = folder }
      neap.scope(function (scope)
        scope:spawn(server.run)
        local url = ("http://127.0.0.1:%d/"):format(server.port)
        local copy = folder .. "/copy"
        assert.equal("200 1\n200 0\n", curl(
          "-w '%%{http_code} %%{num_connects}\\n' -o %s %slarge.txt -o %s %s",
          copy, url, folder .. "/index", url))
        local file <close> = assert(io.open(copy, "rb"))
        assert.is_true(file:read "a" == large)
        for options, status in pairs {
          ["-d x"] = 405, ["-H 'Connection: close'"] = 200, ["-0"] = 200,
        } do
          assert.equal(tostring(status), curl(
            "-o /dev/null -w '%%{http_code}' %s %s", options, url))
        end
        scope:cancel()
      end)
    end))

end)
