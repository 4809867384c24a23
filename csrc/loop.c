/*
** loop.c - waiting for the outside world, over libev; see loop.h.
**
** Callbacks only move tasks to the ready line; Lua never runs inside ev_run,
** so no error can unwind through it.
**
** libev aborts the process when a descriptor that it was told to watch turns
** out to be closed. So it is told of a change only right before a poll, when
** the descriptor has been checked and no Lua can run in between ('changed');
** and a few of those that are watched are checked at each poll, since the
** kernel says nothing of a descriptor that this process itself has closed. Steady
** ones need neither: they are closed only after 'loop_forget'.
**
** The kernel may refuse to watch a descriptor: it has no memory for it, or too
** many are watched already. libev learns that when it is about to wait, gives
** up the watcher, and waits nevertheless; so the first wait after a change is a
** short one. Who waits for the descriptor is told; our own are tried again.
**
** It also aborts the process when it is to watch the descriptor in which it
** waits itself, whose number somebody may still take for that of a file which
** he has closed; and in the child of a fork, when there is no other one to be
** had. So we ask for its number, and for whether there is one.
*/

#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/* watched descriptors that are checked at each poll */
#define CHECKED 4

/* 'steady' of a descriptor that the kernel has not been told of */
#define STEADY_NEW 0x100

/* longest wait while not all have been checked, or the kernel may have refused
   one, in seconds */
#define CHECK_WAIT 0.05

typedef struct Io {
  ev_io watcher;
  Sched *S;
  Line readers;
  Line writers;
  Link change; /* place among those whose watcher is out of date */
  int active;  /* place among the watched, from 1; 0 if it is not */
  int steady;  /* whoever closes it says so before, so the kernel need not be
                  asked: what it has been told; 0: not so */
  int checked; /* is watched, and must be checked */
} Io;

struct Loop {
  struct ev_loop *ev;
  ev_timer timer;
  ev_io interrupt;
  ev_io waker; /* other threads have posted something (post.h) */
  Line changed;
  Io **io;     /* by descriptor */
  int size;    /* of 'io' */
  Io **active; /* the watched ones; as large as 'io' */
  int nactive;
  int nchecked;       /* ... of them those that must be checked */
  int cursor;         /* the next one to check */
  int unchecked;      /* watched ones not checked since Lua last ran */
  int told;           /* the next poll tells the kernel of something new */
  int refusal;        /* the error with which it refused one; 0: not known */
  int mirror;         /* what neap.fd gave away (mirror.h), or -1 */
  int forked;         /* the next poll makes it anew */
  volatile int *mark; /* 0 after a fork (fork.h), or NULL */
};


/* ---------------------------------------------------------------------- */
/* descriptors */


static void wake_line (Io *io, Line *line, int why) {
  while (line->first != NULL) {
    Task *t = owner_of(line->first, Task, link);
    io->S->external--;
    sched_wake(io->S, t, WHY_DONE);
    t->why = (uint8_t)why;
  }
}


static void wake_both (Io *io, int why) {
  wake_line(io, &io->readers, why);
  wake_line(io, &io->writers, why);
}


static void note_change (Io *io) {
  if (io->change.next == NULL) line_join(&io->S->loop->changed, &io->change);
}


/* The descriptor in which libev waits: what a loop watches that embeds it. libev
   may take another one at each poll, when it is not sure what the kernel
   watches; so it is asked each time. */
static int own_fd (struct ev_loop *ev) {
#if EV_EMBED_ENABLE
  ev_embed w;
  if (ev_backend(ev) & ev_embeddable_backends()) {
    ev_embed_init(&w, NULL, ev);
    ev_embed_start(ev, &w);
    ev_embed_stop(ev, &w);
    return w.io.fd;
  }
#endif
  (void)ev;
  return -1;
}


int loop_is_open (const Sched *S, int fd) {
  if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) return 0;
  return S->loop == NULL || own_fd(S->loop->ev) != fd;
}


static void on_io (struct ev_loop *ev, ev_io *w, int events) {
  Io *io = owner_of(w, Io, watcher);
  (void)ev;
  if (events & EV_ERROR) { /* it is given up */
    wake_both(io, loop_is_open(io->S, w->fd) ? WHY_REFUSED : WHY_CLOSED);
    io->steady = 0;
  }
  if (events & EV_READ) wake_line(io, &io->readers, WHY_DONE);
  if (events & EV_WRITE) wake_line(io, &io->writers, WHY_DONE);
  note_change(io);
}


/* Right before libev waits: it may have given up some. Why, it does not tell,
   but errno does, unless libev has tried two ways for another one since. */
static void on_wait (struct ev_loop *ev) {
  Loop *loop = (Loop *)ev_userdata(ev);
  if (ev_pending_count(ev) > 0)
    loop->refusal = errno != EEXIST && errno != ENOENT ? errno : 0;
}


static void waited (struct ev_loop *ev) {
  (void)ev;
}


const char *loop_refusal (Sched *S) {
  int error = S->loop->refusal;
  return error != 0 ? strerror(error) : "the system does not watch it";
}


static void must_check (Loop *loop, Io *io, int checked) {
  loop->nchecked += checked - io->checked;
  io->checked = checked;
}


static void deactivate (Loop *loop, Io *io) {
  Io *last = loop->active[--loop->nactive];
  loop->active[io->active - 1] = last;
  last->active = io->active;
  io->active = 0;
  must_check(loop, io, 0);
}


/* bring the watcher of one descriptor up to date */
static void update (Loop *loop, Io *io) {
  int events = (io->readers.first != NULL ? EV_READ : 0) |
               (io->writers.first != NULL ? EV_WRITE : 0);
  int fd = io->watcher.fd;
  if (events != 0 && !io->steady && !loop_is_open(io->S, fd)) {
    wake_both(io, WHY_CLOSED);
    events = 0;
  }
  if (events != 0 && io->steady == events && ev_is_active(&io->watcher))
    return; /* nothing has changed */
  ev_io_stop(loop->ev, &io->watcher);
  if (loop->mirror >= 0 &&
      !mirror_set(loop->mirror, fd, events & EV_READ, events & EV_WRITE)) {
    loop->refusal = errno;
    wake_both(io, WHY_REFUSED);
    io->steady = events = 0;
  }
  if (events != 0) {
    /* setting it anew makes libev tell the kernel again, which matters when
       the number stands for another file now */
    if (io->steady != events) {
      ev_io_set(&io->watcher, fd, events);
      loop->told = 1;
    }
    if (io->steady) io->steady = events;
    ev_io_start(loop->ev, &io->watcher);
    if (io->active == 0) {
      loop->active[loop->nactive++] = io;
      io->active = loop->nactive;
    }
    must_check(loop, io, !io->steady);
  }
  else if (io->active != 0)
    deactivate(loop, io);
}


static void update_all (Loop *loop) {
  while (loop->changed.first != NULL) {
    Io *io = owner_of(loop->changed.first, Io, change);
    line_leave(&loop->changed, &io->change);
    update(loop, io);
  }
}


void loop_flush (Sched *S) {
  if (S->loop != NULL) update_all(S->loop);
}


/* check a few of the watched for having been closed; all of them where libev
   uses poll, for then it aborts the process when it hears of one */
static void check_some (Loop *loop) {
  int n, most = ev_backend(loop->ev) == EVBACKEND_POLL ? INT_MAX : CHECKED;
  for (n = 0; n < most && loop->unchecked > 0 && loop->nactive > 0; n++) {
    Io *io;
    loop->cursor = (loop->cursor + 1) % loop->nactive;
    io = loop->active[loop->cursor];
    loop->unchecked--;
    if (io->checked && !loop_is_open(io->S, io->watcher.fd)) update(loop, io);
  }
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
  ev_io_start(loop->ev, w);
  loop->told = 1;
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
  Loop *loop = S->loop;
  int i;
  if (S->poster != NULL && !mirror_set(mirror, loop->waker.fd, 1, 0)) return 0;
  for (i = 0; i < loop->nactive; i++) {
    ev_io *w = &loop->active[i]->watcher;
    if (!mirror_set(mirror, w->fd, w->events & EV_READ, w->events & EV_WRITE))
      return 0;
  }
  return 1;
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
  ev_loop_fork(loop->ev);
  loop->forked = 1;
  for (i = 0; i < loop->nactive; i++) /* it will be told of all of them */
    note_change(loop->active[i]);
  if (loop->mirror >= 0 && mirror_renew(loop->mirror))
    fill_mirror(S, loop->mirror);
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
  if (loop == NULL) {
    if (wait > 0) sleep_for(wait);
    return;
  }
  loop_check_fork(S);
  update_all(loop);
  watch_again(S);
  if (S->host_loop != NULL && S->stepping) return; /* the host polls it */
  if (loop->forked && !can_renew()) {
    if (!sched_busy(S)) sleep_for(wait < CHECK_WAIT ? wait : CHECK_WAIT);
    return; /* to be tried again */
  }
  loop->unchecked = loop->nchecked > 0 ? loop->nactive : 0;
  for (;;) {
    double w = wait;
    check_some(loop);
    if (sched_busy(S)) w = 0; /* somebody's descriptor was closed */
    if (w > CHECK_WAIT && (loop->unchecked > 0 || loop->told)) w = CHECK_WAIT;
    loop->told = 0;
    if (w > 0 && w < NEVER) {
      ev_now_update(loop->ev); /* else it counts from the last poll */
      ev_timer_set(&loop->timer, w, 0.);
      ev_timer_start(loop->ev, &loop->timer);
    }
    ev_run(loop->ev, w > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
    ev_timer_stop(loop->ev, &loop->timer);
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
  if (S->loop != NULL) return;
  sched_check_open(L, S);
  loop = (Loop *)sched_new(L, S, sizeof(Loop));
  if (S->loop != NULL) { /* a finalizer has done it */
    sched_alloc(S, loop, sizeof(Loop), 0);
    return;
  }
  loop->ev = S->host_loop;
  if (loop->ev == NULL) {
    loop->ev = ev_loop_new(EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    if (loop->ev == NULL) {
      int error = errno;
      sched_alloc(S, loop, sizeof(Loop), 0);
      luaL_error(L, "cannot make an event loop: %s", strerror(error));
    }
    ev_set_userdata(loop->ev, loop);
    ev_set_loop_release_cb(loop->ev, on_wait, waited);
  }
  ev_timer_init(&loop->timer, on_time, 0., 0.);
  loop->mirror = -1;
  loop->mark = fork_mark();
  if (loop->mark != NULL && S->pid != (int)getpid())
    *loop->mark = 0; /* there was a fork before: others are yet to notice it */
  S->loop = loop;
}


/* room for descriptor 'fd'; may raise, then nothing has changed */
static void grow (lua_State *L, Sched *S, int fd) {
  Loop *loop = S->loop;
  int size = loop->size == 0 ? 64 : loop->size;
  size_t bytes, old = (size_t)loop->size * sizeof(Io *);
  Io **io, **active;
  while (size <= fd) size *= 2;
  bytes = (size_t)size * sizeof(Io *);
  io = (Io **)sched_new(L, S, bytes);
  active = (Io **)sched_alloc(S, NULL, 0, bytes);
  if (active == NULL) {
    sched_alloc(S, io, bytes, 0);
    luaL_error(L, "not enough memory");
  }
  if (old > 0) {
    memcpy(io, loop->io, old);
    memcpy(active, loop->active, old);
    sched_alloc(S, loop->io, old, 0);
    sched_alloc(S, loop->active, old, 0);
  }
  loop->io = io;
  loop->active = active;
  loop->size = size;
}


Line *loop_line (lua_State *L, Sched *S, int fd, int what) {
  Io *io;
  loop_open(L, S);
  if (fd >= S->loop->size) grow(L, S, fd);
  io = S->loop->io[fd];
  if (io == NULL) {
    io = (Io *)sched_new(L, S, sizeof(Io));
    ev_io_init(&io->watcher, on_io, fd, EV_READ);
    io->S = S;
    S->loop->io[fd] = io;
  }
  return what == IO_READ ? &io->readers : &io->writers;
}


int loop_line_fd (Line *line, int what) {
  Io *io = what == IO_READ ? owner_of(line, Io, readers)
                           : owner_of(line, Io, writers);
  return io->watcher.fd;
}


void loop_left (Sched *S, int fd) {
  S->external--;
  note_change(S->loop->io[fd]);
}


void loop_watch (Sched *S, int fd) {
  S->external++;
  S->loop->io[fd]->steady = 0;
  note_change(S->loop->io[fd]);
}


void loop_anew (Sched *S, int fd) {
  Loop *loop = S->loop;
  if (loop != NULL && fd < loop->size && loop->io[fd] != NULL)
    loop->io[fd]->steady = 0;
}


void loop_watch_steady (Sched *S, int fd) {
  Io *io = S->loop->io[fd];
  S->external++;
  if (io->steady == 0) io->steady = STEADY_NEW;
  note_change(io);
}


int loop_forget (Sched *S, int fd) {
  Io *io;
  if (S->loop == NULL || fd < 0 || fd >= S->loop->size) return 0;
  io = S->loop->io[fd];
  if (io != NULL) io->steady = 0;
  if (io == NULL || (io->readers.first == NULL && io->writers.first == NULL))
    return 0;
  loop_check_fork(S);
  wake_both(io, WHY_CLOSED);
  ev_io_stop(S->loop->ev, &io->watcher);
  if (S->loop->mirror >= 0) mirror_set(S->loop->mirror, fd, 0, 0);
  if (io->active != 0) deactivate(S->loop, io);
  return 1;
}


int loop_fd (lua_State *L, Sched *S) {
  Loop *loop;
  int mirror;
  loop_open(L, S);
  loop = S->loop;
  loop_flush(S);
  if (loop->mirror >= 0) return loop->mirror;
  mirror = mirror_open();
  if (mirror < 0 || !fill_mirror(S, mirror)) {
    int error = errno;
    if (mirror >= 0) close(mirror);
    luaL_error(L, "cannot make a descriptor for the host: %s", strerror(error));
  }
  loop->mirror = mirror;
  return mirror;
}


int loop_waker (Sched *S, int fd) {
  Loop *loop = S->loop;
  if (loop->mirror >= 0 && !mirror_set(loop->mirror, fd, 1, 0)) return 0;
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
  int i;
  for (i = 0; i < loop->nactive; i++)
    ev_io_stop(loop->ev, &loop->active[i]->watcher);
  ev_io_stop(loop->ev, &loop->interrupt);
  ev_io_stop(loop->ev, &loop->waker);
  ev_timer_stop(loop->ev, &loop->timer);
}


void loop_free (Sched *S) {
  Loop *loop = S->loop;
  size_t bytes;
  int i;
  if (loop == NULL) return;
  if (loop->interrupt.data != NULL) interrupt_close(loop->interrupt.fd);
  if (loop->mirror >= 0) close(loop->mirror);
  fork_unmark(loop->mark);
  if (S->host_loop == NULL)
    ev_loop_destroy(loop->ev);
  else
    stop_all(loop);
  bytes = (size_t)loop->size * sizeof(Io *);
  for (i = 0; i < loop->size; i++)
    if (loop->io[i] != NULL) sched_alloc(S, loop->io[i], sizeof(Io), 0);
  if (bytes > 0) {
    sched_alloc(S, loop->io, bytes, 0);
    sched_alloc(S, loop->active, bytes, 0);
  }
  sched_alloc(S, loop, sizeof(Loop), 0);
  S->loop = NULL;
}
