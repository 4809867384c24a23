/*
** origin.h - which failure an error is of.
*/

#ifndef neap_origin_h
#define neap_origin_h

#include "sched.h"

HIDDEN_BEGIN

/*
** The error on top is given to task 't', if not NULL, by what is at 'giver':
** the handle of a task that ended with it, a future, a channel. Never raises.
*/
void origin_given (lua_State *L, Task *t, int giver);

/* push what the error at 'error', which the task with the handle at 'holder'
   has ended with or is about to raise, is known by */
void origin_push (lua_State *L, int holder, int error);

HIDDEN_END

#endif
