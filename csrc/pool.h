/*
** pool.h - what pool.c, where items are worked off, and poollib.c, where pools
** begin and end, know of them.
*/

#ifndef neap_pool_h
#define neap_pool_h

#include "source.h"
#include "task.h"

HIDDEN_BEGIN

/* on the stack of a worker, and in part on that of the caller */
enum { AT_POOL = 1, AT_ITEMS, AT_FN, AT_RESULTS, AT_HANDLER, AT_KEY };

typedef struct Pool {
  Sched *S;
  Scope *scope;
  Line turn; /* workers that wait to read the source */
  Source source;
  int pulling;   /* somebody reads the source */
  int exhausted; /* no further item is taken */
  int ended;     /* the source has ended or raised: do not close it */
  int stop_on_error;
  int progress; /* there is a callback */
  int skips;    /* items were left out */
  int entries;  /* items are what is called or awaited, without arguments; SKIP
                  and STOP are results like any other */
  lua_Integer idle;    /* workers in 'turn' */
  lua_Integer born;    /* workers there ever were */
  lua_Integer limit;   /* workers there may be */
  lua_Integer next;    /* index of the last item taken */
  lua_Integer key;     /* the last one taken of the list of keys */
  lua_Integer total;   /* items of a table; -1 if it is not known */
  lua_Integer done;    /* items that have ended */
  lua_Integer stop;    /* index of the item that said STOP, or the maximum */
  lua_Integer nerrors; /* errors kept, when not stopping on them */
  lua_Integer group;   /* batched: items of a group; 0: there are none */
  lua_Integer full;    /* ... index of the last item of this group */
  lua_Integer active;  /* items that run */
  Line grouped;        /* workers that wait for the next group */
  double item_timeout;
} Pool;

/* user values of the pool */
enum {
  POOL_WORK = 1,
  POOL_PROGRESS,
  POOL_ERRORS,
  POOL_KEYS, /* of SOURCE_KEYS: a list of the keys */
  POOL_SIGNAL,
  POOL_VALUES = 5
};

/* what Lua has of a worker's task */
typedef struct Worker {
  Handle handle;
  Pool *pool;
  lua_Integer index; /* of its item; 0: none */
} Worker;

/* push the error that the table of errors has of item 'index', if any */
int pool_kept (lua_State *L, int errors, lua_Integer index);

/* what was kept of items behind 'last' is not going to be raised: tell of it */
void pool_suppress (lua_State *L, Pool *p, lua_Integer last);

/* the body of a worker, with the scheduler as its upvalue */
int pool_work (lua_State *L);

/* protected: bear the first workers; arguments: what is at AT_POOL ...
   AT_RESULTS, and how many */
int pool_begin (lua_State *L);

/* for the opener */
void pool_kinds (Sched *S);

HIDDEN_END

#endif
