/*
** scope.c - how scopes are opened and left; see scope.h. How they are
** cancelled is in cancel.c, which error they raise in verdict.c.
**
** Invariants: the scopes that a task has opened form a chain from
** 'task->scope' upwards to the scope it was born in. 'cause' of a scope is
** that of its parent, its own if it was cancelled itself and no outer one
** was, or NULL behind a shield. A scope that was left has no children, no
** timer and no place in anybody's chain.
*/

#include "scope.h"

#include <string.h>

#include "verdict.h"

/* how a body ended; CANCELLED: with the error that cancelled it */
enum { BODY_RETURNED, BODY_FAILED, BODY_CANCELLED };


/* ---------------------------------------------------------------------- */
/* making scopes */


static Scope *make (lua_State *L, Sched *S) {
  Scope *s;
  int reason;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->reasons);
  lua_pushboolean(L, 0);
  reason = luaL_ref(L, -2);
  s = (Scope *)sched_alloc(S, NULL, 0, sizeof(Scope));
  if (s == NULL || !heap_reserve(&S->heap, sched_alloc, S)) {
    if (s != NULL) sched_alloc(S, s, sizeof(Scope), 0);
    luaL_unref(L, -1, reason);
    luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
  memset(s, 0, sizeof(Scope));
  s->S = S;
  s->reason = reason;
  s->deadline = NEVER;
  return s;
}


Scope *scope_toplevel (lua_State *L, Sched *S) {
  return make(L, S);
}


Scope *scope_top (const Task *t) {
  Scope *s = t->scope;
  while (s->parent != NULL) s = s->parent;
  return s;
}


void scope_renew (lua_State *L, Scope *s) {
  invariant(s->parent == NULL && s->children.first == NULL);
  if (s->raw != RAW_NONE) {
    lua_pushboolean(L, 0);
    scope_set_reason(L, s);
  }
  s->raw = RAW_NONE;
  s->cause = NULL;
  s->own = s->felt = s->touched = 0;
}


static void release (lua_State *L, Scope *s) {
  Sched *S = s->S;
  int reason = s->reason;
  timer_clear(&S->heap, &s->timer);
  if (s->raw != RAW_NONE) { /* let go of the reason */
    lua_pushboolean(L, 0);
    scope_set_reason(L, s);
  }
  if (s->signal != NULL) line_leave(s->signal, &s->listener);
  memset(s, 0, sizeof(Scope));
  s->S = S;
  s->reason = reason;
  s->deadline = NEVER;
  s->stacked = S->free_scopes;
  S->free_scopes = s;
}


void scope_reserve (lua_State *L, Sched *S) {
  if (S->free_scopes == NULL) {
    Scope *s = make(L, S);
    s->stacked = S->free_scopes;
    S->free_scopes = s;
  }
}


Scope *scope_open (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  Scope *s = S->free_scopes;
  if (s != NULL)
    S->free_scopes = s->stacked;
  else
    s = make(L, S);
  s->stacked = NULL;
  s->parent = t->scope;
  s->owner = t;
  s->cause = t->scope->cause;
  t->scope = s;
  return s;
}


Scope *scope_open_shield (lua_State *L, Task *t) {
  Scope *s = scope_open(L, t);
  s->shield = 1;
  s->cause = NULL;
  return s;
}


/* 's' is from now on the scope of the task's whole body, and so that of all
   coroutines who were resumed before it was there */
static void rebase (Task *t, Scope *s) {
  Strand *x = t->flags & T_NESTED ? t->at.strand : NULL;
  for (; x != NULL; x = x->outer) x->scope = s;
}


Scope *scope_open_body (lua_State *L, Task *t) {
  Scope *s = scope_open(L, t);
  s->body = 1;
  rebase(t, s);
  if (s->cause == NULL && t->flags & T_CANCEL) {
    s->cause = s;
    s->by_task = 1;
  }
  return s;
}


/* ---------------------------------------------------------------------- */
/* leaving */


/* does it raise an error of the body or of a child? That is alone above 'base'
   then */
static inline int has_error (lua_State *L, Scope *s, int object) {
  int failed = s->ended == BODY_FAILED;
  if (s->zombies.first == NULL) return failed;
  verdict_settle(L, s, object, failed);
  return 1;
}


/* the scope's own cancellation decides how it ends */
static int own_ending (const Scope *s) {
  int felt = s->felt || s->ended == BODY_CANCELLED;
  switch (s->kind) {
    case CANCEL_QUIET:
      return s->ended == BODY_CANCELLED ? END_QUIET : END_VALUES;
    case CANCEL_DEADLINE: return felt ? END_EXPIRED : END_VALUES;
    case CANCEL_RAISE: return felt ? END_ERROR : END_VALUES;
    default: return END_VALUES;
  }
}


int scope_was_cancelled (const Scope *s) {
  return s->own && s->kind != CANCEL_FAILED;
}


static void close_window (Scope *s) {
  ScopeObject *o = s->object;
  o->deadline = s->deadline;
  o->cancelled = scope_was_cancelled(s);
  o->s = NULL;
  s->object = NULL;
}


void scope_let_go (Scope *s) {
  void (*left)(Scope *) = s->left;
  if (s->object != NULL) close_window(s);
  s->left = NULL;
  if (left != NULL) left(s);
}


void scope_detach (Task *t, const Scope *outer) {
  Scope *s;
  for (s = t->scope; s != outer && s->owner == t; s = s->parent)
    scope_let_go(s);
}


/* take it out of all through which it can be reached: what is told of errors
   may spawn and abort, and so may finalizers */
static void detach (Scope *s) {
  invariant(s->children.first == NULL && s->owner->scope == s);
  s->owner->scope = s->parent;
  timer_clear(&s->S->heap, &s->timer);
  if (s->signal != NULL) line_leave(s->signal, &s->listener);
  s->signal = NULL;
  scope_let_go(s);
}


int scope_finish (lua_State *L, Scope *s) {
  Task *t = s->owner;
  int base = s->base, ending = END_VALUES, outer = 0;
  int known = s->body && s->ended == BODY_CANCELLED;
  int object = s->object != NULL ? base - 1 : 0;
  detach(s);
  if (has_error(L, s, object))
    ending = END_ERROR;
  else if (s->cause == s && !s->by_task) {
    ending = own_ending(s);
    if (ending != END_VALUES) lua_settop(L, base);
    if (ending > END_QUIET) scope_push_reason(L, s);
  }
  else
    outer = s->cause != NULL &&
            (s->ended == BODY_CANCELLED || s->touched || s->felt);
  release(L, s);
  if (outer) { /* what was done inside is not whole */
    ending = END_ERROR;
    if (!known) { /* a cancelled task keeps its error, the first one */
      lua_settop(L, base);
      cause_push(L, t);
    }
  }
  return ending;
}


static int emptied_now (lua_State *L, int status, lua_KContext ctx) {
  Scope *s = (Scope *)ctx;
  ScopeThen then = s->then;
  int base = s->base;
  (void)status;
  if (s->children.first != NULL) /* more were spawned before we ran */
    return scope_wait(L, s, then);
  return then(L, scope_finish(L, s), base);
}


int scope_body_ended (lua_State *L, Scope *s, int failed, int base) {
  s->base = base;
  if (failed && cause_is(L, s->owner, base + 1))
    s->ended = BODY_CANCELLED;
  else if (failed) {
    s->ended = BODY_FAILED;
    s->body_first = s->first == NULL;
    scope_cancel(L, s, CANCEL_FAILED, base + 1);
  }
  return s->children.first == NULL;
}


int scope_leave_untouched (Scope *s) {
  if (s->children.first != NULL || s->zombies.first != NULL ||
      s->cause != NULL || s->own || s->raw != RAW_NONE || s->object != NULL ||
      s->signal != NULL || s->resource != NULL)
    return 0;
  if (s->deadline < NEVER) { /* it has not passed */
    timer_clear(&s->S->heap, &s->timer);
    s->deadline = NEVER;
  }
  s->shield = s->body = 0;
  s->owner->scope = s->parent;
  s->owner = NULL;
  s->parent = NULL;
  s->stacked = s->S->free_scopes;
  s->S->free_scopes = s;
  return 1;
}


int scope_wait (lua_State *L, Scope *s, ScopeThen then) {
  s->then = then;
  sched_park(s->S, s->owner, WAIT_CHILDREN, NULL, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)s, emptied_now);
}


int scope_leave (lua_State *L, Scope *s, int failed, int base, ScopeThen then) {
  if (!failed && scope_leave_untouched(s)) return then(L, END_VALUES, base);
  if (!scope_body_ended(L, s, failed, base)) return scope_wait(L, s, then);
  return then(L, scope_finish(L, s), base);
}


int scope_return (lua_State *L, int ending, int base) {
  if (ending >= END_EXPIRED) return lua_error(L);
  return lua_gettop(L) - base;
}


static int called (lua_State *L, int status, lua_KContext ctx) {
  Scope *s = (Scope *)ctx;
  return scope_leave(L, s, has_failed(status), s->base, s->then);
}


int scope_call (lua_State *L, Scope *s, int base, ScopeThen then) {
  int status;
  s->base = base;
  s->then = then;
  status = lua_pcallk(L, lua_gettop(L) - base - 1, LUA_MULTRET, base,
                      (lua_KContext)s, called);
  return called(L, status, (lua_KContext)s);
}


void scope_describe (lua_State *L, Task *t) {
  Scope *s = t->scope;
  lua_State *co = task_co(t);
  if (s->object != NULL && lua_checkstack(co, 1)) {
    lua_pushvalue(co, s->base - 1);
    lua_xmove(co, L, 1);
    lua_getiuservalue(L, -1, OBJECT_NAME);
    lua_remove(L, -2);
    if (lua_isstring(L, -1)) {
      lua_pushfstring(L, "the children of scope '%s'", lua_tostring(L, -1));
      lua_remove(L, -2);
      return;
    }
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "its children");
}


void scope_abandon (lua_State *L, Scope *s) {
  detach(s);
  verdict_drop(L, s);
  release(L, s);
}


void scope_trim (lua_State *L, Sched *S, unsigned keep) {
  Scope **p = &S->free_scopes;
  for (; *p != NULL && keep > 0; keep--) p = &(*p)->stacked;
  while (*p != NULL) {
    Scope *s = *p;
    *p = s->stacked;
    lua_rawgeti(L, LUA_REGISTRYINDEX, S->reasons);
    luaL_unref(L, -1, s->reason);
    lua_pop(L, 1);
    heap_unreserve(&S->heap, sched_alloc, S);
    sched_alloc(S, s, sizeof(Scope), 0);
  }
}
