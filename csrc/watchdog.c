/*
** watchdog.c - a task that runs for too long without waiting gets an error.
**
** While there is a watchdog every coroutine has a hook that is called every so
** many instructions, and looks at the clock.
*/

#include "watchdog.h"

#include "record.h"


/* the count hook of every coroutine while there is a watchdog */
static void on_count (lua_State *L, lua_Debug *ar) {
  Sched *S = sched_find(L);
  (void)ar;
  if (!(S->watchdog > 0)) { /* no longer wanted */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (S->current == NULL || sched_real() - S->began <= S->watchdog) return;
  task_pushname(L, S->current);
  luaL_error(L, "%s has run for more than %f seconds without waiting",
             lua_tostring(L, -1), S->watchdog);
}


void watchdog_guard (lua_State *co) {
  lua_Hook hook = lua_gethook(co);
  if (hook != NULL && hook != on_count) return; /* somebody else's */
  lua_sethook(co, on_count, LUA_MASKCOUNT, 10000);
}
