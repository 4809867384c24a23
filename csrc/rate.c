/*
** rate.c - so many starts in a while; see rate.h.
**
** Of all starts the last 'limit' decide, and of these the ones that are not
** older than a window. They stand in a ring, which grows when a start is
** announced ('rate_reserve'), so that the start itself needs no memory.
**
** Invariant: the ring has the starts in the order of their times; all that a
** window has in common with a start from now on are there.
*/

#include "rate.h"

/* places of the smallest ring */
#define LEAST 8


/* the i-th of the starts that are kept, from 0 */
static double start_at (const Rate *r, lua_Integer i) {
  return r->starts[(r->oldest + i) % r->size];
}


/* A time after another one, as a timer keeps it. Some machines (i386) calculate
   with more digits: then the time that a timer was set for could be before the
   end of the window that it was set for. */
static double later (double time, double seconds) {
  volatile double at = time + seconds;
  return at;
}


void rate_forget (Rate *r, double now) {
  if (r->n > 0 && start_at(r, r->n - 1) > now) r->n = 0;
  while (r->n > 0 && later(start_at(r, 0), r->per) <= now) {
    r->oldest = (r->oldest + 1) % r->size;
    r->n--;
  }
}


/* as many places as are needed for 'more' starts */
static inline lua_Integer places (const Rate *r, lua_Integer more) {
  return r->n + more < r->limit ? r->n + more : r->limit;
}


void rate_reserve (lua_State *L, Sched *S, Rate *r, int keeper,
                   lua_Integer more) {
  lua_Integer size, i;
  double *starts;
  if (places(r, more) <= r->size) return;
  rate_forget(r, sched_now(S)); /* maybe that is enough */
  size = places(r, more);
  if (size <= r->size) return;
  size = size < LEAST ? LEAST : size * 2;
  if (size > r->limit) size = r->limit;
  starts = (double *)lua_newuserdatauv(L, (size_t)size * sizeof(double), 0);
  for (i = 0; i < r->n; i++) starts[i] = start_at(r, i);
  lua_setiuservalue(L, 1, keeper);
  r->starts = starts;
  r->size = size;
  r->oldest = 0;
}


void rate_note (Rate *r, double now) {
  rate_forget(r, now);
  invariant(r->n < r->size);
  r->starts[(r->oldest + r->n++) % r->size] = now;
}


double rate_due (const Rate *r, lua_Integer pending) {
  lua_Integer others = r->limit - pending; /* as many as its window holds */
  double at = 0;
  if (others <= 0 || (r->gap > 0 && pending > 0)) return NEVER;
  if (r->n >= others) at = later(start_at(r, r->n - others), r->per);
  if (r->gap > 0 && r->n > 0) {
    double next = later(start_at(r, r->n - 1), r->gap);
    if (next > at) at = next;
  }
  return at;
}
