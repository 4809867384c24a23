/*
** timer.c - the heap of deadlines; see timer.h.
**
** Invariant: no entry is before its parent, and each timer holds the index
** of its entry. Four children a node: half the depth of a binary heap, and
** the children share one or two cache lines.
*/

#include "timer.h"

/* so the children of i are at 4 * i - 2 and the three places after it */
#define parent_of(i) (((i) + 2) / 4)


/* all operands, always: a jump over one could not be foreseen */
static inline uint32_t before (const Entry *a, const Entry *b) {
  return (uint32_t)(a->when < b->when) |
         ((uint32_t)(a->when == b->when) & (uint32_t)(a->key < b->key));
}


static inline void put (Heap *h, uint32_t i, Entry e) {
  h->entry[i] = e;
  *e.timer = i;
}


static void up (Heap *h, uint32_t i, Entry e) {
  while (i > 1 && before(&e, &h->entry[parent_of(i)])) {
    put(h, i, h->entry[parent_of(i)]);
    i = parent_of(i);
  }
  put(h, i, e);
}


/* the earliest of the siblings of which c is the first */
static inline uint32_t earliest (const Heap *h, uint32_t c) {
  const Entry *x = &h->entry[c];
  uint32_t best, other;
  if (c + 3 <= h->n) {
    best = before(x + 1, x);
    other = 2 + before(x + 3, x + 2);
    return c + (before(x + other, x + best) ? other : best);
  }
  for (best = 0, other = 1; c + other <= h->n; other++)
    if (before(x + other, x + best)) best = other;
  return c + best;
}


static void down (Heap *h, uint32_t i, Entry e) {
  uint32_t c;
  while ((c = 4 * i - 2) <= h->n) {
    c = earliest(h, c);
    if (!before(&h->entry[c], &e)) break;
    put(h, i, h->entry[c]);
    i = c;
  }
  put(h, i, e);
}


void timer_set (Heap *h, Timer *t, TimerType type, double at) {
  Entry e;
  e.when = timer_bits(at);
  e.key = h->seq++ << 2 | (uint64_t)type;
  e.timer = t;
  up(h, ++h->n, e);
}


void timer_clear (Heap *h, Timer *t) {
  uint32_t i = *t;
  Entry last;
  if (i == 0) return;
  *t = 0;
  last = h->entry[h->n--];
  if (i > h->n) return; /* it was the last entry */
  if (i > 1 && before(&last, &h->entry[parent_of(i)]))
    up(h, i, last);
  else
    down(h, i, last);
}


/*
** Those that are due with the first are a part of the tree that hangs together,
** at its top. Visits the part below 'i'; '*k' counts down, and where it is 0
** stands the one that is returned; '*types' gets the types of those before.
*/
static Timer *walk (const Heap *h, uint32_t i, uint64_t end, uint32_t *k,
                    int *types) {
  uint32_t c;
  Timer *found = NULL;
  if (i > h->n || h->entry[i].when > h->entry[1].when ||
      h->entry[i].key >> 2 >= end)
    return NULL;
  if ((*k)-- == 0) return h->entry[i].timer;
  *types |= 1 << (h->entry[i].key & 3);
  for (c = 4 * i - 2; c < 4 * i + 2 && found == NULL; c++)
    found = walk(h, c, end, k, types);
  return found;
}


uint32_t heap_ties (const Heap *h, uint64_t end) {
  uint32_t k = UINT32_MAX;
  int types = 0;
  walk(h, 1, end, &k, &types);
  return types == 1 << TIMER_TASK ? 1 : UINT32_MAX - k;
}


Timer *heap_tie (const Heap *h, uint64_t end, uint32_t k) {
  int types = 0;
  return walk(h, 1, end, &k, &types);
}


static int resize (Heap *h, HeapAlloc alloc, void *ud, uint32_t size) {
  size_t old = h->entry == NULL ? 0 : (h->size + 1) * sizeof(Entry);
  void *p = alloc(ud, h->entry, old, (size + 1) * sizeof(Entry));
  if (p == NULL) return 0;
  h->entry = (Entry *)p;
  h->size = size;
  return 1;
}


int heap_reserve (Heap *h, HeapAlloc alloc, void *ud) {
  if (h->reserved == h->size) {
    uint32_t size = h->size < 16 ? 16 : h->size * 2;
    if (size <= h->size || !resize(h, alloc, ud, size)) return 0;
  }
  h->reserved++;
  return 1;
}


void heap_unreserve (Heap *h, HeapAlloc alloc, void *ud) {
  h->reserved--;
  if (h->size > 256 && h->reserved < h->size / 8)
    resize(h, alloc, ud, h->size / 4); /* if it fails, nothing is lost */
}


void heap_free (Heap *h, HeapAlloc alloc, void *ud) {
  if (h->entry != NULL) alloc(ud, h->entry, (h->size + 1) * sizeof(Entry), 0);
  h->entry = NULL;
  h->n = h->size = h->reserved = 0;
}
