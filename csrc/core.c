/*
** core.c - opening the core: one scheduler for each main lua_State, and every
** room's functions in one table.
*/

#include "neap.h"

#include "args.h"
#include "dump.h"
#include "error.h"
#include "loop.h"
#include "rooms.h"
#include "task.h"


/* below it, clean-up cannot suspend and coroutines cannot be used again */
#define OLDEST_RELEASE 50404


static void check_release (lua_State *L) {
  luaL_checkversion(L);
  if (LUA_VERSION_RELEASE_NUM < OLDEST_RELEASE)
    luaL_error(L, "neap needs Lua 5.4.4 or later");
}


int luaopen_neap_core (lua_State *L) {
  check_release(L);
  lua_newtable(L);
  sched_open(L);
  task_openlib(L);
  error_openlib(L);
  scope_openlib(L);
  clock_openlib(L);
  run_openlib(L);
  dump_openlib(L);
  io_openlib(L);
  semaphore_openlib(L);
  event_openlib(L);
  channel_openlib(L);
  coroutine_openlib(L);
  pool_openlib(L);
  args_openlib(L);
  lua_pop(L, 1);
  lua_pushliteral(L, NEAP_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
