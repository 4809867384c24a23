/*
** interrupt.h - Ctrl-C, for programs that ask for it.
*/

#ifndef neap_interrupt_h
#define neap_interrupt_h

#include "hidden.h"

HIDDEN_BEGIN

/*
** From now on SIGINT can be read from the descriptor returned, once; a second
** one has its default effect. -1 and errno when that cannot be had.
*/
int interrupt_open (void);

/* SIGINTs that came */
int interrupt_read (int fd);

/* in the child of a fork: no longer share what 'fd' reads with the parent */
void interrupt_renew (int fd);

/* back to what it was */
void interrupt_close (int fd);

HIDDEN_END

#endif
