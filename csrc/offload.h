/*
** offload.h - work that blocks, done by helper threads while the task waits.
**
** For what the system offers no other way to do: looking names up, reading
** and writing files. A job is plain C memory; no thread but the scheduler's
** ever touches Lua.
*/

#ifndef neap_offload_h
#define neap_offload_h

#include "post.h"
#include "sched.h"

HIDDEN_BEGIN

typedef struct Job {
  void (*work)(struct Job *job);    /* in a helper thread */
  void (*discard)(struct Job *job); /* free what it holds, not it; any thread */
  int refused; /* why it could not be begun, an errno, or 0 */
  /* what follows is offload.c's */
  Sched *S;
  neap_Poster *poster;
  struct JobBox *box; /* what owns it on the Lua side; NULL: nobody any more */
  Line waiter;        /* the task that waits for it */
  Posted done;
  struct Job *next;
  int taken; /* by a helper thread */
} Job;

/*
** Push what owns a new job of 'size' bytes, which begins with a Job and is
** zeroed; it is discarded with its owner. May raise.
*/
void *offload_new (lua_State *L, Sched *S, size_t size, void (*work)(Job *),
                   void (*discard)(Job *));

/*
** Let a thread do the job whose owner is on top, and wait for that. Then
** 'then' is called with the owner still on top, and with the task as its
** context. May raise, then nothing has changed. What the system denies (a
** descriptor, a thread) is no error but an outcome, the job's 'refused'.
**
** WAIT_LOOKUP: cancelling the task leaves the job to itself. WAIT_FILE: the
** task goes on when the job is done, and is cancelled at the next point.
*/
int offload_wait (lua_State *L, Task *t, Wait wait, lua_KFunction then);

/* in 'then': the job, or NULL if the task was cancelled while it waited */
void *offload_job (lua_State *L, Task *t);

/* no longer needed: discard it, and pop its owner from below the 'n' values on
   top */
void offload_free (lua_State *L, int n);

void offload_close (Sched *S);

HIDDEN_END

#endif
