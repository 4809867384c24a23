/*
** stream.h - what those who make streams, read them and move their items know.
*/

#ifndef neap_stream_h
#define neap_stream_h

#include "source.h"

HIDDEN_BEGIN

#define STREAM_CLASS "neap.stream"
#define STREAM_VALUES "neap.values" /* the class of such tables */

/* what a stage does with an item; those up to STAGE_TAKE_WHILE have a
   function */
typedef enum StageKind {
  STAGE_MAP,
  STAGE_FILTER,
  STAGE_TAKE_WHILE,
  STAGE_TAKE,
  STAGE_SKIP
} StageKind;

typedef struct Stage {
  lua_Integer count; /* map: items so far; take, skip: items to go */
  StageKind kind;
} Stage;

enum {
  STREAM_READY,
  STREAM_BUSY,     /* in a 'next' or 'close' of 'runner' */
  STREAM_PROMISED, /* 'runner' was woken to have its turn */
  STREAM_HANDED_ON,
  STREAM_ENDED
};

typedef struct Stream {
  Object object;
  Task *runner;      /* NULL: outside of all tasks */
  uint32_t slot, id; /* of the runner, to see that it lives */
  Line turn;         /* tasks that wait for their turn */
  lua_Integer taken; /* items taken of a table, ... */
  lua_Integer total; /* ... of so many */
  lua_Integer kept;  /* items in the table that 'fill' fills, ... */
  lua_Integer want;  /* ... until there are so many; 0: in 'next' */
  Source source;
  int at; /* the stage that the item is at, or PULLING */
  int nstages;
  uint8_t state;
  uint8_t scoped; /* a map's function runs in a scope of its own */
  uint8_t last;   /* nothing more is taken: 'take' has had its items */
  uint8_t own;    /* its source is closed also when that has raised */
  uint8_t tasks;  /* ... and has tasks of its own: only tasks can read it */
  uint8_t holes;  /* an item that is nil is given as stream_hole */
  uint8_t whole;  /* an item of several values is given as one: a table */
  uint8_t direct; /* in 'fill', with a generator that fills the table itself */
  Stage stage[];
} Stream;

/* user values */
enum {
  STREAM_SOURCE = 1, /* when it was handed on: the stream that took it over */
  STREAM_CLOSE,      /* what is called with the source to close it, or nil */
  STREAM_KEYS,       /* of SOURCE_KEYS: a list of the keys */
  STREAM_INTO,       /* the table that 'fill' fills, in it */
  STREAM_FN          /* of the first stage; the others behind it */
};

/* a new one is from now on a stream */
void stream_mark (Stream *s);

/* the stream at 'idx', or NULL if that is something else */
Stream *stream_test (lua_State *L, int idx);

/* self, in a method */
Stream *stream_check (lua_State *L, const char *fname);

/* is some task in 'next' or 'close'? */
int stream_is_busy (Stream *s);

/* indices on the stack of 'next' and 'close': an item is above the handler, and so
   is the error of the loop that 'close' is told of */
enum { AT_STREAM = 1, AT_HANDLER, AT_ERROR };

/* the task, or NULL outside of tasks, is in 'next' or 'close' from now on */
void stream_enter (Stream *s, Task *t);

/* the turn of whoever was in 'next' or 'close' is over */
void stream_rest (Sched *S, Stream *s);

/* nothing more will come, and nothing is left to be closed */
void stream_end (lua_State *L, Sched *S, Stream *s);

/* close the source, if that is still to be done, and go on with 'then', which
   gets the status of that, and the stream */
int stream_close_source (lua_State *L, Stream *s, lua_KFunction then);

/* close it, end the stream, return nil */
int stream_finish (lua_State *L, Stream *s);

/* a stage has failed with the error on top: close it, end, raise the error */
int stream_fail (lua_State *L, Stream *s);

/* the error on top lost against an earlier one; pops it */
void stream_suppress (lua_State *L, Sched *S);

/* stands for an item that is nil, a hole in a list */
extern const char stream_hole;

HIDDEN_END

#endif
