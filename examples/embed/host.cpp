// host.cpp - a host in C++: an engine's things own the scripts that move them.
//
// example-test: host
//
// A thing holds its task, and its destructor cancels it: whatever the script
// has started ends with the thing, and its clean-up runs.

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <lua.hpp>

#include "neap.h"

namespace {

class Engine {
public:
  Engine() : L(luaL_newstate()) {
    luaL_openlibs(L);
    neap_Options options = neap_OPTIONS;
    options.clock = "manual";
    neap = neap_open(L, &options);
    if (neap == nullptr) throw std::runtime_error(lua_tostring(L, -1));
  }
  ~Engine() {
    lua_close(L);
  }
  Engine(const Engine &) = delete;
  Engine &operator=(const Engine &) = delete;

  bool frame (double dt) {
    neap->advance(L, dt, dt);
    return neap->step(L, 0.004) != NEAP_NOTHING;
  }

  lua_State *L;
  const neap_Api *neap;
};


class Thing {
public:
  Thing(Engine &e, std::string name, const char *script)
      : engine(e), name(std::move(name)) {
    lua_State *L = engine.L;
    if (luaL_loadstring(L, script) != LUA_OK)
      throw std::runtime_error(lua_tostring(L, -1));
    lua_pushstring(L, this->name.c_str());
    if (engine.neap->spawn(L, 1, nullptr, nullptr) != NEAP_OK)
      throw std::runtime_error(lua_tostring(L, -1));
    task = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  ~Thing() {
    lua_State *L = engine.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task);
    lua_pushstring(L, "destroyed");
    if (engine.neap->cancel(L, -2) != NEAP_OK) lua_pop(L, 1);
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, task);
  }
  Thing(const Thing &) = delete;
  Thing &operator=(const Thing &) = delete;

private:
  Engine &engine;
  std::string name;
  int task;
};

} // namespace


int main () {
  const char *script =
      "local neap = require 'neap'\n"
      "local name = ...\n"
      "local _ <close> = setmetatable({}, { __close = function ()\n"
      "  print(('%.1f  %s is gone'):format(neap.now(), name))\n"
      "end })\n"
      "neap.spawn(function ()\n"
      "  while true do\n"
      "    neap.sleep(0.5)\n"
      "    print(('%.1f  %s glows'):format(neap.now(), name))\n"
      "  end\n"
      "end)\n"
      "neap.sleep(1.2)\n"
      "error(name .. ' has burnt out', 0)\n";
  try {
    Engine engine;
    engine.neap->step(engine.L, 0);
    auto lamp = std::make_unique<Thing>(engine, "lamp", script);
    auto torch = std::make_unique<Thing>(engine, "torch", script);
    for (int i = 0; i < 8; i++) engine.frame(0.1);
    lamp.reset(); // in the middle of its script
    while (engine.frame(0.1)) continue;
  } catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
