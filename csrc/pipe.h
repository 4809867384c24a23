/*
** pipe.h - a pipe through which this process wakes itself.
**
** Neither end blocks, and neither is left open in programs that it starts.
*/

#ifndef neap_pipe_h
#define neap_pipe_h

#include <sys/types.h>

#include "hidden.h"

HIDDEN_BEGIN

/* 0, or -1 and errno */
int pipe_open (int fd[2]);

/* let the reader wake up: one byte, or none where there is no room, for a full
   pipe wakes it as well. Signal handlers may call it. */
void pipe_wake (int in);

/* a new one in its place, under the same numbers: the child of a fork would
   take what was meant for its parent. If there is none to be had, nothing
   happens. */
void pipe_renew (int in, int out);

/* 'write', to any pipe: no signal tells that nobody reads it (EPIPE) */
ssize_t pipe_write (int fd, const char *p, size_t n);

HIDDEN_END

#endif
