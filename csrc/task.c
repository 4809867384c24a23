/*
** task.c - the life of tasks: how they begin, end, and leave their outcome.
**
** A body runs under a protected call at the bottom of its coroutine, so that
** its <close> variables run, and may wait, whatever happens. Coroutines are
** used again; tasks that Lua has a handle of are not, so an old handle never
** reaches a new task. Tasks without a handle keep their coroutine and are
** used again as a pair.
*/

#include "task.h"

#include <string.h>

#include "args.h"
#include "error.h"
#include "stock.h"
#include "strand.h"

/* what 'wait' says of an ended task: how many results it left */
enum { OUTCOME_NONE, OUTCOME_ONE, OUTCOME_MANY };


void task_push_raw (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  lua_rawgeti(L, -1, (lua_Integer)t->slot);
  lua_remove(L, -2);
}


void task_push (lua_State *L, Task *t) {
  task_push_raw(L, t);
  t->flags |= T_EXPOSED;
}


/* ---------------------------------------------------------------------- */
/* the body */


/*
** The body has ended, or was left by 'scope_leave'. At index 1 the task, 2 the
** message handler; values above. If it has spawned children their scope is to
** be left first; again, if a finalizer spawned more while an error was made.
*/
static int body_left (lua_State *L, int ending, int base) {
  Task *t = (Task *)lua_touserdata(L, 1);
  int failed = ending >= END_EXPIRED;
  if (t->scope->owner == t)
    return scope_leave(L, t->scope, failed, base, body_left);
  t->why = TASK_DONE; /* from here on: how it ends */
  if (!failed) return lua_gettop(L) - base;
  t->why = TASK_FAILED;
  if (task_cancelled(t) && cause_is(L, t, -1)) t->why = TASK_CANCELLED;
  return 1;
}


static int body_ended (lua_State *L, int status, lua_KContext ctx) {
  int failed = status != LUA_OK && status != LUA_YIELD;
  (void)ctx;
  return body_left(L, failed ? END_ERROR : END_VALUES, 2);
}


static int body (lua_State *L) {
  Task *t = (Task *)lua_touserdata(L, 1);
  int status;
  if (task_cancelled(t)) { /* before it began: it never does */
    lua_settop(L, 2);
    cause_push(L, t);
    return body_left(L, END_ERROR, 2);
  }
  status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, (lua_KContext)t,
                      body_ended);
  return body_ended(L, status, (lua_KContext)t);
}


/* ---------------------------------------------------------------------- */
/* beginning */


/* a task with its coroutine, anchored; may raise, then nothing has changed */
static Task *make (lua_State *L, Sched *S) {
  int top = lua_gettop(L);
  Task *t = (Task *)lua_newuserdatauv(L, sizeof(Task), 2);
  memset(t, 0, sizeof(Task));
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->task_meta);
  lua_setmetatable(L, -2);
  stock_fill(L, S); /* the last to run finalizers */
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  if (S->free_slot == 0) {
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, (lua_Integer)S->nslots + 1);
    S->free_slot = ++S->nslots;
  }
  if (!heap_reserve(&S->heap, sched_alloc, S))
    luaL_error(L, "not enough memory");
  /* nothing raises from here on */
  t->slot = S->free_slot;
  lua_rawgeti(L, -1, (lua_Integer)t->slot);
  S->free_slot = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, top + 1);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  t->at.co = stock_take(L, S);
  lua_setiuservalue(L, top + 1, USERVALUE_CO);
  lua_settop(L, top);
  return t;
}


static void unmake (lua_State *L, Task *t, lua_State *co);


Task *task_new (lua_State *L, Scope *scope, int nargs, int flags) {
  Sched *S = scope->S;
  Task *t;
  lua_State *co;
  if (S->closed) luaL_error(L, "the Lua state is being closed");
  if (S->live >= S->max_live)
    luaL_error(L, "too many tasks: the limit of %d is reached",
               (int)S->max_live);
  luaL_checkstack(L, 6, NULL);
  if (!(flags & T_EXPOSED) && S->spares.first != NULL) {
    t = owner_of(S->spares.first, Task, link);
    line_leave(&S->spares, &t->link);
    S->nspares--;
  }
  else
    t = make(L, S);
  co = t->at.co;
  t->scope = scope;
  if (!lua_checkstack(co, nargs + 6)) {
    unmake(L, t, co);
    luaL_error(L, "too many arguments");
  }
  lua_pushcfunction(co, body);
  lua_pushlightuserdata(co, t);
  lua_pushcfunction(co, error_handler);
  lua_xmove(L, co, nargs + 1);
  line_join(&scope->children, &t->sib);
  t->flags = (uint8_t)(T_FRESH | flags);
  t->status = TASK_READY;
  t->wait = WAIT_NOTHING;
  t->line = &S->next;
  line_join(&S->next, &t->link);
  S->live++;
  return t;
}


/* ---------------------------------------------------------------------- */
/* ending */


static void free_slot (lua_State *L, Sched *S, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  lua_pushinteger(L, (lua_Integer)S->free_slot);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  lua_pop(L, 1);
  S->free_slot = t->slot;
  t->slot = 0;
}


/* nobody needs the task any more: neither children's lines nor waiters */
static void unmake (lua_State *L, Task *t, lua_State *co) {
  Sched *S = t->scope->S;
  if (t->flags & T_EXPOSED) {
    if (co != NULL) stock_give(L, S, co);
    heap_unreserve(&S->heap, sched_alloc, S);
    free_slot(L, S, t);
    t->scope = NULL;
  }
  else {
    t->flags = 0;
    line_join(&S->spares, &t->link);
    S->nspares++;
  }
}


void task_observe (lua_State *L, Task *t) {
  if (t->flags & T_OBSERVED && t->sib.next == NULL && t->slot == 0) return;
  t->flags |= T_OBSERVED;
  if (t->scope == NULL) return;
  if (t->sib.next != NULL) {
    if (!(t->flags & T_ASYNC)) return; /* its scope will raise it */
    line_leave(&t->scope->zombies, &t->sib);
  }
  free_slot(L, t->scope->S, t);
  t->scope = NULL;
}


/*
** Keep the outcome: 'n' values on top of 'from', which is the coroutine or,
** with at most one value, L. Nothing here allocates: one value goes into the
** task, several stay where they are and keep the coroutine. Returns the
** coroutine if it is free now.
*/
static lua_State *keep (lua_State *L, Task *t, lua_State *co, lua_State *from,
                        int n) {
  Sched *S = t->scope->S;
  t->wait = n == 0 ? OUTCOME_NONE : OUTCOME_ONE;
  if (n == 1 && from != L) lua_xmove(from, L, 1);
  task_push_raw(L, t);
  if (n == 1)
    lua_insert(L, -2);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, -2, USERVALUE_VALUE);
  if (n > 1 && t->flags & T_EXPOSED) {
    t->wait = OUTCOME_MANY;
    t->flags |= T_CORPSE;
    t->at.co = co;
    stock_lose(S);
    co = NULL;
  }
  else if (t->flags & T_EXPOSED) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, USERVALUE_CO);
  }
  lua_pop(L, 1);
  return co;
}


void task_watch (lua_State *L, Sched *S, int idx) {
  Task *t = (Task *)lua_touserdata(L, idx);
  idx = lua_absindex(L, idx);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->watchers);
  lua_pushvalue(L, idx);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  S->nwatchers++;
  t->flags |= T_OBSERVED;
}


/* push what is to be called when the task ends, and the task; or nothing */
static int push_watcher (lua_State *L, Sched *S, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->watchers);
  task_push_raw(L, t);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    lua_pop(L, 3);
    return 0;
  }
  lua_pushvalue(L, -2);
  lua_pushnil(L);
  lua_rawset(L, -5);
  lua_insert(L, -2);
  lua_remove(L, -3);
  S->nwatchers--;
  return 1;
}


/* let go of what it was given to keep */
static void forget_value (lua_State *L, Task *t) {
  task_push_raw(L, t);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, USERVALUE_VALUE);
  lua_pop(L, 1);
}


static void finish (lua_State *L, Task *t, lua_State *co, lua_State *from,
                    int n, Status how) {
  Sched *S = t->scope->S;
  int is_watched;
  t->status = (uint8_t)how;
  S->live--;
  if (how == TASK_FAILED) t->flags |= T_EXPOSED; /* it may be told of */
  if (!(t->flags & T_EXPOSED)) { /* nobody can ask for its outcome */
    lua_settop(co, 0);
    if (from == L) lua_pop(L, n);
    forget_value(L, t);
    scope_child_ended(L, t);
    unmake(L, t, co);
    return;
  }
  if (t->awaiters.first != NULL) t->flags |= T_OBSERVED;
  co = keep(L, t, co, from, n);
  is_watched = S->nwatchers > 0 && push_watcher(L, S, t);
  sched_wake_all(S, &t->awaiters, WHY_DONE);
  if (co != NULL) stock_give(L, S, co);
  heap_unreserve(&S->heap, sched_alloc, S);
  scope_child_ended(L, t);
  if (t->slot != 0 && t->sib.next == NULL) { /* no error to tell */
    free_slot(L, S, t);
    t->scope = NULL;
  }
  if (is_watched && lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pushnil(L);
    error_hook(L, S, "on_unhandled");
  }
}


/*
** End the coroutines of the task by force, its nested ones too: their <close>
** variables run, and belong to the task, but no coroutine is known to be the
** running one, so they cannot wait.
*/
static void reset (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  Task *current = S->current;
  lua_State *co = S->co;
  t->status = TASK_RUNNING;
  scope_detach(t, NULL);
  S->current = t;
  strand_kill_all(L, S, t);
  S->co = NULL;
  lua_resetthread(t->at.co);
  S->current = current;
  S->co = co;
}


/* the task's coroutine was ended by force; its error is above 'base'. The task
   goes on as long as that of leaving its scopes takes. */
static int buried (lua_State *L, int ending, int base) {
  Task *t = (Task *)lua_touserdata(L, 1);
  (void)ending;
  if (t->scope->owner == t) return scope_leave(L, t->scope, 1, base, buried);
  return body_left(L, END_ERROR, base);
}


static int bury (lua_State *L) {
  return buried(L, END_ERROR, 2);
}


/* end the task, whose error is on top of L */
static void force (lua_State *L, Task *t) {
  lua_State *co = t->at.co;
  reset(L, t);
  lua_settop(co, 0);
  if (t->scope->owner != t) {
    finish(L, t, co, L, 1, TASK_FAILED);
    return;
  }
  lua_pushcfunction(co, bury);
  lua_pushlightuserdata(co, t);
  lua_pushnil(co);
  lua_xmove(L, co, 1);
  t->flags |= T_FRESH;
  sched_pass(t->scope->S, t);
}


static int yielded_error (lua_State *L) {
  lua_pushliteral(L,
                  "coroutine.yield outside of a generator: a task lets others "
                  "run by neap.checkpoint()");
  return 1;
}


void task_ended (lua_State *L, Task *t, lua_State *co, int status, int n) {
  if (status == LUA_OK)
    finish(L, t, co, co, n, (Status)t->why);
  else if (status == LUA_YIELD) {
    lua_pushcfunction(L, yielded_error);
    lua_pcall(L, 0, 1, 0);
    force(L, t);
  }
  else { /* out of memory outside of the protected call */
    lua_xmove(co, L, 1);
    force(L, t);
  }
}


static int killed_error (lua_State *L) {
  error_new(L, "AbortError", "killed");
  return 1;
}


void task_kill (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  if (t->line != NULL) line_leave(t->line, &t->link);
  timer_clear(&S->heap, &t->timer);
  if (t->status == TASK_WAITING && S->kind[t->wait] != NULL &&
      S->kind[t->wait]->leave != NULL)
    S->kind[t->wait]->leave(S, t, t->line);
  t->line = NULL;
  reset(L, t);
  while (t->scope->owner == t) {
    task_kill_below(L, t->scope); /* what has been spawned just now */
    scope_abandon(L, t->scope);
  }
  lua_pushcfunction(L, killed_error);
  lua_pcall(L, 0, 1, 0);
  finish(L, t, t->at.co, L, 1, TASK_CANCELLED);
}


void task_trim (lua_State *L, Sched *S, uint32_t keep) {
  while (S->nspares > keep) {
    Task *t = owner_of(S->spares.first, Task, link);
    line_leave(&S->spares, &t->link);
    S->nspares--;
    heap_unreserve(&S->heap, sched_alloc, S);
    free_slot(L, S, t);
    stock_lose(S);
  }
}


int task_outcome (lua_State *L, int idx, Task *t) {
  idx = lua_absindex(L, idx);
  if (t->flags & T_CORPSE) {
    lua_State *co = t->at.co;
    int i, n = lua_gettop(co);
    luaL_checkstack(L, n + 2, "too many results");
    for (i = 1; i <= n; i++) {
      lua_pushvalue(co, i); /* room for one is always there */
      lua_xmove(co, L, 1);
    }
    return n;
  }
  if (t->wait == OUTCOME_NONE) return 0;
  lua_getiuservalue(L, idx, USERVALUE_VALUE);
  return 1;
}
