/*
** row.h - what stream.c, where items are asked for, and row.c, where they pass,
** know of each other.
*/

#ifndef neap_row_h
#define neap_row_h

#include "stream.h"

HIDDEN_BEGIN

/* indices on the stack of 'next' and 'close'; an item is above */
enum { AT_STREAM = 1, AT_HANDLER, AT_ERROR = AT_HANDLER };

/* the turn of whoever was in 'next' or 'close' is over */
void stream_rest (Sched *S, Stream *s);

/* nothing more will come, and nothing is left to be closed */
void stream_end (lua_State *L, Sched *S, Stream *s);

/* a stage has failed with the error on top: close the source, raise it */
int stream_fail (lua_State *L);

/* what is done when the source has been closed */
enum { THEN_END, THEN_RAISE, THEN_GO_ON, THEN_RETURN };

/* close the source, if that is still to be done, and go on with 'then' */
int stream_close_source (lua_State *L, int then);

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
