/*
** wire.h - what goes over a socket, as wire.c, and quick.c above it, know it.
*/

#ifndef neap_wire_h
#define neap_wire_h

#include <sys/socket.h>

#include "cancel.h"
#include "io.h"

HIDDEN_BEGIN

/* for 'send'; where there is none LuaSocket sets SO_NOSIGPIPE */
#if defined(MSG_NOSIGNAL)
#define WIRE_FLAGS MSG_NOSIGNAL
#else
#define WIRE_FLAGS 0
#endif

typedef struct Inbox Inbox;

typedef struct Wire {
  Object object;
  int fd;       /* -1: closed */
  int drained;  /* the last receive took all there was */
  Inbox *inbox; /* its user value: what it read into last, or NULL */
} Wire;

/* the wire at 'idx', or NULL if that is something else */
#define wire_at(L, idx) ((Wire *)object_at(L, idx, &wire_mark))
extern const char wire_mark;

/* the running task, if it may suspend here */
Task *wire_task (lua_State *L, const Wire *w);

/* why it cannot even begin: a word, or NULL if it can. Outside of tasks it can
   only if it need not wait. */
const char *wire_objection (const Wire *w, const Task *t, double deadline);

/* why nothing can be done after a wait: a word, or NULL if it can */
const char *wire_hindrance (const Wire *w, const Task *t);

/* have bytes in the inbox of the wire at 'idx', by one system call at most; 1:
   they are there, 0: there are none yet, -1: there will be none, and errno says
   why, 0 at the end. May raise, then nothing has changed. */
int wire_fetch (lua_State *L, Wire *w, int idx);

/* bytes that the wire has read, and Lua has not */
size_t wire_held (const Wire *w);

/* push what is in the inbox, which is empty then */
void wire_hand_over (lua_State *L, Wire *w);

/* push nil, a word, and whether the connection was lost; how many values */
int wire_at_end (lua_State *L);

HIDDEN_END

#endif
