--- neap.socket: the addresses that are tried to connect to a host.

local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local support = require "spec.support"

local task, error_of = peers.task, support.error_of
local virtually = support.task -- a task on the virtual clock


describe("a TCP connection", function ()

  it("does not take the socket of the next address for that of the last",
    task(function ()
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      server:close()
      local sock <close> = assert(socket.tcp4())
      local wire = sock.wire
      assert.same({ nil, "connection refused" },
        { sock:connect("127.0.0.1", port) })
      assert.is_nil((sock:connect("127.0.0.1", port)))
      assert.not_equal(wire, sock.wire)
    end))


  it("tries addresses of both families, in the order in which they come",
    task(function ()
      local address = require "neap.socket.address"
      local server <close> = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local resolve <close> = setmetatable({ address.resolve }, {
        __close = function (old) address.resolve = old[1] end,
      })
      assert.is_function(resolve[1])
      function address.resolve ()
        return {
          { family = "inet6", addr = "::1" },
          { family = "inet", addr = "127.0.0.1" },
        }
      end
      local sock <close> = assert(socket.tcp())
      collectgarbage "stop"
      finally(function () collectgarbage "restart" end)
      local before = peers.descriptors()
      assert.equal(1, sock:connect("both", port))
      assert.equal(before and before + 1, peers.descriptors())
      local client <close> = assert(server:accept())
      assert.equal(4, sock:send "ping")
      assert.equal("ping", client:receive(4))
      local other <close> = assert(socket.connect("both", port))
      assert.equal("127.0.0.1", other:getpeername())
    end))


  describe("to several addresses", function ()

    -- servers at these addresses of this machine and one port; no server: the
    -- connection is refused; "full": nobody ever answers
    local function servers (kinds)
      local list, open, port = {}, {}, 0
      for _, kind in ipairs(kinds) do
        local addr = "127.0.0." .. #list + 1
        list[#list + 1] = { family = "inet", addr = addr }
        if kind ~= "none" then
          local server = assert(socket.tcp4())
          assert(server:setoption("reuseaddr", true))
          assert(server:bind(addr, port))
          local _
          _, port = server:getsockname()
          assert(server:listen(kind == "full" and 0 or 8))
          open[addr] = server
          while kind == "full" do
            local sock = assert(socket.tcp())
            sock:settimeout(0)
            open[#open + 1] = sock
            if not sock:connect(addr, port) then break end
          end
        end
      end
      return list, port, setmetatable(open, { __close = function ()
        for _, sock in pairs(open) do sock:close() end
      end })
    end

    local internal = require("neap.core").internal
    local resolve = internal.resolve
    after_each(function () internal.resolve = resolve end)

    -- the name "many" stands for these
    local function named (list)
      function internal.resolve () return list end
    end

    -- only Linux drops what finds a full line, and has more than 127.0.0.1
    local linux = peers.descriptors() and it or pending


    linux("waits a moment for one that does not answer", virtually(function ()
      local list, port, open <close> = servers { "full", "yes" }
      named(list)
      local before = peers.descriptors()
      local sock <close> = assert(socket.tcp4())
      assert(sock:setoption("tcp-nodelay", true))
      assert.equal(1, sock:connect("many", port))
      assert.equal(0.25, neap.now())
      assert.equal("127.0.0.2", (sock:getpeername()))
      assert.is_true(sock:getoption "tcp-nodelay")
      local client <close> = assert(open["127.0.0.2"]:accept())
      assert.equal(4, sock:send "ping")
      assert.equal("ping", client:receive(4))
      assert.equal(before + 2, peers.descriptors())
    end))


    linux("goes on at once when one has refused", virtually(function ()
      local list, port, _ <close> = servers { "yes", "none", "yes" }
      named { list[2], list[3] }
      local sock <close> = assert(socket.connect("many", port))
      assert.equal("127.0.0.3", (sock:getpeername()))
      assert.equal(0, neap.now())
    end))


    linux("says why when all have failed", virtually(function ()
      local list, port, open <close> = servers { "yes", "none", "full" }
      named { list[2], list[2] }
      local sock <close> = assert(socket.tcp())
      assert.same({ nil, "connection refused" }, { sock:connect("many", port) })
      named { list[3], list[2], list[3] }
      sock:settimeout(2)
      local before = peers.descriptors()
      assert.same({ nil, "timeout" }, { sock:connect("many", port) })
      assert.equal(2, neap.now())
      assert.equal(before, peers.descriptors())
      assert(open["127.0.0.1"])
    end))


    linux("is given up as a whole when it is cancelled, or closed",
      virtually(function ()
        local list, port, _ <close> = servers { "full", "full" }
        named(list)
        local before = peers.descriptors()
        assert.is_false((neap.move_on_after(1, socket.connect, "many", port)))
        assert.equal(before, peers.descriptors())
        local sock = assert(socket.tcp())
        local connecting = neap.async(sock.connect, sock, "many", port)
        neap.sleep(1)
        sock:close()
        local _, err = connecting:pawait()
        assert.equal("ClosedError", err.name)
        assert.equal(before, peers.descriptors())
      end))


    linux("is not there for a socket that was closed meanwhile", virtually(
      function ()
        local list, port, _ <close> = servers { "yes", "none" }
        local sock = assert(socket.tcp())
        local last = setmetatable({ family = "inet" }, {
          __index = function () -- its address is asked for
            sock:close()
            return "127.0.0.1"
          end,
        })
        named { list[2], last }
        local before = peers.descriptors()
        local err = error_of(sock.connect, sock, "many", port)
        assert.equal("ClosedError", err.name)
        assert.equal(before, peers.descriptors())
        named { list[2], list[1] } -- it can be connected again
        assert.equal(1, sock:connect("many", port))
        sock:close()
      end))


    it("takes the families in turn", function ()
      local dial = require "neap.socket.dial"
      local list = {}
      for i, family in ipairs { 6, 6, 6, 4, 6, 4 } do
        list[i] = { family = family, n = i }
      end
      local order = {}
      for i, a in ipairs(dial.in_turn(list)) do order[i] = a.n end
      assert.same({ 1, 4, 2, 6, 3, 5 }, order)
    end)


    it("in tests of its own: the first to come wins, and others are dropped",
      virtually(function ()
        local dial = require "neap.socket.dial"
        -- a: when it comes, or fails if negative
        local function race (...)
          local log, dropped = support.recorder(), {}
          local won, word = dial.first({ ... }, function (a, i)
            log(i)
            neap.shield(neap.sleep, math.abs(a))
            if a < 0 then return nil, "failed " .. i end
            return i
          end, function (got) dropped[#dropped + 1] = got end)
          return won, word, log(), dropped
        end
        assert.same({ 2, nil, { "1@0", "2@0.25" }, { 1 } },
          { race(9, 0.1, 0) })
        assert.same({ 3, nil, { "1@9", "2@9.1", "3@9.35" }, {} },
          { race(-0.1, -9, 0.125) })
        local won, word = race(-3, -2, -1)
        assert.same({ nil, "failed 1" }, { won, word })
      end))

  end)


  it("of one family takes no address of the other", task(function ()
    local internal = require("neap.core").internal
    local resolve <close> = setmetatable({ internal.resolve }, {
      __close = function (old) internal.resolve = old[1] end,
    })
    assert.is_function(resolve[1])
    local names = {
      both = { { family = "inet6", addr = "::1" },
               { family = "inet", addr = "127.0.0.1" } },
      six = { { family = "inet6", addr = "::1" } },
    }
    function internal.resolve (host) return names[host] end
    for _, make in ipairs { socket.tcp4, socket.udp4 } do
      local sock <close> = assert(make())
      assert.same({ nil, "no inet address" }, { sock:setsockname("six", 0) })
      assert.equal(1, (sock:setsockname("both", 0)))
      assert.equal("127.0.0.1", (sock:getsockname()))
    end
    assert.equal("127.0.0.1", (socket.dns.toip "both"))
    assert.same({ nil, "host not found" }, { socket.dns.toip "six" })
  end))


  it("of IPv6, where there is one", task(function ()
    local server <close> = socket.bind("::1", 0)
    if not server then return pending "there is no IPv6 here" end
    local _, port = server:getsockname()
    local sock <close> = assert(socket.connect6("::1", port))
    local far <close> = assert(server:accept())
    far:send "six\n"
    assert.equal("six", sock:receive())
    assert.is_nil((socket.connect4("::1", port)))
  end))

end)
