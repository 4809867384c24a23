/*
** loop.h - the outside world: waiting for time and for file descriptors.
**
** The only room that knows libev. Nothing of libev exists until a file
** descriptor is first waited for; a state that only deals in time never
** opens one.
*/

#ifndef neap_loop_h
#define neap_loop_h

#include "sched.h"

HIDDEN_BEGIN

enum { IO_READ = 1, IO_WRITE = 2 };

/* why a task was woken that waited for a descriptor: that was closed, or the
   system does not watch it */
#define WHY_CLOSED (WHY_CANCEL + 1)
#define WHY_REFUSED (WHY_CANCEL + 2)

/* the system's reason for that */
const char *loop_refusal (Sched *S);

/* make the loop if there is none yet; may raise */
void loop_open (lua_State *L, Sched *S);

/* wait up to 'wait' seconds (NEVER: without end) for something to happen */
void loop_poll (Sched *S, double wait);

/* tell the kernel what is waited for, for somebody else will do the polling;
   may wake those whose descriptor was closed */
void loop_flush (Sched *S);

/* the line of those who wait for this, made if need be; may raise */
Line *loop_line (lua_State *L, Sched *S, int fd, int what);

/* the descriptor whose line it is */
int loop_line_fd (Line *line, int what);

/* If this is the child of a fork that nobody has noticed yet: part with the
   parent. Before the first use of a lock that other threads take: in the child
   there are none of them, but what they held is held. */
void loop_check_fork (Sched *S);

/* somebody joined the line: watch the descriptor */
void loop_watch (Sched *S, int fd);

/* somebody has left it, who was not woken by what is watched */
void loop_left (Sched *S, int fd);

/* is it open, and not libev's own? That one nobody else can have opened. */
int loop_is_open (const Sched *S, int fd);

/* the same for a descriptor of ours, before whose closing 'loop_forget' is
   called; it costs no system call when nothing has changed */
void loop_watch_steady (Sched *S, int fd);

/* the number stands for a file that has just been opened */
void loop_anew (Sched *S, int fd);

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
