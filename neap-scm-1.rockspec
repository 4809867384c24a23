-- For LuaRocks. The three lists below name every file, because a rockspec is
-- plain data; 'make rockspec' writes them and 'make lint' compares.
rockspec_format = "3.0"
package = "neap"
version = "scm-1"
source = {
  url = "git+https://github.com/neap-lua/neap.git",
}
description = {
  summary = "Concurrency patterns for Lua: tasks, scopes, pools, streams",
  detailed = [[
    Lua coroutines as tasks over a small C core and libev: structured
    concurrency with cancellation and timeouts, pools, limiters, retries,
    channels, async generators, and a clock that tests and games can drive.
  ]],
  homepage = "https://github.com/neap-lua/neap",
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = {
  -- 5.4.4 is needed, but to LuaRocks every Lua 5.4 has the version "5.4", and
  -- ">= 5.4.4" would be met by none; the core looks at the release itself
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  LIBEV = { header = "ev.h", library = "ev" },
}
build = {
  type = "builtin",
  modules = {
    ["neap.core"] = {
      -- LuaRocks finds libev, but adds no flag for it by itself
      incdirs = { "$(LIBEV_INCDIR)" },
      libdirs = { "$(LIBEV_LIBDIR)" },
      libraries = { "ev" },
      defines = { "_GNU_SOURCE" },
      sources = {
        -- csrc/*.c
        "csrc/abort.c",
        "csrc/abortlib.c",
        "csrc/args.c",
        "csrc/burst.c",
        "csrc/cancel.c",
        "csrc/chance.c",
        "csrc/channel.c",
        "csrc/check.c",
        "csrc/chrome.c",
        "csrc/clock.c",
        "csrc/core.c",
        "csrc/coroutine.c",
        "csrc/dump.c",
        "csrc/error.c",
        "csrc/event.c",
        "csrc/fd.c",
        "csrc/file.c",
        "csrc/fork.c",
        "csrc/generator.c",
        "csrc/host.c",
        "csrc/interrupt.c",
        "csrc/io.c",
        "csrc/launch.c",
        "csrc/leftover.c",
        "csrc/limiter.c",
        "csrc/loop.c",
        "csrc/mirror.c",
        "csrc/offload.c",
        "csrc/pipe.c",
        "csrc/pool.c",
        "csrc/poollib.c",
        "csrc/post.c",
        "csrc/process.c",
        "csrc/resolve.c",
        "csrc/run.c",
        "csrc/sched.c",
        "csrc/scope.c",
        "csrc/scopelib.c",
        "csrc/semaphore.c",
        "csrc/signals.c",
        "csrc/source.c",
        "csrc/stock.c",
        "csrc/strand.c",
        "csrc/stream.c",
        "csrc/streamlib.c",
        "csrc/task.c",
        "csrc/tasklib.c",
        "csrc/terminal.c",
        "csrc/timer.c",
        "csrc/trace.c",
        "csrc/wire.c",
      },
    },
    -- lua/neap/*.lua
    ["neap.ahead"] = "lua/neap/ahead.lua",
    ["neap.args"] = "lua/neap/args.lua",
    ["neap.buffer"] = "lua/neap/buffer.lua",
    ["neap.burst"] = "lua/neap/burst.lua",
    ["neap.cancellable"] = "lua/neap/cancellable.lua",
    ["neap.chunk"] = "lua/neap/chunk.lua",
    ["neap.collective"] = "lua/neap/collective.lua",
    ["neap.debounce"] = "lua/neap/debounce.lua",
    ["neap.file"] = "lua/neap/file.lua",
    ["neap.flat_map"] = "lua/neap/flat_map.lua",
    ["neap.http"] = "lua/neap/http.lua",
    ["neap.http.connections"] = "lua/neap/http/connections.lua",
    ["neap.http.fetch"] = "lua/neap/http/fetch.lua",
    ["neap.http.headers"] = "lua/neap/http/headers.lua",
    ["neap.http.message"] = "lua/neap/http/message.lua",
    ["neap.http.request"] = "lua/neap/http/request.lua",
    ["neap.http.response"] = "lua/neap/http/response.lua",
    ["neap.http.url"] = "lua/neap/http/url.lua",
    ["neap"] = "lua/neap/init.lua",
    ["neap.lines"] = "lua/neap/lines.lua",
    ["neap.map"] = "lua/neap/map.lua",
    ["neap.merge"] = "lua/neap/merge.lua",
    ["neap.os_signal"] = "lua/neap/os_signal.lua",
    ["neap.process"] = "lua/neap/process.lua",
    ["neap.process.launch"] = "lua/neap/process/launch.lua",
    ["neap.process.owner"] = "lua/neap/process/owner.lua",
    ["neap.process.pipes"] = "lua/neap/process/pipes.lua",
    ["neap.progress"] = "lua/neap/progress.lua",
    ["neap.retry"] = "lua/neap/retry.lua",
    ["neap.simulate"] = "lua/neap/simulate.lua",
    ["neap.socket"] = "lua/neap/socket.lua",
    ["neap.socket.address"] = "lua/neap/socket/address.lua",
    ["neap.socket.base"] = "lua/neap/socket/base.lua",
    ["neap.socket.certificate"] = "lua/neap/socket/certificate.lua",
    ["neap.socket.datagram"] = "lua/neap/socket/datagram.lua",
    ["neap.socket.stream"] = "lua/neap/socket/stream.lua",
    ["neap.socket.tls"] = "lua/neap/socket/tls.lua",
    ["neap.split"] = "lua/neap/split.lua",
    ["neap.stream"] = "lua/neap/stream.lua",
    ["neap.throttle"] = "lua/neap/throttle.lua",
    ["neap.timed"] = "lua/neap/timed.lua",
    ["neap.timeline"] = "lua/neap/timeline.lua",
    ["neap.timeline.controls"] = "lua/neap/timeline/controls.lua",
    ["neap.timeline.model"] = "lua/neap/timeline/model.lua",
    ["neap.timeline.style"] = "lua/neap/timeline/style.lua",
    ["neap.timeline.view"] = "lua/neap/timeline/view.lua",
    ["neap.workers"] = "lua/neap/workers.lua",
  },
  install = {
    bin = { neap = "bin/neap" },
    lua = { -- for editors, not to be required
      -- lua/neap/types/*.d.lua
      ["neap.types.calls"] = "lua/neap/types/calls.d.lua",
      ["neap.types.errors"] = "lua/neap/types/errors.d.lua",
      ["neap.types.file"] = "lua/neap/types/file.d.lua",
      ["neap.types.http"] = "lua/neap/types/http.d.lua",
      ["neap.types.pools"] = "lua/neap/types/pools.d.lua",
      ["neap.types.process"] = "lua/neap/types/process.d.lua",
      ["neap.types.running"] = "lua/neap/types/running.d.lua",
      ["neap.types.scopes"] = "lua/neap/types/scopes.d.lua",
      ["neap.types.sockets"] = "lua/neap/types/sockets.d.lua",
      ["neap.types.streams"] = "lua/neap/types/streams.d.lua",
      ["neap.types.sync"] = "lua/neap/types/sync.d.lua",
      ["neap.types.world"] = "lua/neap/types/world.d.lua",
    },
  },
  copy_directories = { "docs", "examples" },
}
test = {
  type = "command",
  command = "make test",
}
