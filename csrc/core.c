/*
** core.c - opening the core: one scheduler for each main lua_State, and every
** room's functions in one table.
*/

#include "neap.h"

#include "abort.h"
#include "args.h"
#include "clock.h"
#include "dump.h"
#include "error.h"
#include "life.h"
#include "rooms.h"
#include "run.h"
#include "task.h"
#include "ticket.h"
#include "traceback.h"

/*
** Below 5.4.4 clean-up cannot suspend and coroutines cannot be used again. A
** release is known by its headers only: at run time every 5.4 is "Lua 5.4".
*/
#if LUA_VERSION_NUM != 504 || LUA_VERSION_RELEASE_NUM < 50404
#error "neap needs Lua 5.4.4 or a later 5.4"
#endif


int luaopen_neap_core (lua_State *L) {
  luaL_checkversion(L);
  lua_newtable(L);
  sched_open(L);
  task_openlib(L);
  error_openlib(L);
  traceback_openlib(L);
  scope_openlib(L);
  clock_openlib(L);
  chance_openlib(L);
  run_openlib(L);
  dump_openlib(L);
  check_openlib(L);
  trace_openlib(L);
  io_openlib(L);
  semaphore_openlib(L);
  limiter_openlib(L);
  burst_openlib(L);
  event_openlib(L);
  channel_openlib(L);
  coroutine_openlib(L);
  generator_openlib(L);
  source_openlib(L);
  stream_openlib(L);
  pool_openlib(L);
  abort_openlib(L);
  args_openlib(L);
  terminal_openlib(L);
  offload_openlib(L);
  resolve_openlib(L);
  file_openlib(L);
  wire_openlib(L);
  quick_openlib(L);
  fd_openlib(L);
  signals_openlib(L);
  process_openlib(L);
  ticket_openlib(L);
  host_openlib(L);
  lua_pop(L, 1);
  /*** neap.version -> string: this release, such as "1.2.3". */
  lua_pushliteral(L, NEAP_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
