/*
** io.h - waiting for file descriptors, and what pipes, sockets and files share
** of reading and writing them.
*/

#ifndef neap_io_h
#define neap_io_h

#include <sys/types.h>

#include "loop.h"

HIDDEN_BEGIN

/* suspend until a descriptor of ours is ready for 'what' or the deadline has
   come; then 'then' goes on, its context is the task. Whoever closes it calls
   'loop_forget' before. Returns what the caller has to return; may raise, then
   nothing has changed. */
int io_wait (lua_State *L, Task *t, int fd, int what, double deadline,
             lua_KFunction then);

/* 'read', again when a signal interrupts it */
ssize_t io_read (int fd, char *bytes, size_t size);

/* does 'errno' say that there is nothing to be had, or no room, at present? */
int io_would_block (int error);

/* the running task has moved so many bytes, without letting others run */
void io_charge (Sched *S, ssize_t bytes);

/* the open descriptor that the value at 'idx' is: a number, a file, or an object
   that knows; IO_CLOSED if it is not open, IO_NONE if it can be none */
int io_descriptor (lua_State *L, int idx);
#define IO_CLOSED (-1)
#define IO_NONE (-2)

HIDDEN_END

#endif
