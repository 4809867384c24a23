/*
** cancel.h - the tree of scopes, and how cancellation goes down in it.
**
** Cancellation is a level: 'cause' of every scope below a cancelled one
** points at the scope where it was cancelled, pushed down once, so that the
** check at a suspension point is one load. Of several the outermost counts.
** A shield stops the push.
*/

#ifndef neap_cancel_h
#define neap_cancel_h

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

/* a window on a scope, for Lua: keeps what may be read after the end */
typedef struct ScopeObject {
  Scope *s; /* NULL when it has ended */
  double deadline;
  int cancelled;
} ScopeObject;

/* its user values: a table or nil, a string or nil */
enum { OBJECT_SUPPRESSED = 1, OBJECT_NAME, OBJECT_VALUES = 2 };

/* does a cancellation reach the task where it is? (Scopes of its own show the
   cause of a task that was cancelled itself, unless shielded.) */
static inline int task_cancelled (const Task *t) {
  return t->scope->cause != NULL ||
         ((t->flags & T_CANCEL) != 0 && t->scope->owner != t);
}

/* A worker was cancelled by itself: that is meant for what it has been working
   on, which has ended. It can go on; 1 if it was so. */
static inline int task_pardon (Task *t) {
  if (!(t->flags & T_CANCEL) || t->scope->owner == t || t->scope->cause != NULL)
    return 0;
  t->flags = (uint8_t)(t->flags & ~T_CANCEL);
  return 1;
}

/* move the deadline; 'at' absolute, NEVER for none; one that has passed cancels
   at once, so that the next suspension point raises */
void scope_deadline (Scope *s, double at);

/* the same for a new scope and in 'seconds' from now */
void scope_arm (Scope *s, double seconds);

/* what a timer of type TIMER_SCOPE does */
void scope_expired (Sched *S, Timer *timer);

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

/* cancel one task, whose handle is at 'self', with the reason at 'idx' (0: none).
   Never fails; does nothing to one that has ended or was cancelled before. */
void task_cancel (lua_State *L, Task *t, int self, int idx);

/* push the error that cancels the task, and note that it was felt */
void cause_push (lua_State *L, Task *t);

/* is the value at 'idx' the error that cancels this task? */
int cause_is (lua_State *L, Task *t, int idx);

/* raise the error that cancels the running task */
int cause_raise (lua_State *L, Task *t);

/*
** Each suspending function, when its arguments are checked, asks 'detour'
** whether it must first let others run: because the task is cancelled (then
** it raises when it comes back), or because it has run for long without
** waiting (then 'self' runs again from its beginning).
*/
#define SCHED_DETOUR(L, S, t, self) \
  if (--(S)->fuel < 0 || task_cancelled(t)) return sched_detour(L, S, t, self)

int sched_detour (lua_State *L, Sched *S, Task *t, lua_CFunction self);

/* the same for functions that cannot begin anew: only if cancelled */
int sched_raise_later (lua_State *L, Task *t);

/* ---------------------------------------------------------------------- */
/* for scope.c: the reason of a scope */

/* what 'raw' says of the reason of a cancelled scope */
enum { RAW_NONE, RAW_VALUE, RAW_MADE };

/* what is on top becomes the reason; pops it. Cannot fail. */
void scope_set_reason (lua_State *L, Scope *s);

void scope_push_reason (lua_State *L, Scope *s);

HIDDEN_END

#endif
