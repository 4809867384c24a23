/*
** post.h - what other threads have done, handed over to the scheduler's.
**
** The one thing that several threads touch: a queue behind a mutex, in memory
** of its own, for it may outlive the Lua state.
*/

#ifndef neap_post_h
#define neap_post_h

#include "neap.h"
#include "sched.h"

HIDDEN_BEGIN

/* a place in the queue */
typedef struct Posted {
  struct Posted *next;
  neap_Posted fn; /* called in the scheduler's thread; without a state if that
                     is gone */
  void *ud;
  int borrowed; /* the memory belongs to whoever posted it */
} Posted;

/* the poster of this state, with one more owner; may raise */
neap_Poster *post_open (lua_State *L, Sched *S);

/* the same, but NULL and errno when the system cannot give what it needs */
neap_Poster *post_try (lua_State *L, Sched *S);

/* one owner less; from any thread */
void post_release (neap_Poster *p);

/* add to the queue; 0 if the state is gone or memory is out; any thread */
int post_add (neap_Poster *p, neap_Posted fn, void *ud);

/* the same for a place that the caller has; it cannot lack memory. Owners keep
   the poster until 'fn' is called. */
int post_add_borrowed (neap_Poster *p, Posted *x);

/* call what was posted, on L */
void post_drain (lua_State *L, Sched *S);

/* can anybody post? */
int post_expected (Sched *S);

/* has it been posted, and not been called? Only while there is one thread */
int post_has (const Sched *S, const Posted *x);

/* the state goes: what nobody has taken is called without one */
void post_close (Sched *S);

HIDDEN_END

#endif
