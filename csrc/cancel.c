/*
** cancel.c - cancelling scopes and tasks, and the error that they raise then.
**
** A cancellation is pushed down at once over all that is below, so that asking
** for it is one load. This never fails: the error is made only when a task
** raises it for the first time.
*/

#include "cancel.h"

#include "error.h"
#include "record.h"


/* ---------------------------------------------------------------------- */
/* reasons */


void scope_set_reason (lua_State *L, Scope *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->S->reasons);
  lua_insert(L, -2);
  lua_rawseti(L, -2, s->reason); /* the place exists: cannot fail */
  lua_pop(L, 1);
}


void scope_push_reason (lua_State *L, Scope *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->S->reasons);
  lua_rawgeti(L, -1, s->reason);
  lua_remove(L, -2);
}


/* ---------------------------------------------------------------------- */
/* cancelling */


static Task *first_child (const Scope *s) {
  Link *x = s->children.first;
  return x == NULL ? NULL : owner_of(x, Task, sib);
}


/*
** Task 't', somewhere below 'outer', is hit: wake it if it waits, and mark
** and stack the scopes that it has opened inside 'outer', the outermost on
** top, up to the first shield; or if 'through', all of them, whose shields
** break. Returns the new top of the stack.
*/
static Scope *hit (Task *t, Scope *outer, Scope *cause, Scope *top,
                   int through) {
  Scope *s, *from = t->scope;
  Sched *S = outer->S;
  int hidden = 0;
  for (s = t->scope; s != outer; s = s->parent) {
    if (through)
      s->shield = 0;
    else if (s->shield) {
      hidden = 1;
      from = s->parent;
    }
  }
  if (!hidden && t->status == TASK_WAITING && !S->kind[t->wait]->uncancellable)
    sched_wake(S, t, WHY_CANCEL);
  for (s = from; s != outer; s = s->parent) {
    s->cause = cause;
    s->cursor = first_child(s);
    s->stacked = top;
    top = s;
  }
  return top;
}


/*
** Push the cancellation of 's' down over everything below it: its owner
** first, then its children, then those of the scopes that the owner has opened
** inside; each with what is below it, the older before the younger. The stack
** of what is still to do runs through the scopes, so that no depth of nesting
** can overflow anything.
*/
static void push_down (Scope *s, int through) {
  Scope *top;
  s->cause = s;
  s->cursor = first_child(s);
  s->stacked = s->owner != NULL ? hit(s->owner, s, s, NULL, through) : NULL;
  top = s;
  while (top != NULL) {
    Task *t = top->cursor;
    if (t == NULL)
      top = top->stacked;
    else {
      Link *next = line_after(&top->children, &t->sib);
      top->cursor = next == NULL ? NULL : owner_of(next, Task, sib);
      top = hit(t, top, s, top, through);
    }
  }
}


static void cancel (Scope *s, Cancel kind) {
  s->own = 1;
  s->kind = (unsigned char)kind;
  timer_clear(&s->S->heap, &s->timer);
  push_down(s, 0);
}


void scope_pierce (Scope *s) {
  invariant(s->cause == s);
  push_down(s, 1);
}


void scope_cancel (lua_State *L, Scope *s, Cancel kind, int idx) {
  int given = idx != 0 && !lua_isnil(L, idx);
  if (s->cause != NULL || s->own) return;
  if (given || s->raw != RAW_NONE) { /* takes the place of a message */
    if (given)
      lua_pushvalue(L, idx);
    else
      lua_pushboolean(L, 0);
    scope_set_reason(L, s);
  }
  s->raw = RAW_NONE;
  if (given) s->raw = kind == CANCEL_RAISE ? RAW_MADE : RAW_VALUE;
  cancel(s, kind);
}


void task_cancel (lua_State *L, Task *t, int self, int idx) {
  Scope *s = t->scope, *outermost = NULL;
  int hidden = 0;
  Sched *S;
  if (t->status >= TASK_DONE || t->flags & T_CANCEL) return;
  S = s->S; /* a task that has ended may have no scope */
  if (idx != 0) {
    lua_pushvalue(L, idx);
    lua_setiuservalue(L, self, HANDLE_VALUE);
  }
  t->flags |= T_CANCEL;
  for (; s->owner == t; s = s->parent) {
    outermost = s;
    if (s->shield) hidden = 1;
  }
  if (s->cause != NULL) return; /* all around it is cancelled already */
  if (outermost != NULL && !outermost->shield) {
    outermost->by_task = 1; /* counts before a cause of its own */
    push_down(outermost, 0);
  }
  else if (!hidden && t->status == TASK_WAITING &&
           !S->kind[t->wait]->uncancellable)
    sched_wake(S, t, WHY_CANCEL);
}


/* ---------------------------------------------------------------------- */
/* deadlines */


void scope_message (lua_State *L, Scope *s) {
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else {
    s->raw = lua_type(L, -1) == LUA_TSTRING ? RAW_VALUE : RAW_MADE;
    scope_set_reason(L, s);
  }
}


/* it has passed */
static void expire (Scope *s) {
  if (s->cause == NULL) cancel(s, CANCEL_DEADLINE);
}


void scope_deadline (Scope *s, double at) {
  Sched *S = s->S;
  if (s->own) return; /* too late */
  timer_clear(&S->heap, &s->timer);
  s->deadline = at;
  if (at <= sched_now(S))
    expire(s);
  else if (at < NEVER)
    timer_set(&S->heap, &s->timer, TIMER_SCOPE, at);
}


void scope_arm (Scope *s, double seconds) {
  Sched *S = s->S;
  if (!(seconds < NEVER)) return;
  s->deadline = sched_now(S) + seconds;
  if (seconds > 0)
    timer_set(&S->heap, &s->timer, TIMER_SCOPE, s->deadline);
  else
    expire(s);
}


void scope_expired (Sched *S, Timer *timer) {
  (void)S;
  expire(owner_of(timer, Scope, timer));
}


/* ---------------------------------------------------------------------- */
/* the error that a cancelled task raises */


/* push the reason of scope 's', made into an error object the first time */
static void push_error (lua_State *L, Scope *s) {
  scope_push_reason(L, s);
  if (s->raw == RAW_MADE) return;
  if (s->raw == RAW_NONE) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  if (s->kind == CANCEL_DEADLINE)
    error_timeout(L);
  else if (s->kind == CANCEL_FAILED) {
    error_new(L, "AbortError", NULL);
    lua_insert(L, -2);
    lua_setfield(L, -2, "reason");
  }
  else
    error_abort(L);
  lua_pushvalue(L, -1);
  scope_set_reason(L, s);
  s->raw = RAW_MADE;
}


/* push the error of a task that was cancelled by itself */
static void push_own_error (lua_State *L, Task *t) {
  task_push(L, t);
  lua_getiuservalue(L, -1, HANDLE_VALUE);
  if (!lua_istable(L, -1)) {
    error_abort(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, HANDLE_VALUE);
  }
  lua_remove(L, -2);
}


void cause_push (lua_State *L, Task *t) {
  Scope *c = t->scope->cause;
  if (c == NULL)
    push_own_error(L, t);
  else if (c->by_task)
    push_own_error(L, c->owner);
  else {
    push_error(L, c);
    c->felt = 1;
  }
}


/* is the value at 'idx' what the cancelled task 't' raises? */
static int own_error_is (lua_State *L, Task *t, int idx) {
  int same;
  task_push(L, t);
  lua_getiuservalue(L, -1, HANDLE_VALUE);
  same = lua_istable(L, -1) && lua_rawequal(L, -1, idx);
  lua_pop(L, 2);
  return same;
}


static int scope_error_is (lua_State *L, Scope *s, int idx) {
  int same;
  if (s->raw != RAW_MADE) return 0;
  scope_push_reason(L, s);
  same = lua_rawequal(L, -1, idx);
  lua_pop(L, 1);
  return same;
}


/*
** An error may also be that of an inner scope, raised before an outer one
** was cancelled too, so all cancelled scopes and tasks around are asked, up to
** the first shield; the one in force first, since it nearly always is the one.
*/
int cause_is (lua_State *L, Task *t, int idx) {
  Scope *s = t->scope, *c = s->cause;
  if (!task_cancelled(t)) return 0;
  idx = lua_absindex(L, idx);
  if (c != NULL && c->own && scope_error_is(L, c, idx)) return 1;
  for (;; s = s->parent) {
    if (s->owner != t) { /* those that 't' has opened are behind us */
      if (t->flags & T_CANCEL && own_error_is(L, t, idx)) return 1;
      t = s->owner;
    }
    if (s->own && scope_error_is(L, s, idx)) return 1;
    if (s->shield || s->cause == NULL || s->parent == NULL) return 0;
  }
}


int cause_raise (lua_State *L, Task *t) {
  cause_push(L, t);
  return lua_error(L);
}


/* ---------------------------------------------------------------------- */
/* entering a suspending function */


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
