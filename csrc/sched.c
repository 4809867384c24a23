/*
** sched.c - the ready line, park and wake; see sched.h.
**
** Rounds: what becomes ready during a round runs in the next one, and the
** outside world is looked at between rounds. So two tasks that wake each
** other can hide neither timers nor files, and everybody who was ready has
** run before anybody runs twice.
*/

#include "sched.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abort.h"
#include "chance.h"
#include "error.h"
#include "generator.h"
#include "loop.h"
#include "offload.h"
#include "post.h"
#include "signals.h"
#include "strand.h"
#include "task.h"
#include "trace.h"

/* operations that need not wait, in a row, before others are let run */
#define FUEL 256

/* steps between two looks at the world, at most */
#define PATIENCE 64

/* seconds of waiting that are time enough to write a part of a trace */
#define IDLE 0.01

static const char sched_key = 0; /* its address is the key in the registry */


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
  return S->clock == CLOCK_REAL ? sched_real() : S->time;
}


/* ---------------------------------------------------------------------- */
/* entering a suspending function */


void sched_check_open (lua_State *L, const Sched *S) {
  if (S->closed) luaL_error(L, "the Lua state is being closed");
}


Task *sched_refuse (lua_State *L, Sched *S, const char *fname) {
  if (S->closed)
    luaL_error(L, "'%s' cannot wait: the Lua state is being closed", fname);
  if (S->current == NULL)
    luaL_error(L,
               "'%s' must be called in a task: put the program into "
               "neap.run(function () ... end)",
               fname);
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


static int run_again (lua_State *L, int status, lua_KContext self) {
  (void)status;
  return ((lua_CFunction)self)(L);
}


static int raise_now (lua_State *L, int status, lua_KContext t) {
  (void)status;
  return cause_raise(L, (Task *)t);
}


int sched_raise_later (lua_State *L, Task *t) {
  sched_pass(t->scope->S, t);
  return lua_yieldk(L, 0, (lua_KContext)t, raise_now);
}


int sched_detour (lua_State *L, Sched *S, Task *t, lua_CFunction self) {
  if (task_cancelled(t)) return sched_raise_later(L, t);
  S->patience = 0; /* it ran for long: deadlines may have passed */
  sched_pass(S, t);
  return lua_yieldk(L, 0, (lua_KContext)self, run_again);
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
/* running */


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


void sched_guard (lua_State *co) {
  lua_Hook hook = lua_gethook(co);
  if (hook != NULL && hook != on_count) return; /* somebody else's */
  lua_sethook(co, on_count, LUA_MASKCOUNT, 10000);
}


/* the task is about to run for a step that is looked at */
static void attend (Sched *S, Task *t) {
  if (S->watchdog > 0) {
    S->began = sched_real();
    sched_guard(task_co(t));
  }
  if (S->trace != NULL) trace_enters(t);
}


/* run the task until it waits or ends */
static void step (Sched *S, lua_State *L, Task *t) {
  lua_State *outside = S->co; /* that 'run' was called in */
  lua_State *co = task_co(t);
  int nargs = 0, n = 0, status;
  if (t->flags & (T_FRESH | T_ARG)) {
    nargs = t->flags & T_FRESH ? lua_gettop(co) - 1 : 1;
    t->flags = (uint8_t)(t->flags & ~(T_FRESH | T_ARG));
  }
  t->status = TASK_RUNNING;
  t->line = NULL;
  S->current = t;
  S->co = co;
  S->depth = 0;
  S->fuel = FUEL;
  S->steps++;
  if (S->attended) attend(S, t);
  status = lua_resume(co, L, nargs, &n);
  status = strand_settle(L, S, t, NULL, status, &n);
  S->current = NULL;
  S->co = outside;
  if (S->trace != NULL) trace_leaves(L, t);
  if (status >= 0) task_ended(L, t, status);
}


/*
** Look at the world every so many steps: often enough that a deadline is not
** late by much, seldom enough that reading the clock costs little. The
** number adapts to how long a step takes.
*/
static void look_around (Sched *S, lua_State *L) {
  double before;
  if (S->heap.n == 0 && S->external == 0 && S->loop == NULL) {
    S->patience = PATIENCE;
    return;
  }
  before = S->looked;
  sched_look(S, L, 0);
  if (S->clock == CLOCK_REAL) {
    double took = S->looked - before;
    if (took > 100e-6 && S->patience_max > 1)
      S->patience_max /= 2;
    else if (took < 20e-6 && S->patience_max < PATIENCE)
      S->patience_max *= 2;
  }
  S->patience = S->patience_max;
}


/* one round without a look at the world, or go on until there must be one */
static int run_ready (Sched *S, lua_State *L, double until, int on) {
  do {
    if (S->now.first == NULL) {
      S->now = S->next;
      S->next.first = NULL;
      if (S->chance != NULL) chance_shuffle(S, &S->now);
    }
    while (S->now.first != NULL) {
      Task *t = owner_of(S->now.first, Task, link);
      line_leave(&S->now, &t->link);
      step(S, L, t);
      S->patience--;
      if (until < NEVER && S->now.first != NULL && sched_real() >= until)
        return 0;
    }
  } while (--S->patience > 0 && on && S->next.first != NULL);
  return 1;
}


int sched_round (Sched *S, lua_State *L, double until) {
  if (!run_ready(S, L, until, 0)) return 0;
  if (S->patience <= 0) look_around(S, L);
  return 1;
}


void sched_rounds (Sched *S, lua_State *L) {
  run_ready(S, L, NEVER, 1);
  if (S->patience <= 0) look_around(S, L);
}


/* one of those that are due first; set before timer number 'end' */
static void fire (Sched *S, lua_State *L, uint64_t end) {
  Timer *timer = heap_first(&S->heap);
  if (S->chance != NULL)
    timer = heap_tie(&S->heap, end, chance_choose(S, heap_ties(&S->heap, end)));
  switch (timer_type(&S->heap, timer)) {
    case TIMER_TASK:
      sched_wake(S, owner_of(timer, Task, timer), WHY_TIME);
      break;
    case TIMER_SCOPE:
      timer_clear(&S->heap, timer);
      scope_expired(S, timer);
      break;
    case TIMER_ALARM: alarm_rang(S, L, timer); break;
  }
}


void sched_fire (Sched *S, lua_State *L, double until) {
  /* listeners that set one alarm after the other must not hold us for ever */
  uint64_t end = S->heap.seq;
  while (S->heap.n > 0 && heap_earliest(&S->heap) <= until &&
         heap_first_seq(&S->heap) < end)
    fire(S, L, end);
}


void sched_look (Sched *S, lua_State *L, double wait) {
  if (S->trace != NULL && wait > IDLE) trace_rests(S);
  if (S->loop != NULL || wait > 0) loop_poll(S, wait);
  if (S->poster != NULL) post_drain(L, S);
  S->looked = sched_now(S);
  sched_fire(S, L, S->looked);
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
    lua_pop(L, 1);
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


/* ---------------------------------------------------------------------- */
/* life of the scheduler */


/* the youngest task below 's' that has no tasks below itself, or NULL */
static Task *youngest (Scope *s) {
  Task *t = NULL;
  while (s->children.first != NULL) {
    t = owner_of(s->children.first->prev, Task, sib);
    s = t->scope;
    while (s->owner == t && s->children.first == NULL) s = s->parent;
    if (s->owner != t) break;
  }
  return t;
}


void task_kill_below (lua_State *L, Scope *s) {
  Sched *S = s->S;
  Task *t;
  Line ready = S->now; /* who is ready says 'next', wherever it is */
  S->now.first = NULL;
  line_append(&ready, &S->next);
  S->next = ready;
  while ((t = youngest(s)) != NULL) task_kill(L, t);
}


void sched_end_all (lua_State *L, Sched *S) {
  Scope *const tops[] = { S->roots, S->host, S->background };
  lua_State *from = S->from;
  int i, vain = 0;
  luaL_checkstack(L, 40, NULL);
  S->from = L;
  S->current = NULL;
  for (i = 0; i < 3; i++) scope_cancel(L, tops[i], CANCEL_QUIET, 0);
  while (S->live > 0 && vain < SCHED_VAIN) {
    uint32_t live = S->live;
    run_ready(S, L, NEVER, 0);
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
}


static int sched_gc (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  if (S->closed || S->main == NULL) return 0;
  S->closed = 1;
  if (S->background != NULL) sched_end_all(L, S); /* the last to be made */
  generator_kill_all(L, S);
  if (S->trace != NULL) trace_finish(S);
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
