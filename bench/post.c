/*
** post.c - what a post from another thread costs: a million of them, of which
** none may be lost. Run by 'make bench'; prints nanoseconds for one post, in
** the thread that posts and in the one that receives.
*/

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <lualib.h>

#include "neap.h"

enum { POSTS = 1000000 };

static long arrived = 0;


static void arrive (lua_State *L, void *ud) {
  (void)ud;
  if (L != NULL) arrived++;
}


static double seconds (clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}


typedef struct Sender {
  const neap_Api *neap;
  neap_Poster *poster;
  double took; /* processor time of the thread */
  long sent;
} Sender;

static void *send_all (void *ud) {
  Sender *s = (Sender *)ud;
  double start = seconds(CLOCK_THREAD_CPUTIME_ID);
  int i;
  for (i = 0; i < POSTS; i++) s->sent += s->neap->post(s->poster, arrive, NULL);
  s->took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  s->neap->release(s->poster);
  return NULL;
}


int main (void) {
  Sender s = { NULL, NULL, 0, 0 };
  pthread_t thread;
  double start, took;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  s.neap = neap_open(L, NULL);
  if (s.neap == NULL) return 1;
  s.poster = s.neap->poster(L);
  if (s.poster == NULL) return 1;
  start = seconds(CLOCK_THREAD_CPUTIME_ID);
  if (pthread_create(&thread, NULL, send_all, &s) != 0) return 1;
  while (arrived < POSTS) s.neap->step(L, 0.001);
  took = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  pthread_join(thread, NULL);
  lua_close(L);
  printf("%ld posts from another thread, %ld arrived: %.0f ns to post, %.0f ns "
         "to receive\n",
         s.sent, arrived, s.took / POSTS * 1e9, took / POSTS * 1e9);
  return s.sent == POSTS && arrived == POSTS ? 0 : 1;
}
