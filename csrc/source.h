/*
** source.h - items: what pools and streams read from, and what functions over
** items may answer.
*/

#ifndef neap_source_h
#define neap_source_h

#include "sched.h"

HIDDEN_BEGIN

typedef enum Source {
  SOURCE_LIST, /* a table: 1 ... total, where nil is an item, too */
  SOURCE_KEYS, /* a table with other keys */
  SOURCE_CALL  /* called until it returns nil */
} Source;

/*
** What kind of items the value at 'idx' is, argument 'arg' of 'fname', and how
** many they are now (-1: not known). Raises if it is none.
*/
Source source_of (lua_State *L, int idx, int arg, const char *fname,
                  lua_Integer *total);

/* push a list of the keys of the table at 'idx', for it may change while its items
   are worked on: then 'next' might lose its way, or find no end. May raise. */
void source_push_keys (lua_State *L, int idx);

/* push the function that is called with the source at 'idx' to end it early,
   its metafield '__neap_close', which may suspend; 0: there is none */
int source_push_close (lua_State *L, int idx);

/* values that stand for themselves: neap.SKIP, neap.STOP */
extern const char source_skip, source_stop;

#define push_mark(L, m) lua_pushlightuserdata(L, (void *)(size_t)(&(m)))
#define is_mark(L, idx, m) (lua_touserdata(L, idx) == (const void *)&(m))

HIDDEN_END

#endif
