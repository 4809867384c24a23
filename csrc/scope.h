/*
** scope.h - scopes: a tree of work in which nothing outlives its parent.
**
** A scope is opened by a task (its owner), inside the innermost scope that
** the task is in; tasks spawned while it is the innermost are its children.
** Leaving it waits for all of them.
*/

#ifndef neap_scope_h
#define neap_scope_h

#include "cancel.h"

HIDDEN_BEGIN

/* open a scope inside the one the task is in; may raise for memory */
Scope *scope_open (lua_State *L, Task *t);

/* the same, for the task's whole body */
Scope *scope_open_body (lua_State *L, Task *t);

/* the same for one that cancellation from outside does not enter */
Scope *scope_open_shield (lua_State *L, Task *t);

/* see to it that the next one that is opened needs no memory; may raise */
void scope_reserve (lua_State *L, Sched *S);

/* the scope of the task's whole body, made when it is first needed; may raise
   for memory */
static inline Scope *scope_of_body (lua_State *L, Task *t) {
  if (t->scope->owner == t) return t->scope;
  return scope_open_body(L, t);
}

/* the scope that a task belongs to which is spawned here; may raise */
static inline Scope *scope_here (lua_State *L, Sched *S) {
  if (S->current == NULL) {
    sched_check_host(L, S);
    return S->host;
  }
  sched_check_open(L, S);
  return scope_of_body(L, S->current);
}

/* how a scope ended; what is above 'base' on the stack: */
enum {
  END_VALUES,  /* the results */
  END_QUIET,   /* nothing: cancelled by scope:cancel() */
  END_EXPIRED, /* the TimeoutError: its own deadline was felt */
  END_ERROR    /* the error to be raised */
};

typedef int (*ScopeThen)(lua_State *L, int ending, int base);

/*
** The body of scope 's' has ended, with its values above stack index 'base',
** or, if 'failed', with one error there. Waits for the children, leaves the
** scope (it is free after that) and returns what 'then' returns. May yield:
** call it as 'return scope_leave(...)'.
*/
int scope_leave (lua_State *L, Scope *s, int failed, int base, ScopeThen then);

/*
** The same in steps, for loops: 'scope_body_ended' tells whether the scope
** can be left at once, by 'scope_finish', which says how it ended; else
** return 'scope_wait', which yields and always comes back to 'then'.
*/
int scope_body_ended (lua_State *L, Scope *s, int failed, int base);
int scope_finish (lua_State *L, Scope *s);
int scope_wait (lua_State *L, Scope *s, ScopeThen then);

/*
** The body has returned, and nothing has happened in the scope, which is the
** common case: leave it at once. Else 0.
*/
int scope_leave_untouched (Scope *s);

/*
** Run a body in scope 's', then leave it: the function is at 'base' + 1, its
** arguments are above; at 'base' is 'error_handler'.
*/
int scope_call (lua_State *L, Scope *s, int base, ScopeThen then);

/* the usual 'then': return the values, raise the error */
int scope_return (lua_State *L, int ending, int base);

/* it has ended, or its owner has: give back what is held for it, and let Lua's
   object know no more of it */
void scope_let_go (Scope *s);

/* the same for all that task 't' has opened inside 'outer' (NULL: for all): the
   coroutines on which the objects lie are going to be reset, and then they may
   be collected before the scopes are gone */
void scope_detach (Task *t, const Scope *outer);

/* was it cancelled by 'cancel', a signal or its deadline: not by a failure, nor
   from outside? */
int scope_was_cancelled (const Scope *s);

/* its owner is killed, after all its children: free it */
void scope_abandon (lua_State *L, Scope *s);

/* push what the task, which waits for its children, waits for */
void scope_describe (lua_State *L, Task *t);

/* a scope without an owner; may raise */
Scope *scope_toplevel (lua_State *L, Sched *S);

/* the one that the task is below */
Scope *scope_top (const Task *t);

/* a top-level scope that was cancelled, and is empty now, as if it were new */
void scope_renew (lua_State *L, Scope *s);

/* free scopes beyond 'keep' go */
void scope_trim (lua_State *L, Sched *S, unsigned keep);

void scope_openlib (lua_State *L);

HIDDEN_END

#endif
