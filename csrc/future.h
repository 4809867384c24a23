/*
** future.h - futures, for rooms and hosts that settle or await them in C.
*/

#ifndef neap_future_h
#define neap_future_h

#include "sched.h"

HIDDEN_BEGIN

/* push a new future */
void future_new (lua_State *L);

/*
** Settle the future at 'idx' with the 'n' values on top, or reject it with the
** one there; pops them. The first settlement stays. May raise for memory if
** n > 1, then nothing has changed.
*/
void future_settle (lua_State *L, Sched *S, int idx, int rejected, int n);

/* is it settled? */
int future_is_done (lua_State *L, int idx);

/* let the running task wait for the future at 'idx'; the caller yields next */
void future_park (lua_State *L, Sched *S, Task *t, int idx);

/* push the values of the settled future at 'idx', how many; raises its error */
int future_deliver (lua_State *L, int idx);

/* is there a future at 'idx'? */
int future_test (lua_State *L, int idx);

HIDDEN_END

#endif
