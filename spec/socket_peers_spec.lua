--- neap.socket and what real peers do: a server that is killed, one that is
-- slow, bodies larger than memory should be; and Redis.

local lfs = require "lfs"
local luasocket = require "socket"
local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"

local task = peers.task


-- a port that nobody listens on
local function free_port ()
  local server = assert(luasocket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return port
end


describe("a peer of neap.socket", function ()

  it("that is killed in the middle gives what there was, and the end",
    task(function ()
      local script = [[
        local server = require "socket".bind("127.0.0.1", 0)
        print((select(2, server:getsockname())))
        io.stdout:flush()
        local client = server:accept()
        client:send "half an ans"
        print "sent"
        io.stdout:flush()
        client:receive "*a"]]
      local server <close> = peers.start(("%s -e '%s'"):format(
        os.getenv "LUA" or "lua5.4", script:gsub("'", [['\'']])))
      local sock <close> = assert(socket.connect("127.0.0.1",
        server:line "(%d+)"))
      local answer = neap.async(function () return { sock:receive() } end)
      server:line "sent"
      server:stop()
      assert.same({ nil, "closed", "half an ans" }, answer:await())
      assert.is_nil((socket.connect("127.0.0.1", free_port())))
    end))


  it("that sends a byte at a time is cut off by a timeout of mode t",
    task(function ()
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      neap.scope(function (scope)
        scope:spawn(function ()
          local sock <close> = assert(socket.connect("127.0.0.1", port))
          while sock:send "x" do neap.sleep(0.002) end
        end)
        local sock <close> = assert(server:accept())
        server:close()
        sock:settimeout(0.02, "t")
        local line, message, partial = sock:receive()
        assert.same({ nil, "timeout" }, { line, message })
        assert.matches("^x+$", partial)
        assert.is_false(neap.move_on_after(0.01, sock.receive, sock, "*a"))
      end)
    end))


  it("that sends 100 MB needs little memory #slow", task(function ()
    local PIECE, COUNT = ("0123456789abcdef"):rep(4096), 1600
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    neap.spawn(function ()
      local sock <close> = assert(socket.connect("127.0.0.1", port))
      for _ = 1, COUNT do assert(sock:send(PIECE)) end
    end)
    local sock = assert(server:accept())
    server:close()
    collectgarbage()
    local before, most, total = collectgarbage "count", 0, 0
    for piece in neap.read(sock) do
      total = total + #piece
      most = math.max(most, collectgarbage "count")
    end
    assert.equal(#PIECE * COUNT, total)
    assert.is_true(most - before < 8 * 1024, (most - before) .. " kB")
  end))

end)


describe("Redis", function ()

  -- Debian's client, as it is, but for the sockets that it gets
  local function client_module ()
    for _, version in ipairs { "5.4", "5.3", "5.2", "5.1" } do
      local path = "/usr/share/lua/" .. version .. "/redis.lua"
      if lfs.attributes(path) then
        return assert(loadfile(path, "t", setmetatable({
          require = function (name)
            return name == "socket" and socket or name == "socket.unix"
              and socket.unix or require(name)
          end,
        }, { __index = _G })))()
      end
    end
  end


  local redis, server, port

  setup(function ()
    redis = client_module()
    if redis == nil then return end
    port = free_port()
    server = peers.start("redis-server --bind 127.0.0.1 --save '' --port "
      .. port)
    server:line "eady to accept connections"
  end)

  teardown(function ()
    if server then server:stop() end
  end)


  it("is talked to by a hundred of its clients at once #slow", function ()
    if redis == nil then return pending "there is no Redis client" end
    peers.run(function ()
      local function work (i)
        local client = redis.connect("127.0.0.1", port)
        local key, text = "key" .. i, ("line\r\n"):rep(i)
        for _ = 1, 5 do client:incr "counter" end
        client:set(key, text)
        assert.equal(text, client:get(key))
        assert.is_true(client:ping())
        client:rpush("list", i)
        assert.is_true(client:exists(key))
        client:quit()
        client.network.socket:close()
      end
      local clients = {}
      for i = 1, 100 do clients[i] = i end
      neap.parallel(clients, work)
      local client = redis.connect("127.0.0.1", port)
      assert.equal("500", client:get "counter")
      assert.equal(100, client:llen "list")
      client.network.socket:close()
    end)
  end)


  it("blocks one client while others work, and lets it be cancelled",
    function ()
      if redis == nil then return pending "there is no Redis client" end
      peers.run(function ()
        local waiting = redis.connect("127.0.0.1", port)
        local other = redis.connect("127.0.0.1", port)
        local popped = neap.async(waiting.blpop, waiting, "queue", 0)
        repeat
          neap.sleep(0.001)
        until tonumber(other:info().clients.blocked_clients) == 1
        other:rpush("queue", "item")
        assert.same({ "queue", "item" }, popped:await())
        assert.is_false((neap.move_on_after(0.005, waiting.blpop, waiting,
          "queue", 0)))
        waiting.network.socket:close()
        other.network.socket:close()
      end)
    end)

end)
