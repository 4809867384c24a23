/*
** scope.h - scopes: a tree of work in which nothing outlives its parent.
**
** A scope is opened by a task (its owner), inside the innermost scope that
** the task is in; tasks spawned while it is the innermost are its children.
** Leaving it waits for all of them.
**
** Cancellation is a level: 'cause' of every scope below a cancelled one
** points at the scope where it was cancelled, pushed down once, so that the
** check at a suspension point is one load. Of several the outermost counts.
** A shield stops the push.
*/

#ifndef neap_scope_h
#define neap_scope_h

#include "sched.h"

HIDDEN_BEGIN

typedef enum Cancel {
  CANCEL_QUIET,    /* scope:cancel(): enough, return quietly */
  CANCEL_FAILED,   /* the body or a child failed */
  CANCEL_DEADLINE, /* raises TimeoutError */
  CANCEL_RAISE     /* raises its reason: an aborted signal, a deadlock */
} Cancel;

struct Scope {
  Sched *S;
  Scope *parent;
  Task *owner;    /* NULL: a top-level scope */
  Scope *cause;   /* where the cancellation in force here began, or NULL */
  Line children;  /* by Task.sib: tasks that have not ended */
  Line zombies;   /* by Task.sib: ended ones with an error to tell */
  Task *first;    /* the child whose error came first */
  Task *cursor;   /* while a cancellation is pushed down */
  Scope *stacked; /* the same; also links free scopes */
  struct ScopeObject *object; /* what Lua sees of it, or NULL */
  double deadline;
  Timer timer;
  int reason;               /* place of the reason in the table of reasons */
  unsigned char kind;       /* Cancel, if it was cancelled itself */
  unsigned char shield;     /* cancellation from outside stops here */
  unsigned char felt;       /* its own cancellation was raised somewhere */
  unsigned char touched;    /* a child was cancelled */
  unsigned char ended;      /* how the body ended: BODY_... */
  unsigned char body_first; /* ... before any child failed */
  unsigned char raw;        /* the reason is not yet an error object */
  unsigned char body;       /* the scope of a task's whole body */
  unsigned char own;        /* it was cancelled itself, whatever 'cause' says */
  unsigned char by_task; /* it is the cause because its owner was cancelled */
  Link listener;         /* place among those who hear a signal */
  Line *signal;          /* that line */
  void *resource; /* what is held as long as it lasts, or NULL; given back by */
  void (*left)(struct Scope *s); /* ... this, which never runs Lua */
  uint32_t waits; /* calls inside that wait for more of the same */
  int base;       /* the body's values are above this stack index */
  int (*then)(lua_State *L, int ending, int base);
};

/* does a cancellation reach the task where it is? (Scopes of its own show the
   cause of a task that was cancelled itself, unless shielded.) */
static inline int task_cancelled (const Task *t) {
  return t->scope->cause != NULL ||
         ((t->flags & T_CANCEL) != 0 && t->scope->owner != t);
}

/* open a scope inside the one the task is in; may raise for memory */
Scope *scope_open (lua_State *L, Task *t);

/* the same for one that cancellation from outside does not enter */
Scope *scope_open_shield (lua_State *L, Task *t);

/* see to it that the next one that is opened needs no memory; may raise */
void scope_reserve (lua_State *L, Sched *S);

/* a scope of the task's whole body, made when it is first needed */
Scope *scope_of_body (lua_State *L, Task *t);

/* move the deadline; 'at' absolute, NEVER for none; one that has passed cancels
   at once, so that the next suspension point raises */
void scope_deadline (Scope *s, double at);

/* what to raise at the deadline, if not a plain TimeoutError: the message, or
   any other value; pops it */
void scope_message (lua_State *L, Scope *s);

/*
** Cancel everything inside. The reason is the value at 'idx' of L (0: none);
** it becomes an error object when it is first raised. Never fails; does
** nothing if the scope is cancelled already.
*/
void scope_cancel (lua_State *L, Scope *s, Cancel kind, int idx);

/* a scope that is cancelled itself: let that reach what waits in shields, too.
   Clean-up can open new ones. */
void scope_pierce (Scope *s);

/* cancel one task; the same for the reason; 'self' is the task on L */
void task_cancel (lua_State *L, Task *t, int self, int idx);

/* push the error that cancels the task, and note that it was felt */
void cause_push (lua_State *L, Task *t);

/* is the value at 'idx' the error that cancels this task? */
int cause_is (lua_State *L, Task *t, int idx);

/* raise the error that cancels the running task */
int cause_raise (lua_State *L, Task *t);

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

/* child 't' has ended. 1 if the scope has let go of it, or will when it has
   raised its error */
int scope_child_ended (lua_State *L, Task *t);

/* the same for a new scope and in 'seconds' from now */
void scope_arm (Scope *s, double seconds);

/* it has ended, or its owner has: give back what is held for it, and let Lua's
   object know no more of it */
void scope_let_go (Scope *s);

/* the object of scope.c's Lua side (scopelib.c): push the table of suppressed
   errors of the object at 'idx'; the scope has ended */
void scope_object_suppressed (lua_State *L, int idx);
void scope_object_detach (Scope *s);

/* push what the task, which waits for its children, waits for */
void scope_describe (lua_State *L, Task *t);

/* the same for all that task 't' has opened inside 'outer' (NULL: for all): the
   coroutines on which the objects lie are going to be reset, and then they may
   be collected before the scopes are gone */
void scope_detach (Task *t, const Scope *outer);

/* its owner is killed, after all its children: free it */
void scope_abandon (lua_State *L, Scope *s);

/* a scope without an owner; may raise */
Scope *scope_toplevel (lua_State *L, Sched *S);

/* the one that the task is below */
Scope *scope_top (const Task *t);

/* a top-level scope that was cancelled, and is empty now, as if it were new */
void scope_renew (lua_State *L, Scope *s);

/* tell of the errors of host tasks that nobody has seen */
void scope_report (lua_State *L, Scope *s);

/* free scopes beyond 'keep' go */
void scope_trim (lua_State *L, Sched *S, unsigned keep);

void scope_openlib (lua_State *L);

HIDDEN_END

#endif
