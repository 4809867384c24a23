/*
** fork.h - to notice a fork without asking the system each time.
*/

#ifndef neap_fork_h
#define neap_fork_h

#include "hidden.h"

HIDDEN_BEGIN

/* a mark that is 1 here and 0 in the child of a fork, where it can be set
   again; NULL where the system has no such thing */
volatile int *fork_mark (void);

void fork_unmark (volatile int *mark);

HIDDEN_END

#endif
