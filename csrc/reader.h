/*
** reader.h - the methods of streams by which they are read and closed.
*/

#ifndef neap_reader_h
#define neap_reader_h

#include "stream.h"

HIDDEN_BEGIN

/* internal.fill(stream, list, n) -> true or nil: puts items into the list, the
   first value of each, until it has n; nil: the stream has ended before. What
   was put there when this raises is there. For streams that nobody else reads */
int stream_fill (lua_State *L);

/* stream:next, stream:close, and '__close' */
int stream_next (lua_State *L);
int stream_close (lua_State *L);
int stream_leave (lua_State *L);

/* when the core is opened */
void reader_prepare (lua_State *L, Sched *S);

HIDDEN_END

#endif
