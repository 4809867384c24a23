/*
** timer.h - deadlines, in a 4-ary heap keyed (time, sequence).
**
** The sequence number makes equal deadlines fire in the order in which they
** were set. libev's own timers promise no order and know one clock only, so
** libev is asked just for the earliest deadline (loop.h).
**
** A timer is one word inside its owner: its place in the heap, 0 when it is
** not set. Space is reserved when the owner is made ('heap_reserve'), so
** setting a timer allocates nothing and cannot fail.
*/

#ifndef neap_timer_h
#define neap_timer_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hidden.h"

HIDDEN_BEGIN

typedef uint32_t Timer; /* place in the heap; 0: not set */

typedef enum TimerType { TIMER_TASK, TIMER_SCOPE, TIMER_ALARM } TimerType;

typedef struct Entry {
  uint64_t when; /* see timer_bits */
  uint64_t key;  /* sequence number, with the type in the lowest two bits */
  Timer *timer;
} Entry;

typedef struct Heap {
  Entry *entry;      /* entry[1] is the earliest; entry[0] is not used */
  uint32_t n;        /* timers that are set */
  uint32_t size;     /* timers that there is room for */
  uint32_t reserved; /* timers that may be set at the same time */
  uint64_t seq;
} Heap;

/* realloc-like: 'osize' bytes at 'p' become 'nsize'; NULL when it fails */
typedef void *(*HeapAlloc)(void *ud, void *p, size_t osize, size_t nsize);

/* make room for one more timer; 0 when there is no memory for it */
int heap_reserve (Heap *h, HeapAlloc alloc, void *ud);

/* give one reserved place back; memory goes when much of it is idle */
void heap_unreserve (Heap *h, HeapAlloc alloc, void *ud);

void heap_free (Heap *h, HeapAlloc alloc, void *ud);

/* 't' must not be set, 'at' must be finite and not negative */
void timer_set (Heap *h, Timer *t, TimerType type, double at);

/* harmless if 't' is not set */
void timer_clear (Heap *h, Timer *t);

/* a time >= 0 as a whole number with the same order, and back: which of two
   numbers is less is known without a jump, which could not be foreseen */
static inline uint64_t timer_bits (double at) {
  uint64_t bits;
  memcpy(&bits, &at, sizeof bits);
  return bits;
}

static inline double timer_seconds (uint64_t bits) {
  double at;
  memcpy(&at, &bits, sizeof at);
  return at;
}

#define timer_at(h, t) timer_seconds((h)->entry[t].when)
#define heap_earliest(h) timer_at(h, 1)
#define heap_first(h) ((h)->entry[1].timer)
#define heap_first_seq(h) ((h)->entry[1].key >> 2)
#define timer_type(h, t) ((TimerType)((h)->entry[*(t)].key & 3))

/* how many are due with the first, of those set before number 'end'; 1 if all
   of them only wake tasks, for these take turns anyway */
uint32_t heap_ties (const Heap *h, uint64_t end);

/* the k-th of them, in an order of the heap's own */
Timer *heap_tie (const Heap *h, uint64_t end, uint32_t k);

HIDDEN_END

#endif
