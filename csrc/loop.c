/*
** loop.c - waiting for the outside world, over libev; see loop.h. What is
** watched is in watch.c.
**
** Callbacks only move tasks to the ready line; Lua never runs inside ev_run,
** so no error can unwind through it.
**
** What the kernel refuses to watch, libev learns when it is about to wait, and
** waits nevertheless; so the first wait after a change is a short one. Our own
** descriptors are tried again.
**
** libev aborts the process in the child of a fork, when there is no other
** descriptor for it to wait in. So we ask whether there is one.
*/

#include "loop.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include "fork.h"
#include "interrupt.h"
#include "mirror.h"

/* each Lua state has a loop of its own, and asks libev more than the least */
#if !EV_MULTIPLICITY || !EV_FEATURE_API
#error "neap needs a libev with EV_MULTIPLICITY and EV_FEATURE_API"
#endif

/* longest wait while not all have been checked, or the kernel may have refused
   one, in seconds */
#define CHECK_WAIT 0.05

struct Loop {
  Watch watch;
  ev_timer timer;
  ev_io interrupt;
  ev_io waker;        /* other threads have posted something (post.h) */
  int forked;         /* the next poll makes it anew */
  volatile int *mark; /* 0 after a fork (fork.h), or NULL */
};


void loop_flush (Sched *S) {
  if (S->watch != NULL) watch_update(S->watch);
}


static void on_time (struct ev_loop *ev, ev_timer *w, int events) {
  (void)ev, (void)w, (void)events; /* it has only to end the wait */
}


static void on_wake (struct ev_loop *ev, ev_io *w, int events) {
  (void)ev, (void)w, (void)events; /* the same; the scheduler looks by itself */
}


/* watch a descriptor of our own; 0 if it was watched already */
static int watch_own (Loop *loop, ev_io *w) {
  if (ev_is_active(w)) return 0;
  ev_io_set(w, w->fd, EV_READ);
  ev_io_start(loop->watch.ev, w);
  loop->watch.told = 1;
  return 1;
}


static void on_interrupt (struct ev_loop *ev, ev_io *w, int events) {
  Sched *S = (Sched *)w->data;
  (void)ev, (void)events;
  S->interrupts += interrupt_read(w->fd);
}


/* ---------------------------------------------------------------------- */
/* waiting */


static void sleep_for (double seconds) {
  struct timespec ts;
  if (seconds > 1e6) seconds = 1e6;
  ts.tv_sec = (time_t)seconds;
  ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
  nanosleep(&ts, NULL); /* a signal ends it early: the caller asks again */
}


/* what is watched, for the host that polls 'mirror'; 0: not all of it, and
   errno */
static int fill_mirror (Sched *S, int mirror) {
  if (S->poster != NULL && !mirror_set(mirror, S->loop->waker.fd, 1, 0))
    return 0;
  return watch_reflect(S->watch, mirror);
}


/* could libev get another one? It closes that which it has before. */
static int can_renew (void) {
  int fd = mirror_open();
  if (fd < 0) return errno == EMFILE || errno == ENOSYS;
  close(fd);
  return 1;
}


/* The child of a fork shares with its parent what the kernel holds: it gets
   its own, under the same numbers, before it changes or reads any of it. */
void loop_check_fork (Sched *S) {
  Loop *loop = S->loop;
  int i;
  if (loop == NULL) return;
  if (loop->mark != NULL ? *loop->mark : S->pid == (int)getpid()) return;
  S->pid = (int)getpid();
  if (loop->mark != NULL) *loop->mark = 1;
  ev_loop_fork(loop->watch.ev);
  loop->forked = 1;
  watch_retell(&loop->watch);
  if (loop->watch.mirror >= 0 && mirror_renew(loop->watch.mirror))
    fill_mirror(S, loop->watch.mirror);
  if (loop->interrupt.data != NULL) interrupt_renew(loop->interrupt.fd);
  for (i = 0; i < RENEWALS; i++)
    if (S->renew[i] != NULL) S->renew[i](S);
}


/* ... again, those that libev has given up; 0 if there are none */
static int watch_again (Sched *S) {
  Loop *loop = S->loop;
  int n = 0;
  if (loop->interrupt.data != NULL) n += watch_own(loop, &loop->interrupt);
  if (S->poster != NULL) n += watch_own(loop, &loop->waker);
  return n;
}


void loop_poll (Sched *S, double wait) {
  Loop *loop = S->loop;
  Watch *watch = S->watch;
  if (loop == NULL) {
    if (wait > 0) sleep_for(wait);
    return;
  }
  loop_check_fork(S);
  watch_update(watch);
  watch_again(S);
  if (S->host_loop != NULL && S->stepping) return; /* the host polls it */
  if (loop->forked && !can_renew()) {
    if (!sched_busy(S)) sleep_for(wait < CHECK_WAIT ? wait : CHECK_WAIT);
    return; /* to be tried again */
  }
  watch_doubt(watch);
  for (;;) {
    double w = wait;
    watch_check(watch);
    if (sched_busy(S)) w = 0; /* somebody's descriptor was closed */
    if (w > CHECK_WAIT && (watch->unchecked > 0 || watch->told)) w = CHECK_WAIT;
    watch->told = 0;
    if (w > 0 && w < NEVER) {
      ev_now_update(watch->ev); /* else it counts from the last poll */
      ev_timer_set(&loop->timer, w, 0.);
      ev_timer_start(watch->ev, &loop->timer);
    }
    ev_run(watch->ev, w > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
    ev_timer_stop(watch->ev, &loop->timer);
    loop->forked = 0;
    if (w == wait || sched_busy(S) || S->interrupts > 0) return;
    if (watch_again(S)) return; /* others may have posted something */
    wait -= w;
  }
}


/* ---------------------------------------------------------------------- */
/* the loop */


void loop_open (lua_State *L, Sched *S) {
  Loop *loop;
  Watch *watch;
  if (S->loop != NULL) return;
  sched_check_open(L, S);
  loop = (Loop *)sched_new(L, S, sizeof(Loop));
  if (S->loop != NULL) { /* a finalizer has done it */
    sched_alloc(S, loop, sizeof(Loop), 0);
    return;
  }
  watch = &loop->watch;
  watch->ev = S->host_loop;
  if (watch->ev == NULL) {
    watch->ev = ev_loop_new(EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    if (watch->ev == NULL) {
      int error = errno;
      sched_alloc(S, loop, sizeof(Loop), 0);
      luaL_error(L, "cannot make an event loop: %s", strerror(error));
    }
    watch_refusals(watch);
  }
  ev_timer_init(&loop->timer, on_time, 0., 0.);
  watch->mirror = -1;
  loop->mark = fork_mark();
  if (loop->mark != NULL && S->pid != (int)getpid())
    *loop->mark = 0; /* there was a fork before: others are yet to notice it */
  S->loop = loop;
  S->watch = watch;
}


Line *loop_line (lua_State *L, Sched *S, int fd, int what) {
  loop_open(L, S);
  return watch_line(L, S, fd, what);
}


int loop_forget (Sched *S, int fd) {
  watch_anew(S, fd);
  if (!watch_has(S->watch, fd)) return 0;
  loop_check_fork(S);
  watch_forget(S->watch, fd);
  return 1;
}


int loop_fd (lua_State *L, Sched *S) {
  Watch *watch;
  int mirror;
  loop_open(L, S);
  loop_flush(S);
  watch = S->watch;
  if (watch->mirror >= 0) return watch->mirror;
  mirror = mirror_open();
  if (mirror < 0 || !fill_mirror(S, mirror)) {
    int error = errno;
    if (mirror >= 0) close(mirror);
    luaL_error(L, "cannot make a descriptor for the host: %s", strerror(error));
  }
  watch->mirror = mirror;
  return mirror;
}


int loop_waker (Sched *S, int fd) {
  Loop *loop = S->loop;
  int mirror = loop->watch.mirror;
  if (mirror >= 0 && !mirror_set(mirror, fd, 1, 0)) return 0;
  ev_io_init(&loop->waker, on_wake, fd, EV_READ);
  watch_own(loop, &loop->waker);
  return 1;
}


void loop_interrupts (lua_State *L, Sched *S) {
  Loop *loop;
  int fd;
  loop_open(L, S);
  loop = S->loop;
  if (loop->interrupt.data != NULL) return;
  fd = interrupt_open();
  if (fd < 0) luaL_error(L, "cannot watch for Ctrl-C: %s", strerror(errno));
  ev_io_init(&loop->interrupt, on_interrupt, fd, EV_READ);
  loop->interrupt.data = S;
  watch_own(loop, &loop->interrupt);
}


/* leave a loop of the host's as it was */
static void stop_all (Loop *loop) {
  struct ev_loop *ev = loop->watch.ev;
  watch_stop(&loop->watch);
  ev_io_stop(ev, &loop->interrupt);
  ev_io_stop(ev, &loop->waker);
  ev_timer_stop(ev, &loop->timer);
}


void loop_free (Sched *S) {
  Loop *loop = S->loop;
  if (loop == NULL) return;
  if (loop->interrupt.data != NULL) interrupt_close(loop->interrupt.fd);
  if (loop->watch.mirror >= 0) close(loop->watch.mirror);
  fork_unmark(loop->mark);
  if (S->host_loop == NULL)
    ev_loop_destroy(loop->watch.ev);
  else
    stop_all(loop);
  watch_free(S, &loop->watch);
  sched_alloc(S, loop, sizeof(Loop), 0);
  S->loop = NULL;
  S->watch = NULL;
}
