/*
** watch.c - which descriptors are watched, over libev; see watch.h.
**
** libev aborts the process when a descriptor that it was told to watch turns
** out to be closed. So it is told of a change only right before a poll, when
** the descriptor has been checked and no Lua can run in between ('changed');
** and a few of those that are watched are checked at each poll, since the
** kernel says nothing of a descriptor that this process itself has closed. Steady
** ones need neither: they are closed only after 'loop_forget'.
**
** The kernel may refuse to watch a descriptor: it has no memory for it, or too
** many are watched already. libev gives up the watcher then, and who waits for
** the descriptor is told.
**
** It also aborts the process when it is to watch the descriptor in which it
** waits itself, whose number somebody may still take for that of a file which
** he has closed. So we ask for its number.
*/

#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include <ev.h>

#include "mirror.h"

/* watched descriptors that are checked at each poll */
#define CHECKED 4

/* 'steady' of a descriptor that the kernel has not been told of */
#define STEADY_NEW 0x100

struct Io {
  ev_io watcher;
  Sched *S;
  Line readers;
  Line writers;
  Link change; /* place among those whose watcher is out of date */
  int active;  /* place among the watched, from 1; 0 if it is not */
  int steady;  /* whoever closes it says so before, so the kernel need not be
                  asked: what it has been told; 0: not so */
  int checked; /* is watched, and must be checked */
};


/* ---------------------------------------------------------------------- */
/* who waits */


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
  Watch *w = io->S->watch;
  if (io->change.next == NULL) line_join(&w->changed, &io->change);
}


const char *watch_refusal (const Sched *S) {
  int error = S->watch->refusal;
  return error != 0 ? strerror(error) : "the system does not watch it";
}


int watch_line_fd (Line *line, int what) {
  Io *io = what == IO_READ ? owner_of(line, Io, readers)
                           : owner_of(line, Io, writers);
  return io->watcher.fd;
}


void watch_left (Sched *S, int fd) {
  S->external--;
  note_change(S->watch->io[fd]);
}


void watch_joined (Sched *S, int fd) {
  Io *io = S->watch->io[fd];
  S->external++;
  io->steady = 0;
  note_change(io);
}


void watch_joined_steady (Sched *S, int fd) {
  Io *io = S->watch->io[fd];
  S->external++;
  if (io->steady == 0) io->steady = STEADY_NEW;
  note_change(io);
}


/* what is known of a descriptor, or NULL */
static Io *known (const Watch *w, int fd) {
  return w != NULL && fd >= 0 && fd < w->size ? w->io[fd] : NULL;
}


void watch_anew (Sched *S, int fd) {
  Io *io = known(S->watch, fd);
  if (io != NULL) io->steady = 0;
}


/* ---------------------------------------------------------------------- */
/* what libev is told */


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


int watch_is_open (const Sched *S, int fd) {
  if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) return 0;
  return S->watch == NULL || own_fd(S->watch->ev) != fd;
}


static void on_io (struct ev_loop *ev, ev_io *w, int events) {
  Io *io = owner_of(w, Io, watcher);
  (void)ev;
  if (events & EV_ERROR) { /* it is given up */
    wake_both(io, watch_is_open(io->S, w->fd) ? WHY_REFUSED : WHY_CLOSED);
    io->steady = 0;
  }
  if (events & EV_READ) wake_line(io, &io->readers, WHY_DONE);
  if (events & EV_WRITE) wake_line(io, &io->writers, WHY_DONE);
  note_change(io);
}


/* Right before libev waits: it may have given up some. Why, it does not tell,
   but errno does, unless libev has tried two ways for another one since. */
static void on_wait (struct ev_loop *ev) {
  Watch *w = (Watch *)ev_userdata(ev);
  if (ev_pending_count(ev) > 0)
    w->refusal = errno != EEXIST && errno != ENOENT ? errno : 0;
}


static void waited (struct ev_loop *ev) {
  (void)ev;
}


void watch_refusals (Watch *w) {
  ev_set_userdata(w->ev, w);
  ev_set_loop_release_cb(w->ev, on_wait, waited);
}


static void must_check (Watch *w, Io *io, int checked) {
  w->nchecked += checked - io->checked;
  io->checked = checked;
}


static void deactivate (Watch *w, Io *io) {
  Io *last = w->active[--w->nactive];
  w->active[io->active - 1] = last;
  last->active = io->active;
  io->active = 0;
  must_check(w, io, 0);
}


/* bring the watcher of one descriptor up to date */
static void update (Watch *w, Io *io) {
  int events = (io->readers.first != NULL ? EV_READ : 0) |
               (io->writers.first != NULL ? EV_WRITE : 0);
  int fd = io->watcher.fd;
  if (events != 0 && !io->steady && !watch_is_open(io->S, fd)) {
    wake_both(io, WHY_CLOSED);
    events = 0;
  }
  if (events != 0 && io->steady == events && ev_is_active(&io->watcher))
    return; /* nothing has changed */
  ev_io_stop(w->ev, &io->watcher);
  if (w->mirror >= 0 &&
      !mirror_set(w->mirror, fd, events & EV_READ, events & EV_WRITE)) {
    w->refusal = errno;
    wake_both(io, WHY_REFUSED);
    io->steady = events = 0;
  }
  if (events != 0) {
    /* setting it anew makes libev tell the kernel again, which matters when
       the number stands for another file now */
    if (io->steady != events) {
      ev_io_set(&io->watcher, fd, events);
      w->told = 1;
    }
    if (io->steady) io->steady = events;
    ev_io_start(w->ev, &io->watcher);
    if (io->active == 0) {
      w->active[w->nactive++] = io;
      io->active = w->nactive;
    }
    must_check(w, io, !io->steady);
  }
  else if (io->active != 0)
    deactivate(w, io);
}


void watch_update (Watch *w) {
  while (w->changed.first != NULL) {
    Io *io = owner_of(w->changed.first, Io, change);
    line_leave(&w->changed, &io->change);
    update(w, io);
  }
}


void watch_doubt (Watch *w) {
  w->unchecked = w->nchecked > 0 ? w->nactive : 0;
}


/* all of them where libev uses poll, for then it aborts the process when it
   hears of one that is closed */
void watch_check (Watch *w) {
  int n, most = ev_backend(w->ev) == EVBACKEND_POLL ? INT_MAX : CHECKED;
  for (n = 0; n < most && w->unchecked > 0 && w->nactive > 0; n++) {
    Io *io;
    w->cursor = (w->cursor + 1) % w->nactive;
    io = w->active[w->cursor];
    w->unchecked--;
    if (io->checked && !watch_is_open(io->S, io->watcher.fd)) update(w, io);
  }
}


void watch_retell (Watch *w) {
  int i;
  for (i = 0; i < w->nactive; i++) note_change(w->active[i]);
}


int watch_reflect (const Watch *w, int mirror) {
  int i;
  for (i = 0; i < w->nactive; i++) {
    ev_io *io = &w->active[i]->watcher;
    if (!mirror_set(mirror, io->fd, io->events & EV_READ,
                    io->events & EV_WRITE))
      return 0;
  }
  return 1;
}


int watch_has (const Watch *w, int fd) {
  const Io *io = known(w, fd);
  return io != NULL && (io->readers.first != NULL || io->writers.first != NULL);
}


void watch_forget (Watch *w, int fd) {
  Io *io = w->io[fd];
  wake_both(io, WHY_CLOSED);
  ev_io_stop(w->ev, &io->watcher);
  if (w->mirror >= 0) mirror_set(w->mirror, fd, 0, 0);
  if (io->active != 0) deactivate(w, io);
}


/* ---------------------------------------------------------------------- */
/* what there is room for */


/* room for descriptor 'fd'; may raise, then nothing has changed */
static void grow (lua_State *L, Sched *S, int fd) {
  Watch *w = S->watch;
  int size = w->size == 0 ? 64 : w->size;
  size_t bytes, old = (size_t)w->size * sizeof(Io *);
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
    memcpy(io, w->io, old);
    memcpy(active, w->active, old);
    sched_alloc(S, w->io, old, 0);
    sched_alloc(S, w->active, old, 0);
  }
  w->io = io;
  w->active = active;
  w->size = size;
}


Line *watch_line (lua_State *L, Sched *S, int fd, int what) {
  Io *io;
  if (fd >= S->watch->size) grow(L, S, fd);
  io = S->watch->io[fd];
  if (io == NULL) {
    io = (Io *)sched_new(L, S, sizeof(Io));
    ev_io_init(&io->watcher, on_io, fd, EV_READ);
    io->S = S;
    S->watch->io[fd] = io;
  }
  return what == IO_READ ? &io->readers : &io->writers;
}


void watch_stop (Watch *w) {
  int i;
  for (i = 0; i < w->nactive; i++) ev_io_stop(w->ev, &w->active[i]->watcher);
}


void watch_free (Sched *S, Watch *w) {
  size_t bytes = (size_t)w->size * sizeof(Io *);
  int i;
  for (i = 0; i < w->size; i++)
    if (w->io[i] != NULL) sched_alloc(S, w->io[i], sizeof(Io), 0);
  if (bytes == 0) return;
  sched_alloc(S, w->io, bytes, 0);
  sched_alloc(S, w->active, bytes, 0);
}
