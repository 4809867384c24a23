/*
** task.c - the life of tasks: how they begin, end, and leave their outcome.
**
** A body runs under a protected call at the bottom of its coroutine, so that
** its <close> variables run, and may wait, whatever happens.
**
** While the task lives, its handle lies at the bottom of its coroutine, and it
** ends as the first of the values that the coroutine leaves.
*/

#include "task.h"

#include <string.h>

#include "error.h"
#include "stack.h"
#include "strand.h"
#include "traceback.h"
#include "verdict.h"


#define task_at(L) (((Handle *)lua_touserdata(L, BASE_HANDLE))->task)


/* ---------------------------------------------------------------------- */
/* the body */


static int body_left (lua_State *L, int ending, int base);


/* is the error on top what cancels the task? At its bottom its own reason is
   at hand, and nearly always the answer */
static int is_cause (lua_State *L, Task *t) {
  int same = 0;
  if (t->flags & T_CANCEL) {
    lua_getiuservalue(L, BASE_HANDLE, HANDLE_VALUE);
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
static always_inline int left (lua_State *L, Task *t, int failed, int base) {
  int n;
  if (t->scope->owner == t)
    return scope_leave(L, t->scope, failed, base, body_left);
  t->why = TASK_DONE; /* from here on: how it ends */
  if (failed) {
    t->why = task_cancelled(t) && is_cause(L, t) ? TASK_CANCELLED : TASK_FAILED;
    lua_copy(L, -1, BASE_FUNCTION);
    lua_settop(L, BASE_FUNCTION);
  }
  n = lua_gettop(L);
  /* without results, and nobody to be told, not even the handle is needed */
  if (n < BASE_FUNCTION && !(t->flags & T_CANCEL) &&
      t->scope->S->nwatchers == 0)
    return 0;
  return n;
}


static int body_left (lua_State *L, int ending, int base) {
  return left(L, task_at(L), ending >= END_EXPIRED, base);
}


static int body_ended (lua_State *L, int status, lua_KContext t) {
  int failed = has_failed(status);
  return left(L, (Task *)t, failed, BASE_FUNCTION - 1);
}


static int body (lua_State *L) {
  Task *t = task_at(L);
  int status;
  if (task_cancelled(t) && !(t->flags & T_OWNER)) { /* it never begins */
    lua_settop(L, BASE_FUNCTION - 1);
    cause_push(L, t);
    return left(L, t, 1, BASE_FUNCTION - 1);
  }
  status = lua_pcallk(L, lua_gettop(L) - BASE_FUNCTION, LUA_MULTRET,
                      BASE_HANDLER, (lua_KContext)t, body_ended);
  return body_ended(L, status, (lua_KContext)t);
}


/* ---------------------------------------------------------------------- */
/* beginning */


/* enough for a few arguments is always there */
static void check_room (lua_State *L, lua_State *co, int n) {
  if (n <= LUA_MINSTACK / 2) return;
  luaL_checkstack(L, n, "too many arguments");
  if (!lua_checkstack(co, n)) luaL_error(L, "too many arguments");
}


static always_inline Task *new_task (lua_State *L, Scope *scope, int first,
                                     int flags, size_t size, int nvalues) {
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
  memset(h, 0, sizeof(Handle));
  if (size > sizeof(Handle)) memset(h + 1, 0, size - sizeof(Handle));
  h->object.mark = &task_mark;
  h->object.S = S;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->task_meta);
  lua_setmetatable(L, -2);
  co = record_spare(L, S)->at.co;
  check_room(L, co, last - first + 6);
  /* nothing raises from here on */
  t = record_take(S);
  sched_unhook(co);
  lua_pushcfunction(co, body);
  lua_pushcfunction(co, error_handler);
  lua_pushvalue(L, last + 1);
  for (i = first; i <= last; i++) lua_pushvalue(L, i);
  lua_xmove(L, co, last - first + 2);
  h->task = t;
  t->handle = h;
  t->scope = scope;
  line_join(&scope->children, &t->sib);
  h->id = ++S->last_id;
  t->flags = (uint8_t)(T_FRESH | flags);
  t->status = TASK_READY;
  t->wait = WAIT_NOTHING;
  t->line = &S->next;
  line_join(&S->next, &t->link);
  S->live++;
  if (S->trace != NULL) S->tracer->spawned(L, t, first);
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
  lua_settop(co, 1 + BASE_HANDLE); /* above the body */
  lua_xmove(L, co, n);
}


/* ---------------------------------------------------------------------- */
/* ending */


void task_observe (Handle *h) {
  Task *t = h->task;
  if (t == NULL) return;
  t->flags |= T_OBSERVED;
  if (t->status < TASK_DONE || !(t->flags & T_ASYNC)) return;
  line_leave(&t->scope->zombies, &t->sib); /* else its scope would raise it */
  lua_settop(t->at.co, 0);
  record_release(t);
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


static int waits_for_children (const Scope *s) {
  const Task *t = s->owner;
  return t != NULL && t->status == TASK_WAITING && t->wait == WAIT_CHILDREN &&
         t->scope == s;
}


/* the task has ended: it is no child of its scope any more. 1 if the scope sees to
   the rest, for there is an error to raise */
static always_inline int leave_family (lua_State *L, Task *t) {
  Scope *s = t->scope;
  line_leave(&s->children, &t->sib);
  if (s->children.first == NULL && waits_for_children(s))
    sched_wake(s->S, s->owner, WHY_DONE);
  if (s == s->S->roots) s->S->patience = 0; /* 'run' is to see it */
  if (t->status == TASK_CANCELLED && s->cause != NULL) s->touched = 1;
  return t->status == TASK_FAILED && verdict_child(L, s, t);
}


/* the task has ended; on its coroutine are the 'n' values that 'body' leaves. If
   these are none, its handle lives only as long as nothing is allocated. */
static void finish (lua_State *L, Task *t, Status how, int n) {
  Sched *S = t->scope->S;
  int is_watched, is_whole, is_passed_on;
  invariant(n == lua_gettop(t->at.co));
  t->status = (uint8_t)how;
  if (S->trace != NULL) S->tracer->ended(t);
  S->live--;
  if (t->awaiters.first != NULL) {
    t->flags |= T_OBSERVED;
    sched_wake_all(S, &t->awaiters, WHY_DONE);
  }
  is_whole = n == 0 || task_keep(t, n - BASE_FUNCTION + 1);
  is_watched = S->nwatchers > 0 && push_watcher(L, S, t);
  is_passed_on = leave_family(L, t);
  if (!is_whole) { /* the handle has the coroutine */
    record_part(t);
    lua_pushnil(t->at.co);
    lua_replace(t->at.co, BASE_HANDLE);
    record_unmake(L, S, t);
  }
  else if (!is_passed_on) {
    if (n > 0) lua_settop(t->at.co, 0);
    record_release(t);
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
  return buried(L, END_ERROR, BASE_FUNCTION - 1);
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
    finish(L, t, TASK_FAILED, lua_gettop(co));
    return;
  }
  lua_pushcfunction(co, bury);
  leave_error(L, t);
  t->flags |= T_FRESH;
  sched_pass(t->scope->S, t);
}


/* the error of the task given that yields; where it did, is asked without what
   could raise there, out of any protected call */
static int yielded_error (lua_State *L) {
  Task *t = (Task *)lua_touserdata(L, 1);
  Sched *S = t->scope->S;
  lua_State *co = t->at.co;
  lua_Debug ar;
  if (lua_getstack(co, 1, &ar) && lua_getinfo(co, "Sl", &ar) &&
      ar.currentline > 0)
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
  lua_pushliteral(L,
                  "coroutine.yield outside of a generator: a task lets others "
                  "run by neap.checkpoint()");
  lua_concat(L, 2);
  stack_push(L, S, co, lua_tostring(L, 2), 0);
  error_note(L, S, 2);
  return 1;
}


void task_ended (lua_State *L, Task *t, int status, int n) {
  if (status == LUA_OK)
    finish(L, t, (Status)t->why, n);
  else if (status == LUA_YIELD) {
    lua_pushcfunction(L, yielded_error);
    lua_pushlightuserdata(L, t);
    lua_pcall(L, 1, 1, 0);
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
  finish(L, t, TASK_CANCELLED, lua_gettop(t->at.co));
}


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
