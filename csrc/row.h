/*
** row.h - how items pass through streams.
*/

#ifndef neap_row_h
#define neap_row_h

#include "stream.h"

HIDDEN_BEGIN

#define PULLING (-1) /* the place of an item that is still with the source */

/* an item, if there is one, stands before stage 'i': move it on until it has
   passed, or the next one, or there is none; in 'fill' until enough have */
int row_go_on (lua_State *L, Sched *S, Stream *s, int i);

/* can the source fill the table of 'fill' by itself? */
int row_is_direct (lua_State *L, const Stream *s);

/* when the core is opened */
void row_prepare (lua_State *L);

HIDDEN_END

#endif
