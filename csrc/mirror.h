/*
** mirror.h - one descriptor that is readable when one of many is ready.
**
** For hosts that poll for themselves (neap.fd): libev does not tell its own
** descriptor, so what is watched is watched a second time, in an epoll or
** kqueue that is only ever looked at from outside.
*/

#ifndef neap_mirror_h
#define neap_mirror_h

#include "hidden.h"

HIDDEN_BEGIN

/* -1 and errno when there is none to be had */
int mirror_open (void);

/* an empty one in its place, under the same number; 0 if there is none */
int mirror_renew (int mirror);

/* from now on 'fd' counts if it can be read, or written, or (both 0) never; 0
   and errno if the kernel does not watch it */
int mirror_set (int mirror, int fd, int reading, int writing);

HIDDEN_END

#endif
