/*
** sched.c - what all rooms stand on: memory, clock, park and wake, and how a room
** is opened; see sched.h.
*/

#include "sched.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

const char sched_key = 0;


Sched *sched_find (lua_State *L) {
  Sched *S;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sched_key);
  S = (Sched *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return S;
}


void *sched_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  Sched *S = (Sched *)ud;
  return S->alloc(S->alloc_ud, p, osize, nsize);
}


void *sched_new (lua_State *L, Sched *S, size_t size) {
  void *p = sched_alloc(S, NULL, 0, size);
  if (p == NULL) {
    lua_gc(L, LUA_GCCOLLECT); /* as Lua does for its own memory */
    p = sched_alloc(S, NULL, 0, size);
    if (p == NULL) luaL_error(L, "not enough memory");
  }
  memset(p, 0, size);
  return p;
}


void sched_kind (Sched *S, Wait wait, const WaitKind *kind) {
  S->kind[wait] = kind;
}


double sched_real (void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}


double sched_now (Sched *S) {
  return S->clock == TIME_REAL ? sched_real() : S->time;
}


/* ---------------------------------------------------------------------- */
/* entering a suspending function */


void sched_refuse_closed (lua_State *L) {
  luaL_error(L, "the Lua state is being closed");
}


void sched_check_host (lua_State *L, const Sched *S) {
  sched_check_open(L, S);
  if (S->ending)
    luaL_error(L, "a new task of the host's: all tasks are being ended");
}


Task *sched_refuse (lua_State *L, Sched *S, const char *fname) {
  if (S->closed)
    luaL_error(L, "'%s' cannot wait: the Lua state is being closed", fname);
  if (S->current == NULL)
    luaL_error(L,
               "'%s' must be called in a task: put the program into "
               "neap.run(function () ... end)%s",
               fname,
               strcmp(fname, "await") == 0 || strcmp(fname, "pawait") == 0
                   ? "; outside of one, :result() gives the outcome of what "
                     "has ended"
                   : "");
  if (S->co == NULL)
    luaL_error(L, "'%s' cannot wait: its task is being ended by force", fname);
  if (S->co != L && lua_isyieldable(L))
    luaL_error(L,
               "'%s' cannot wait inside a plain coroutine: use "
               "neap.coroutine instead of coroutine to make it, or "
               "neap.generator",
               fname);
  luaL_error(L,
             "'%s' cannot wait here: Lua cannot suspend in a comparator of "
             "table.sort, a callback of string.gsub, a loader called by "
             "require, a finalizer, __tostring, a hook or an abort listener; "
             "do the waiting before or after it",
             fname);
  return NULL;
}


/* ---------------------------------------------------------------------- */
/* park and wake */


void sched_put_off (Sched *S, Task *t, Wait wait, double due) {
  invariant(t->flags & T_FRESH);
  if (due > sched_now(S)) {
    if (t->status == TASK_WAITING)
      timer_clear(&S->heap, &t->timer);
    else /* only of the first in line it matters which line that is */
      line_leave(S->now.first == &t->link ? &S->now : &S->next, &t->link);
    sched_wait(S, t, wait, NULL, due);
  }
  else if (t->status == TASK_WAITING)
    sched_wake(S, t, WHY_TIME);
  t->wait = (uint8_t)wait;
}


void sched_left (Sched *S, Task *t, Line *line) {
  const WaitKind *kind = S->kind[t->wait];
  if (kind != NULL && kind->leave != NULL) kind->leave(S, t, line);
}


void sched_wake_with (Sched *S, Task *t, lua_State *L) {
  /* a waiting C function has room for a few values more */
  lua_xmove(L, task_co(t), 1);
  t->flags |= T_ARG;
  sched_wake(S, t, WHY_DONE);
}


/* ---------------------------------------------------------------------- */
/* what Lua sees of a room */


void sched_funcs (lua_State *L, const luaL_Reg *funcs) {
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, funcs, 1);
  lua_pop(L, 1);
}


void sched_internals (lua_State *L, const luaL_Reg *funcs) {
  luaL_getsubtable(L, -2, "internal");
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, funcs, 1);
  lua_pop(L, 1);
}


/* add functions to the table on top */
static void set_methods (lua_State *L, int meta, const luaL_Reg *funcs) {
  lua_pushvalue(L, meta - 1); /* the scheduler */
  lua_pushvalue(L, meta);
  luaL_setfuncs(L, funcs, 2);
}


/* push the metatable of a class, if need be a new one. It has more room than is
   needed, so that nothing in it is ever moved: what is put there first stays
   where Lua looks first. */
static void push_class (lua_State *L, const char *name) {
  if (luaL_getmetatable(L, name) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 16);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, name);
}


/* objects have no fields to set, but for those whose class says which */
static int no_field (lua_State *L) {
  lua_settop(L, 2);
  return luaL_error(L, "field '%s' of a %s cannot be set",
                    luaL_tolstring(L, 2, NULL),
                    lua_tostring(L, lua_upvalueindex(1)));
}


void sched_class (lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *meta) {
  int top;
  push_class(L, name);
  top = lua_gettop(L);
  if (lua_getfield(L, top, "methods") == LUA_TNIL) { /* not made before */
    lua_pushvalue(L, top);
    if (meta != NULL) set_methods(L, top, meta);
    lua_pop(L, 1);
    lua_newtable(L);
    set_methods(L, top, methods);
    if (lua_getfield(L, top, "__index") != LUA_TFUNCTION) {
      lua_pushvalue(L, -2);
      lua_setfield(L, top, "__index");
    }
    if (lua_getfield(L, top, "__newindex") == LUA_TNIL) {
      lua_pushstring(L, name);
      lua_pushcclosure(L, no_field, 1);
      lua_setfield(L, top, "__newindex");
    }
    lua_pop(L, 2);
    lua_pushstring(L, name);
    lua_setfield(L, top, "__name");
    lua_setfield(L, top, "methods"); /* last: from now on it is whole */
  }
  lua_settop(L, top);
}


void sched_index (lua_State *L, lua_CFunction index) {
  int meta = lua_gettop(L);
  lua_pushvalue(L, meta - 1); /* the scheduler */
  lua_pushvalue(L, meta);
  lua_getfield(L, meta, "methods");
  lua_pushcclosure(L, index, 3);
  lua_setfield(L, meta, "__index");
}


void *sched_object (lua_State *L, int idx) {
  void *p = lua_touserdata(L, idx);
  int same;
  if (p == NULL || !lua_getmetatable(L, idx)) return NULL;
  same = lua_rawequal(L, -1, lua_upvalueindex(2));
  lua_pop(L, 1);
  return same ? p : NULL;
}
