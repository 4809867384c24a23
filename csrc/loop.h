/*
** loop.h - the outside world: waiting for time and for file descriptors.
**
** This room and the one below it, watch.h, are the only ones that know libev.
** Nothing of libev exists until a file descriptor is first waited for; a state
** that only deals in time never opens one.
*/

#ifndef neap_loop_h
#define neap_loop_h

#include "watch.h"

HIDDEN_BEGIN

/* make the loop if there is none yet; may raise */
void loop_open (lua_State *L, Sched *S);

/* wait up to 'wait' seconds (NEVER: without end) for something to happen */
void loop_poll (Sched *S, double wait);

/* tell the kernel what is waited for, for somebody else will do the polling;
   may wake those whose descriptor was closed */
void loop_flush (Sched *S);

/* the line of those who wait for this, made if need be; may raise */
Line *loop_line (lua_State *L, Sched *S, int fd, int what);

/* If this is the child of a fork that nobody has noticed yet: part with the
   parent. Before the first use of a lock that other threads take: in the child
   there are none of them, but what they held is held. */
void loop_check_fork (Sched *S);

/* wake all who wait for 'fd' with ClosedError, and forget about it */
int loop_forget (Sched *S, int fd);

/* a descriptor that is readable when one that is waited for is ready; made
   when it is first asked for; may raise */
int loop_fd (lua_State *L, Sched *S);

/* from now on SIGINT is counted in S->interrupts; may raise */
void loop_interrupts (lua_State *L, Sched *S);

/* from now on a poll ends when 'fd' is readable; the loop must be open. 0: the
   host's descriptor (loop_fd) cannot tell of it, and errno */
int loop_waker (Sched *S, int fd);

void loop_free (Sched *S);

HIDDEN_END

#endif
