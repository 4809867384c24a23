/*
** leftover.h - what a generator is, and how those end that nobody closes.
*/

#ifndef neap_leftover_h
#define neap_leftover_h

#include "sched.h"

HIDDEN_BEGIN

enum {
  GEN_FRESH,    /* nothing of its body has run */
  GEN_AT_YIELD, /* its body waits to be asked for the next value */
  GEN_RUNNING,  /* in a 'next' or 'close' of 'runner' */
  GEN_PROMISED, /* 'runner' was woken to have its turn */
  GEN_ENDED
};

/* what has advanced it */
enum {
  HOME_NONE, /* no task so far: it is closed where it is found */
  HOME_HOST, /* tasks of the host only */
  HOME_RUN   /* a task of 'run': it is closed at the end of that */
};

/* user value 1 is the coroutine, until the end */
typedef struct Generator {
  Object object;
  Strand strand; /* its coroutine, and the way to the consumer */
  Task *runner;  /* NULL: outside of all tasks */
  Line turn;     /* tasks that wait for their turn */
  Link link;     /* place among those that are open, dropped or put off */
  Line *line;    /* which; NULL: in none */
  uint8_t state;
  uint8_t closing; /* it is being closed */
  uint8_t refused; /* yields that raised because of that, or of 'fault' */
  uint8_t failed;  /* its body has ended with an error */
  uint8_t hooked;  /* its coroutine has our hook, in place of: */
  uint8_t home;
  int mask, count;
  lua_Hook hook;
  const char *fault; /* what was wrong with what it emitted, for our hook */
} Generator;

extern const char generator_mark;

/* the generator at 'idx', or NULL if that is something else */
#define generator_test(L, idx) ((Generator *)object_at(L, idx, &generator_mark))

/* push the generator that lies at the bottom of this coroutine, which is L or
   suspended; NULL if there is none, then nothing is pushed */
Generator *generator_push (lua_State *L, lua_State *co);

/* it has begun in a task, or goes on in one: note it as open */
void generator_open (Sched *S, Generator *g);

/*
** Its body is to be ended where it cannot wait, inside of others that are: the
** outermost of these ends it, by 'generator_close_rest'. So the depth of what
** is ended does not grow on the C stack.
*/
void generator_put_off (Sched *S, Generator *g);
void generator_close_rest (lua_State *L, Sched *S);

/* for 'run' and 'step': let tasks close what was dropped, those of the host in
   its scope, the others in 's'; the number of the latter */
int generator_close_dropped (lua_State *L, Sched *S, Scope *s);

/* at the end of 'run': the same for all that were advanced in it */
int generator_close_all (lua_State *L, Sched *S);

/* a host ends everything: note all that are open as dropped */
void generator_drop_all (Sched *S);

/* end them all here and now */
void generator_kill_all (lua_State *L, Sched *S);

/* __gc */
int generator_gc (lua_State *L);

HIDDEN_END

#endif
