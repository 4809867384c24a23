/*
** trace.h - a record of what tasks do, in a file, while they do it.
**
** The scheduler tells of each step, and those who make and end tasks of that,
** if S->trace is there; nothing here raises, nor keeps anything in memory but a
** buffer that is made with the trace.
*/

#ifndef neap_trace_h
#define neap_trace_h

#include "sched.h"

HIDDEN_BEGIN

/* a new task, which will call the function at index 'first' of L */
void trace_spawned (lua_State *L, Task *t, int first);

/* it got the name at index 'idx', or lost it */
void trace_named (lua_State *L, Task *t, int idx);

/* it is about to be resumed; it has come back, and waits, or will be ended */
void trace_enters (Task *t);
void trace_leaves (lua_State *L, Task *t);

/* it has ended; its error, if there is one, is on top of its coroutine */
void trace_ended (Task *t);

/* nobody will do anything for a while: a good time to write */
void trace_rests (Sched *S);

/* the state is being closed */
void trace_finish (Sched *S);

HIDDEN_END

#endif
