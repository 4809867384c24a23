/*
** abort.h - signals: one abort that many scopes, tasks and functions hear.
**
** A scope that hears a signal stands in the signal's line, so hearing one
** allocates nothing, and an abort is linear in those who hear it and cannot
** fail half-way.
*/

#ifndef neap_abort_h
#define neap_abort_h

#include "scope.h"

HIDDEN_BEGIN

/* ---------------------------------------------------------------------- */
/* for rooms whose functions take a signal */

/* push the option 'signal' of the table at 'idx': a signal or nil */
void abort_option (lua_State *L, int idx, const char *fname);

/* raise the reason if the signal (or nil) at 'idx' is aborted; before
   anything has begun, when all arguments have been checked */
void abort_check (lua_State *L, int idx);

/*
** Until it is left, scope 's' is cancelled when the signal (or nil) at 'idx'
** is aborted. Something must keep the signal alive for as long: its place on
** the stack of the function that opened the scope, not a table of the user's.
*/
void abort_listen (lua_State *L, Scope *s, int idx);

/* ---------------------------------------------------------------------- */
/* for the scheduler */

/* what a timer of type TIMER_ALARM does */
void alarm_rang (Sched *S, lua_State *L, Timer *timer);

/* all timers are alarms: would anybody hear one of them? */
int alarm_heard (Sched *S);

/* ---------------------------------------------------------------------- */
/* for what Lua sees of signals (abortlib.c) */

typedef struct Signal Signal;

/* one of the roots of a dependent signal */
typedef struct Tie {
  Link link; /* place among the dependents of the root */
  Signal *root;
  Signal *dependent;
} Tie;

/*
** A root is aborted by its controller or by its alarm. A dependent (any{...})
** is aborted by whichever of its roots is first; dependents of dependents are
** tied to the roots of these, so nothing between needs to live.
**
** A dependent holds its roots. A root holds a dependent only as long as
** somebody listens to that: then it is 'kept'.
*/
struct Signal {
  Sched *S;
  Signal *origin;  /* the root that aborted it, perhaps itself; or NULL */
  Line scopes;     /* by Scope.listener */
  Line waiters;    /* tasks in signal:wait() */
  Line listeners;  /* by Listener.link: functions */
  Line dependents; /* of a root, by Tie.link, in order of creation; those that
                      are aborted but whose listeners are still to be told */
  Timer alarm;
  uint32_t nkept;      /* dependents that this root keeps alive */
  unsigned char armed; /* there is a place for 'alarm' in the heap */
  unsigned char kept;  /* its roots keep it alive */
  int nties;           /* 0: a root */
  Tie tie[];
};

/* user value 1 is the reason; of a dependent a table of its roots, by address,
   of which 'origin' has the reason */
enum {
  SIGNAL_REASON = 1,
  SIGNAL_ROOTS = 1,
  SIGNAL_LISTENERS, /* by address */
  SIGNAL_KEPT,      /* dependents, by address */
  SIGNAL_VALUES = 3
};

#define SIGNAL_CLASS "neap.abort_signal"

/* the signal at 'idx', or NULL */
Signal *abort_test (lua_State *L, int idx);

/* push a new signal with room for so many roots */
Signal *abort_new (lua_State *L, Sched *S, int nties);

/* push the root 'r' of the dependent at 'd' */
void abort_push_root (lua_State *L, int d, Signal *r);

/* push the reason of the signal at 'idx'; nil if it is not aborted */
void abort_push_reason (lua_State *L, int idx);

/* abort the root at 'idx' with the error object on top; pops it */
void abort_root (lua_State *L, int idx);

/* abort the root at 'idx' in 'seconds' from now */
void abort_alarm (lua_State *L, int idx, double seconds);

/* call the function on top when the signal at 'idx' is aborted; replaces it by
   a function that takes this back */
void abort_add_listener (lua_State *L, int idx);

/* the signal is being collected */
void abort_free (lua_State *L, Signal *s);

/* make the table of pending alarms, if there is none yet */
void abort_openalarms (lua_State *L);

void abort_openlib (lua_State *L);

HIDDEN_END

#endif
