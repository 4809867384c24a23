/*
** fd.h - descriptors that belong to an object: the ends of pipes.
*/

#ifndef neap_fd_h
#define neap_fd_h

#include "sched.h"

HIDDEN_BEGIN

/* a pipe that programs started by this process do not inherit; 0, or -1 and
   errno. When there are no descriptors left, garbage may have some. */
int fd_pipe (lua_State *L, int fd[2]);

HIDDEN_END

#endif
