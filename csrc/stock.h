/*
** stock.h - coroutines that are used again.
**
** Making a coroutine costs several times what running a short task in a used
** one does. Each that exists has a place in the stock, so that giving it back
** cannot fail.
*/

#ifndef neap_stock_h
#define neap_stock_h

#include "sched.h"

HIDDEN_BEGIN

/* see to it that there is a free one; may run finalizers, and raise */
void stock_fill (lua_State *L, Sched *S);

/* push a free one, with nothing on its stack. Behind 'stock_fill', with nothing
   between them that runs finalizers; cannot fail. */
lua_State *stock_take (lua_State *L, Sched *S);

/* one that has ended well, or was reset, is free for others; between runs only
   a few are kept */
void stock_give (lua_State *L, Sched *S, lua_State *co);

/* one that was taken is left to the collector */
#define stock_lose(S) ((void)(S)->ncos--)

/* leave all but 'keep' of the free ones to the collector */
void stock_trim (lua_State *L, Sched *S, uint32_t keep);

HIDDEN_END

#endif
