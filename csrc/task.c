/*
** task.c - the life of tasks: how they begin, end, and leave their outcome.
**
** A body runs under a protected call at the bottom of its coroutine, so that
** its <close> variables run, and may wait, whatever happens.
**
** Record and coroutine of a task are a pair that is used again. What Lua gets
** is a small handle, which takes over the outcome when the task ends, and then
** knows the record no more. While the task lives, its handle lies at the bottom
** of its coroutine, so that nothing else need keep it, and
** ends as the first of the values that the coroutine leaves.
**
** Invariants: 'tasks' has every record at its slot, and the table 'anchors'
** its coroutine there. A record is that of a live task, of a failed one in a
** scope's line of errors, or spare.
*/

#include "task.h"

#include <string.h>

#include "args.h"
#include "error.h"
#include "strand.h"
#include "trace.h"

/* what the handle of an ended task keeps: a value, or a coroutine with several */
enum { KEPT_ONE = 1, KEPT_MANY };

/* what a body finds on its stack: the message handler, the task's handle, the
   function and its arguments; what it leaves begins where the function was */
enum { AT_HANDLER = 1, AT_HANDLE, AT_FUNCTION };


static lua_State *base_of (const Task *t) {
  const Strand *x;
  if (!(t->flags & T_NESTED)) return t->at.co;
  for (x = t->at.strand; x->outer != NULL;) x = x->outer;
  return x->outer_co;
}


const char task_mark = 0;

#define task_at(L) (((Handle *)lua_touserdata(L, AT_HANDLE))->task)


/* find the function at the bottom of a coroutine; 0 if it has not begun */
static int find_bottom (lua_State *co, lua_Debug *ar) {
  int low = 0, high = 1;
  if (!lua_getstack(co, 0, ar)) return 0;
  while (lua_getstack(co, high, ar)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (lua_getstack(co, middle, ar))
      low = middle;
    else
      high = middle;
  }
  return lua_getstack(co, low, ar);
}


void task_push (lua_State *L, Task *t) {
  lua_State *co = base_of(t);
  lua_Debug ar;
  if (t == t->scope->S->dying) { /* its coroutine is being unwound */
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->scope->S->dying_handle);
    return;
  }
  if (!lua_checkstack(co, 1)) luaL_error(L, "not enough memory");
  if (t->status >= TASK_DONE)
    lua_pushvalue(co, AT_HANDLE);
  else if (!find_bottom(co, &ar))
    lua_pushvalue(co, 1 + AT_HANDLE); /* above the function */
  else
    lua_getlocal(co, &ar, AT_HANDLE);
  lua_xmove(co, L, 1);
}


void task_push_error (lua_State *L, Task *t) {
  lua_getiuservalue(t->at.co, AT_HANDLE, HANDLE_VALUE);
  lua_xmove(t->at.co, L, 1);
}


/* ---------------------------------------------------------------------- */
/* the body */


static int body_left (lua_State *L, int ending, int base);


/* is the error on top what cancels the task? At its bottom its own reason is
   at hand, and nearly always the answer */
static int is_cause (lua_State *L, Task *t) {
  int same = 0;
  if (t->flags & T_CANCEL) {
    lua_getiuservalue(L, AT_HANDLE, HANDLE_VALUE);
    same = lua_istable(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  return same || cause_is(L, t, -1);
}


/*
** The body has ended, or was left by 'scope_leave', with its values above
** 'base'. If it has spawned children their scope is to be left first; again,
** if a finalizer spawned more while an error was made. All that is on the stack
** is left to 'finish'.
*/
static int left (lua_State *L, Task *t, int failed, int base) {
  int n;
  if (t->scope->owner == t)
    return scope_leave(L, t->scope, failed, base, body_left);
  t->why = TASK_DONE; /* from here on: how it ends */
  if (failed) {
    t->why = task_cancelled(t) && is_cause(L, t) ? TASK_CANCELLED : TASK_FAILED;
    lua_copy(L, -1, AT_FUNCTION);
    lua_settop(L, AT_FUNCTION);
  }
  n = lua_gettop(L);
  /* without results, and nobody to be told, not even the handle is needed */
  if (n < AT_FUNCTION && !(t->flags & T_CANCEL) && t->scope->S->nwatchers == 0)
    return 0;
  return n;
}


static int body_left (lua_State *L, int ending, int base) {
  return left(L, task_at(L), ending >= END_EXPIRED, base);
}


static int body_ended (lua_State *L, int status, lua_KContext t) {
  int failed = has_failed(status);
  return left(L, (Task *)t, failed, AT_FUNCTION - 1);
}


static int body (lua_State *L) {
  Task *t = task_at(L);
  int status;
  if (task_cancelled(t) && !(t->flags & T_OWNER)) { /* it never begins */
    lua_settop(L, AT_FUNCTION - 1);
    cause_push(L, t);
    return left(L, t, 1, AT_FUNCTION - 1);
  }
  status = lua_pcallk(L, lua_gettop(L) - AT_FUNCTION, LUA_MULTRET, AT_HANDLER,
                      (lua_KContext)t, body_ended);
  return body_ended(L, status, (lua_KContext)t);
}


/* ---------------------------------------------------------------------- */
/* beginning */


/* see to it that there is a free slot for a record and its coroutine */
static void reserve_slot (lua_State *L, Sched *S) {
  if (S->free_slot != 0) return;
  if (S->nslots + 1 >= S->tasks_size) {
    uint32_t size = S->tasks_size == 0 ? 16 : 2 * S->tasks_size;
    Task **p = (Task **)sched_alloc(S, S->tasks, S->tasks_size * sizeof(*p),
                                    size * sizeof(*p));
    if (p == NULL) luaL_error(L, "not enough memory");
    S->tasks = p;
    S->tasks_size = size;
  }
  lua_pushinteger(L, 0);
  lua_rawseti(L, -2, (lua_Integer)S->nslots + 1);
  S->free_slot = ++S->nslots;
  S->tasks[S->free_slot] = NULL;
}


/* a record with its coroutine; may raise, then nothing has changed */
static Task *make (lua_State *L, Sched *S) {
  Task *t;
  lua_State *co = lua_newthread(L); /* the last to run finalizers */
  lua_sethook(co, NULL, 0, 0);      /* not that of whoever made it */
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  reserve_slot(L, S);
  if (!heap_reserve(&S->heap, sched_alloc, S))
    luaL_error(L, "not enough memory");
  t = (Task *)sched_alloc(S, NULL, 0, sizeof(Task));
  if (t == NULL) {
    heap_unreserve(&S->heap, sched_alloc, S);
    luaL_error(L, "not enough memory");
  }
  memset(t, 0, sizeof(Task));
  t->at.co = co;
  t->slot = S->free_slot;
  S->tasks[t->slot] = t;
  lua_rawgeti(L, -1, (lua_Integer)t->slot);
  S->free_slot = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  lua_pop(L, 1);
  return t;
}


/* the record goes, and its coroutine to the collector */
static void unmake (lua_State *L, Sched *S, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  lua_pushinteger(L, (lua_Integer)S->free_slot);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  lua_pop(L, 1);
  S->free_slot = t->slot;
  S->tasks[t->slot] = NULL;
  heap_unreserve(&S->heap, sched_alloc, S);
  sched_alloc(S, t, sizeof(Task), 0);
}


/* a spare record; the one used last, for it is in the processor's cache */
static Task *take_spare (Sched *S) {
  Task *t = owner_of(S->spares, Task, link);
  S->spares = t->link.next;
  S->nspares--;
  return t;
}


static void put_spare (Sched *S, Task *t) {
  t->link.next = S->spares;
  S->spares = &t->link;
  S->nspares++;
}


Task *task_find (Sched *S, uint32_t slot, uint32_t id) {
  Task *t = slot == 0 ? NULL : S->tasks[slot];
  return t != NULL && t->id == id ? t : NULL;
}


/* enough for a few arguments is always there */
static void check_room (lua_State *L, lua_State *co, int n) {
  if (n <= LUA_MINSTACK / 2) return;
  luaL_checkstack(L, n, "too many arguments");
  if (!lua_checkstack(co, n)) luaL_error(L, "too many arguments");
}


static inline Task *new_task (lua_State *L, Scope *scope, int first, int flags,
                              size_t size, int nvalues) {
  Sched *S = scope->S;
  int i, last = lua_gettop(L);
  Handle *h;
  Task *t;
  lua_State *co;
  sched_check_open(L, S);
  if (S->live >= S->max_live)
    luaL_error(L, "too many tasks: the limit of %d is reached",
               (int)S->max_live);
  h = (Handle *)lua_newuserdatauv(L, size, nvalues);
  memset(h, 0, size);
  h->object.mark = &task_mark;
  h->object.S = S;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->task_meta);
  lua_setmetatable(L, -2);
  if (S->spares == NULL) put_spare(S, make(L, S));
  co = owner_of(S->spares, Task, link)->at.co;
  check_room(L, co, last - first + 6);
  /* nothing raises from here on */
  t = take_spare(S);
  lua_pushcfunction(co, body);
  lua_pushcfunction(co, error_handler);
  lua_pushvalue(L, last + 1);
  for (i = first; i <= last; i++) lua_pushvalue(L, i);
  lua_xmove(L, co, last - first + 2);
  h->task = t;
  t->handle = h;
  t->scope = scope;
  line_join(&scope->children, &t->sib);
  t->id = ++S->last_id;
  t->flags = (uint8_t)(T_FRESH | flags);
  t->status = TASK_READY;
  t->wait = WAIT_NOTHING;
  t->line = &S->next;
  line_join(&S->next, &t->link);
  S->live++;
  if (S->trace != NULL) trace_spawned(L, t, first);
  return t;
}


Task *task_new (lua_State *L, Scope *scope, int first, int flags) {
  return new_task(L, scope, first, flags, sizeof(Handle), HANDLE_VALUE);
}


Task *task_new_sized (lua_State *L, Scope *scope, int first, int flags,
                      size_t size, int nvalues) {
  return new_task(L, scope, first, flags, size, nvalues);
}


void task_recall (lua_State *L, Task *t, int first) {
  lua_State *co = t->at.co;
  int n = lua_gettop(L) - first + 1;
  invariant(t->flags & T_FRESH);
  check_room(L, co, n);
  lua_settop(co, 1 + AT_HANDLE); /* above the body */
  lua_xmove(L, co, n);
}


/* ---------------------------------------------------------------------- */
/* ending */


/* from now on the handle speaks for itself */
static void part (Task *t) {
  Handle *h = t->handle;
  h->status = t->status;
  h->task = NULL;
  t->handle = NULL;
  if (h->told) ((Told *)h)->ended((Told *)h);
}


/* nobody needs the record any more: neither lines nor waiters; nothing is on
   its coroutine */
static void release (Task *t) {
  part(t);
  t->id = 0; /* that number is no longer found */
  put_spare(t->scope->S, t);
}


void task_let_go (Task *t) {
  invariant(t->status >= TASK_DONE && t->sib.next == NULL);
  lua_settop(t->at.co, 0);
  release(t);
}


void task_observe (Handle *h) {
  Task *t = h->task;
  if (t == NULL) return;
  t->flags |= T_OBSERVED;
  if (t->status < TASK_DONE || !(t->flags & T_ASYNC)) return;
  line_leave(&t->scope->zombies, &t->sib); /* else its scope would raise it */
  lua_settop(t->at.co, 0);
  release(t);
}


/*
** Keep the outcome of the task, whose 'n' values are on top of its coroutine.
** Nothing here allocates: one value goes into the handle, several stay where
** they are, and the handle gets the coroutine. Returns 0 then: the pair
** is to be parted.
*/
static int keep (Task *t, int n) {
  lua_State *co = t->at.co;
  Handle *h = t->handle;
  if (n == 0 && !(t->flags & T_CANCEL)) return 1;
  if (n > 0) h->kept = KEPT_ONE;
  if (n == 0) lua_pushnil(co); /* in place of the reason */
  if (n > 1) {
    h->kept = KEPT_MANY;
    lua_pushthread(co);
  }
  lua_setiuservalue(co, AT_HANDLE, HANDLE_VALUE);
  return n <= 1;
}


void task_watch (lua_State *L, Sched *S, int idx) {
  Handle *h = (Handle *)lua_touserdata(L, idx);
  idx = lua_absindex(L, idx);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->watchers);
  lua_pushvalue(L, idx);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  S->nwatchers++;
  h->task->flags |= T_OBSERVED;
}


/* push what is to be called when the task ends, and its handle; or nothing */
static int push_watcher (lua_State *L, Sched *S, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->watchers);
  task_push(L, t);
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


/* the task has ended; on its coroutine is what 'body' leaves. If that is
   nothing, its handle lives only as long as nothing is allocated. */
static void finish (lua_State *L, Task *t, Status how) {
  Sched *S = t->scope->S;
  int is_watched, is_whole, n = lua_gettop(t->at.co);
  t->status = (uint8_t)how;
  if (S->trace != NULL) trace_ended(t);
  S->live--;
  if (t->awaiters.first != NULL) {
    t->flags |= T_OBSERVED;
    sched_wake_all(S, &t->awaiters, WHY_DONE);
  }
  is_whole = n == 0 || keep(t, n - AT_FUNCTION + 1);
  is_watched = S->nwatchers > 0 && push_watcher(L, S, t);
  if (!is_whole) { /* the handle has the coroutine */
    scope_child_ended(L, t);
    part(t);
    lua_pushnil(t->at.co);
    lua_replace(t->at.co, AT_HANDLE);
    unmake(L, S, t);
  }
  else if (!scope_child_ended(L, t)) {
    if (n > 0) lua_settop(t->at.co, 0);
    release(t);
  }
  if (is_watched && lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pushnil(L);
    error_hook(L, S, "on_unhandled");
  }
}


/*
** End the coroutines of the task by force, its nested ones too: their <close>
** variables run, and belong to the task, but no coroutine is known to be the
** running one, so they cannot wait. Pushes the handle, which was on it.
*/
static void reset (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  Task *current = S->current;
  lua_State *co = S->co;
  invariant(S->dying == NULL);
  task_push(L, t);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, S->dying_handle);
  S->dying = t;
  t->status = TASK_RUNNING;
  scope_detach(t, NULL);
  S->current = t;
  strand_kill_all(L, S, t);
  S->co = NULL;
  lua_resetthread(t->at.co);
  lua_settop(t->at.co, 0);
  S->dying = NULL;
  lua_pushboolean(L, 0);
  lua_rawseti(L, LUA_REGISTRYINDEX, S->dying_handle);
  S->current = current;
  S->co = co;
}


/* the task's coroutine was ended by force; its error is above 'base'. The task
   goes on as long as that of leaving its scopes takes. */
static int buried (lua_State *L, int ending, int base) {
  Task *t = task_at(L);
  (void)ending;
  if (t->scope->owner == t) return scope_leave(L, t->scope, 1, base, buried);
  return left(L, t, 1, base);
}


static int bury (lua_State *L) {
  return buried(L, END_ERROR, AT_FUNCTION - 1);
}


/* the handle is on top of L, the error below it: they go to the coroutine,
   which was reset, as a body leaves them; pops them */
static void leave_error (lua_State *L, Task *t) {
  lua_State *co = t->at.co;
  lua_pushnil(co);
  lua_insert(L, -2);
  lua_xmove(L, co, 2);
}


/* end the task, whose error is on top of L; pops it */
static void force (lua_State *L, Task *t) {
  lua_State *co = t->at.co;
  reset(L, t);
  if (t->scope->owner != t) {
    leave_error(L, t);
    finish(L, t, TASK_FAILED);
    return;
  }
  lua_pushcfunction(co, bury);
  leave_error(L, t);
  t->flags |= T_FRESH;
  sched_pass(t->scope->S, t);
}


static int yielded_error (lua_State *L) {
  lua_pushliteral(L,
                  "coroutine.yield outside of a generator: a task lets others "
                  "run by neap.checkpoint()");
  return 1;
}


void task_ended (lua_State *L, Task *t, int status) {
  if (status == LUA_OK)
    finish(L, t, (Status)t->why);
  else if (status == LUA_YIELD) {
    lua_pushcfunction(L, yielded_error);
    lua_pcall(L, 0, 1, 0);
    force(L, t);
  }
  else { /* out of memory outside of the protected call */
    lua_xmove(t->at.co, L, 1);
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
  lua_pushcfunction(L, killed_error);
  lua_pcall(L, 0, 1, 0);
  reset(L, t);
  while (t->scope->owner == t) {
    task_kill_below(L, t->scope); /* what has been spawned just now */
    scope_abandon(L, t->scope);
  }
  leave_error(L, t);
  finish(L, t, TASK_CANCELLED);
}


void task_trim (lua_State *L, Sched *S, uint32_t keep) {
  while (S->nspares > keep) unmake(L, S, take_spare(S));
}


void task_free_all (Sched *S) {
  uint32_t i;
  for (i = 1; i <= S->nslots; i++) {
    Task *t = S->tasks[i];
    if (t == NULL) continue;
    if (t->handle != NULL) part(t);
    sched_alloc(S, t, sizeof(Task), 0);
  }
  sched_alloc(S, S->tasks, S->tasks_size * sizeof(Task *), 0);
  S->tasks = NULL;
  S->nslots = S->tasks_size = 0;
}


int task_outcome_ (lua_State *L, const Handle *h, int idx) {
  lua_State *co;
  int i, n;
  lua_getiuservalue(L, idx, HANDLE_VALUE);
  if (h->kept == KEPT_ONE) return 1;
  co = lua_tothread(L, -1);
  lua_pop(L, 1); /* the handle keeps it */
  n = lua_gettop(co) - AT_FUNCTION + 1;
  luaL_checkstack(L, n + 2, "too many results");
  for (i = 1; i <= n; i++) {
    lua_pushvalue(co, AT_FUNCTION - 1 + i); /* room for one is always there */
    lua_xmove(co, L, 1);
  }
  return n;
}
