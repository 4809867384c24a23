/*
** rate.h - so many starts in a while: when the next one may be.
**
** In no window of 'per' seconds, wherever it begins, are there more than
** 'limit' starts, nor two of them closer than 'gap'. That a start is expected
** ("pending") is known before it happens, but not when it will: it takes up a
** place in every window.
*/

#ifndef neap_rate_h
#define neap_rate_h

#include "sched.h"

HIDDEN_BEGIN

typedef struct Rate {
  lua_Integer limit; /* starts in 'per' seconds; 0: any number */
  double per;
  double gap;         /* from one start to the next, at least */
  double *starts;     /* when they were, those of the last 'per' seconds: */
  lua_Integer size;   /* ... a ring of so many places, */
  lua_Integer oldest; /* ... which begins here, */
  lua_Integer n;      /* ... with so many in it */
} Rate;

/* the others are for rates of which this is false */
static inline int rate_is_unlimited (const Rate *r) {
  return r->limit == 0;
}

/* make room for 'more' starts; the ring is user value 'keeper' of the object at
   index 1. May raise for memory, then nothing has changed. */
void rate_reserve (lua_State *L, Sched *S, Rate *r, int keeper,
                   lua_Integer more);

/* there is a start now, for which there is room */
void rate_note (Rate *r, double now);

/* starts that no window has in common with a start now need not be kept; nor any
   when the last is yet to come: the clock was chosen anew */
void rate_forget (Rate *r, double now);

/* when there may be one beside the pending ones; NEVER: not before one of those
   was noted */
double rate_due (const Rate *r, lua_Integer pending);

HIDDEN_END

#endif
