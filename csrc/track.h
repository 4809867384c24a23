/*
** track.h - a task's track in a trace.
**
** Its life is a slice there, B to E, and within that lie its steps, whole slices
** (X), and its waits, B to E again. An arrow (s to f) goes from the step in
** which a task was spawned to its life. When the file is over, nothing is
** written, and S->trace is NULL.
*/

#ifndef neap_track_h
#define neap_track_h

#include "chrome.h"
#include "sched.h"

HIDDEN_BEGIN

typedef struct Trace {
  Sched *S;
  int64_t began; /* when the running step did, in nanoseconds, */
  double now;    /* ... and by 'track_clock' */
  Chrome file;   /* last, for it is large */
} Trace;

/* the file is over: nobody need be told of anything any more */
void track_over (Trace *tr);

/* seconds on the scheduler's clock, or -1 if that is the one of the events */
double track_clock (Sched *S);

/* from now on the track is called so */
void track_name (Trace *tr, const Task *t, const char *name, size_t size);

/* the life of a task begins, or at least what is seen of it */
void track_birth (Trace *tr, const Task *t, int64_t at, const char *name,
                  size_t size);

/* task 'parent', which runs, has spawned it */
void track_spawned (Trace *tr, const Task *parent, const Task *t, int64_t at);

/* the step that began at 'tr->began' is over */
void track_step (Trace *tr, const Task *t, int64_t at);

/* its wait begins; 'on' is what its kind does not say, or "" */
void track_wait (Trace *tr, Task *t, int64_t at, const char *on);

/* its wait, if one was begun, is over */
void track_woken (Trace *tr, Task *t, int64_t at);

/* its life is over, or the trace is; a failed one has its error on top of its
   coroutine */
void track_death (Trace *tr, const Task *t, int64_t at);

HIDDEN_END

#endif
