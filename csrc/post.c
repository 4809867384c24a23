/*
** post.c - what other threads have done; see post.h.
**
** The queue is a list, and whoever finds it empty writes a byte into a pipe
** that the loop watches; so a thousand posts wake the loop once. Draining
** takes the whole list at once and calls outside the lock: what is called may
** post again, and that comes next time.
*/

#include "post.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "pipe.h"
#include "traceback.h"

struct neap_Poster {
  pthread_mutex_t lock; /* of all below */
  Posted *first, **end;
  int owners; /* the state is one as long as it lives */
  int closed; /* the state is gone */
  int pipe[2];
};


static neap_Poster *make (void) {
  neap_Poster *p = (neap_Poster *)malloc(sizeof(neap_Poster));
  if (p == NULL) return NULL;
  memset(p, 0, sizeof *p);
  p->end = &p->first;
  p->owners = 1;
  if (pipe_open(p->pipe) != 0) {
    free(p);
    return NULL;
  }
  pthread_mutex_init(&p->lock, NULL);
  return p;
}


static void unmake (neap_Poster *p) {
  close(p->pipe[0]);
  close(p->pipe[1]);
  pthread_mutex_destroy(&p->lock);
  free(p);
}


/* under the lock */
static void wake (neap_Poster *p) {
  pipe_wake(p->pipe[1]);
}


/* In the child of a fork the pipe is no longer to be the parent's. A thread of
   that may have been adding something: where the list ends is looked for. */
static void renew (Sched *S) {
  neap_Poster *p = S->poster;
  pthread_mutex_init(&p->lock, NULL);
  for (p->end = &p->first; *p->end != NULL; p->end = &(*p->end)->next) continue;
  pipe_renew(p->pipe[0], p->pipe[1]);
  if (p->first != NULL) wake(p); /* posted before the fork */
}


neap_Poster *post_try (lua_State *L, Sched *S) {
  loop_check_fork(S);
  if (S->poster == NULL) {
    neap_Poster *p;
    loop_open(L, S);
    p = make();
    if (p == NULL || !loop_waker(S, p->pipe[0])) {
      int error = errno;
      if (p != NULL) unmake(p);
      errno = error;
      return NULL;
    }
    S->poster = p;
    S->renew[RENEW_POSTER] = renew;
  }
  pthread_mutex_lock(&S->poster->lock);
  S->poster->owners++;
  pthread_mutex_unlock(&S->poster->lock);
  return S->poster;
}


neap_Poster *post_open (lua_State *L, Sched *S) {
  neap_Poster *p = post_try(L, S);
  if (p == NULL) luaL_error(L, "cannot make a poster: %s", strerror(errno));
  return p;
}


void post_release (neap_Poster *p) {
  int owners;
  pthread_mutex_lock(&p->lock);
  owners = --p->owners;
  if (owners == 1) wake(p); /* nobody to wait for any more */
  pthread_mutex_unlock(&p->lock);
  if (owners == 0) unmake(p);
}


static int add (neap_Poster *p, Posted *x) {
  int added;
  x->next = NULL;
  pthread_mutex_lock(&p->lock);
  added = !p->closed;
  if (added) {
    if (p->first == NULL) wake(p);
    *p->end = x;
    p->end = &x->next;
  }
  pthread_mutex_unlock(&p->lock);
  return added;
}


int post_add (neap_Poster *p, neap_Posted fn, void *ud) {
  Posted *x = (Posted *)malloc(sizeof(Posted));
  if (x == NULL) return 0;
  x->fn = fn;
  x->ud = ud;
  x->borrowed = 0;
  if (add(p, x)) return 1;
  free(x);
  return 0;
}


int post_add_borrowed (neap_Poster *p, Posted *x) {
  x->borrowed = 1;
  return add(p, x);
}


static Posted *take_all (neap_Poster *p) {
  char bytes[64];
  Posted *first;
  pthread_mutex_lock(&p->lock);
  first = p->first;
  p->first = NULL;
  p->end = &p->first;
  while (read(p->pipe[0], bytes, sizeof bytes) > 0) continue;
  pthread_mutex_unlock(&p->lock);
  return first;
}


/* a place of which the function is about to be called */
typedef struct Turn {
  Posted *place;
  int begun;
} Turn;


static int call (lua_State *L) {
  Turn *turn = (Turn *)lua_touserdata(L, 1);
  turn->begun = 1;
  lua_settop(L, 0);
  turn->place->fn(L, turn->place->ud);
  return 0;
}


/* without memory it could not be called: from it on all wait at the head of the
   queue, which whoever waits for it is to see again */
static void put_back (neap_Poster *p, Posted *x) {
  Posted *last = x;
  while (last->next != NULL) last = last->next;
  pthread_mutex_lock(&p->lock);
  if (p->first == NULL) {
    p->end = &last->next;
    wake(p);
  }
  last->next = p->first;
  p->first = x;
  pthread_mutex_unlock(&p->lock);
}


void post_drain (lua_State *L, Sched *S) {
  Posted *x;
  loop_check_fork(S);
  x = take_all(S->poster);
  while (x != NULL) {
    Posted *next = x->next;
    int borrowed = x->borrowed; /* then 'fn' may free it */
    Turn turn = { x, 0 };
    lua_pushcfunction(L, call);
    lua_pushlightuserdata(L, &turn);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      if (!turn.begun) {
        lua_pop(L, 1);
        put_back(S->poster, x);
        return;
      }
      lua_pushnil(L);
      error_hook(L, S, "on_unhandled");
    }
    if (!borrowed) free(x);
    x = next;
  }
}


int post_expected (Sched *S) {
  int owners;
  if (S->poster == NULL) return 0;
  loop_check_fork(S);
  pthread_mutex_lock(&S->poster->lock);
  owners = S->poster->owners;
  pthread_mutex_unlock(&S->poster->lock);
  return owners > 1;
}


int post_has (const Sched *S, const Posted *x) {
  const Posted *p = S->poster->first;
  while (p != NULL && p != x) p = p->next;
  return p != NULL;
}


void post_close (Sched *S) {
  neap_Poster *p = S->poster;
  Posted *x;
  if (p == NULL) return;
  loop_check_fork(S);
  S->poster = NULL;
  S->renew[RENEW_POSTER] = NULL;
  pthread_mutex_lock(&p->lock);
  p->closed = 1;
  pthread_mutex_unlock(&p->lock);
  for (x = take_all(p); x != NULL;) {
    Posted *next = x->next;
    int borrowed = x->borrowed;
    x->fn(NULL, x->ud);
    if (!borrowed) free(x);
    x = next;
  }
  post_release(p);
}
