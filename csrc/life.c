/*
** life.c - how the scheduler of a Lua state begins, and ends with it.
*/

#include "life.h"

#include <string.h>
#include <unistd.h>

#include "chance.h"
#include "leftover.h"
#include "loop.h"
#include "offload.h"
#include "post.h"
#include "rounds.h"
#include "signals.h"
#include "strand.h"
#include "task.h"


void sched_end_all (lua_State *L, Sched *S) {
  Scope *const tops[] = { S->roots, S->host, S->background };
  lua_State *from = S->from;
  int i, vain = 0, ending = S->ending;
  luaL_checkstack(L, 40, NULL);
  S->from = L;
  S->ending = 1;
  S->current = NULL;
  for (i = 0; i < 3; i++) scope_cancel(L, tops[i], CANCEL_QUIET, 0);
  while (S->live > 0 && vain < SCHED_VAIN) {
    uint32_t live = S->live;
    sched_blind_round(S, L);
    if (!sched_busy(S))
      for (i = 0; i < 3; i++) scope_pierce(tops[i]);
    if (!sched_busy(S)) break;
    vain = S->live < live ? 0 : vain + 1;
  }
  for (i = 0; i < 3; i++) {
    task_kill_below(L, tops[i]);
    scope_renew(L, tops[i]);
  }
  S->from = from;
  S->ending = ending;
}


static int sched_gc (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  if (S->closed || S->main == NULL) return 0;
  S->closed = 1;
  if (S->background != NULL) sched_end_all(L, S); /* the last to be made */
  generator_kill_all(L, S);
  if (S->trace != NULL) S->tracer->finish(S);
  offload_close(S);
  post_close(S);
  loop_free(S);
  signals_close(S);
  while (S->free_scopes != NULL) {
    Scope *s = S->free_scopes;
    S->free_scopes = s->stacked;
    sched_alloc(S, s, sizeof(Scope), 0);
  }
  strand_free_spares(S);
  chance_free(S);
  task_free_all(S);
  if (S->host != NULL) sched_alloc(S, S->host, sizeof(Scope), 0);
  if (S->roots != NULL) sched_alloc(S, S->roots, sizeof(Scope), 0);
  if (S->background != NULL) sched_alloc(S, S->background, sizeof(Scope), 0);
  S->host = S->roots = S->background = NULL;
  heap_free(&S->heap, sched_alloc, S);
  return 0;
}


static int new_table (lua_State *L, const char *mode) {
  lua_newtable(L);
  if (mode != NULL) {
    lua_newtable(L);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}


static int new_place (lua_State *L) {
  lua_pushboolean(L, 0);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}


Sched *sched_open (lua_State *L) {
  Sched *S;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sched_key);
  S = (Sched *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (S != NULL) { /* opened before in this state */
    lua_pushlightuserdata(L, S);
    return S;
  }
  S = (Sched *)lua_newuserdatauv(L, sizeof(Sched), 0);
  memset(S, 0, sizeof(Sched)); /* 'main' is NULL: not yet whole */
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, sched_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  S->alloc = lua_getallocf(L, &S->alloc_ud);
  S->anchors = new_table(L, NULL);
  S->idle = new_table(L, NULL);
  S->reasons = new_table(L, NULL);
  S->names = new_table(L, "k");
  S->traces = new_table(L, "k");
  S->given = new_table(L, "k");
  S->functions = new_table(L, "k");
  S->hooks = new_table(L, NULL);
  S->watchers = new_table(L, NULL);
  S->tickets = new_table(L, NULL);
  S->max_live = UINT32_MAX;
  S->dying_handle = new_place(L);
  S->last_error = new_place(L);
  S->last_trace = new_place(L);
  S->patience = S->patience_max = 1;
  S->pid = (int)getpid();
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  S->main = lua_tothread(L, -1);
  lua_pop(L, 1);
  S->birth = S->looked = S->stepped = sched_now(S);
  S->host = scope_toplevel(L, S);
  S->roots = scope_toplevel(L, S);
  S->background = scope_toplevel(L, S);
  S->outside.scope = S->host;
  S->outside.status = TASK_RUNNING;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sched_key);
  lua_pushlightuserdata(L, S);
  return S;
}
