/*
** line.h - intrusive waiting lines.
**
** A line is a circular doubly linked list of links that live inside their
** owners, so joining and leaving are O(1) and allocate nothing. Only the
** address of the first link is kept: a line costs one pointer, and a task
** can afford to carry one for those who await it.
**
** Invariant: a link is in at most one line; 'next' of one that is in none
** is NULL.
*/

#ifndef neap_line_h
#define neap_line_h

#include <stddef.h>

typedef struct Link {
  struct Link *prev, *next;
} Link;

typedef struct Line {
  Link *first; /* NULL when nobody waits */
} Line;

/* the structure of type 'T' whose field 'f' is at 'p' */
#define owner_of(p, T, f) ((T *)(void *)(((char *)(p)) - offsetof(T, f)))


static inline void line_join (Line *line, Link *x) {
  Link *first = line->first;
  if (first == NULL) {
    x->prev = x->next = x;
    line->first = x;
  }
  else {
    x->next = first;
    x->prev = first->prev;
    first->prev->next = x;
    first->prev = x;
  }
}


static inline void line_leave (Line *line, Link *x) {
  if (x->next == x)
    line->first = NULL;
  else {
    x->prev->next = x->next;
    x->next->prev = x->prev;
    if (line->first == x) line->first = x->next;
  }
  x->next = NULL;
}


/* the link behind 'x', or NULL if it is the last one */
static inline Link *line_after (const Line *line, const Link *x) {
  return x->next == line->first ? NULL : x->next;
}


/* move everybody from 'from' to the end of 'to' */
static inline void line_append (Line *to, Line *from) {
  Link *a = to->first, *b = from->first;
  if (b == NULL) return;
  if (a == NULL)
    to->first = b;
  else {
    Link *last = b->prev;
    a->prev->next = b;
    b->prev = a->prev;
    last->next = a;
    a->prev = last;
  }
  from->first = NULL;
}

#endif
