/*
** watch.h - which descriptors are watched: the lines of those who wait for
** them, and what libev and the kernel have been told.
*/

#ifndef neap_watch_h
#define neap_watch_h

#include "sched.h"

HIDDEN_BEGIN

enum { IO_READ = 1, IO_WRITE = 2 };

/* why a task was woken that waited for a descriptor: that was closed, or the
   system does not watch it */
#define WHY_CLOSED (WHY_CANCEL + 1)
#define WHY_REFUSED (WHY_CANCEL + 2)

/* the system's reason for that */
const char *watch_refusal (const Sched *S);

/* the descriptor whose line it is */
int watch_line_fd (Line *line, int what);

/* somebody joined the line: watch the descriptor */
void watch_joined (Sched *S, int fd);

/* the same for a descriptor of ours, before whose closing 'loop_forget' is
   called; it costs no system call when nothing has changed */
void watch_joined_steady (Sched *S, int fd);

/* somebody has left it, who was not woken by what is watched */
void watch_left (Sched *S, int fd);

/* is it open, and not libev's own? That one nobody else can have opened. */
int watch_is_open (const Sched *S, int fd);

/* the number stands for a file that has just been opened */
void watch_anew (Sched *S, int fd);

/* ---------------------------------------------------------------------- */
/* for loop.c */

typedef struct Io Io;

struct Watch {
  struct ev_loop *ev;
  Line changed; /* those whose watcher is out of date */
  Io **io;      /* by descriptor */
  int size;     /* of 'io' */
  Io **active;  /* the watched ones; as large as 'io' */
  int nactive;
  int nchecked;  /* ... of them those that must be checked */
  int cursor;    /* the next one to check */
  int unchecked; /* watched ones not checked since Lua last ran */
  int told;      /* the next poll tells the kernel of something new */
  int refusal;   /* the error with which it refused one; 0: not known */
  int mirror;    /* what neap.fd gave away (mirror.h), or -1 */
};

/* the loop is neap's own: note why the kernel refuses to watch one */
void watch_refusals (Watch *w);

/* the line of those who wait for this, made if need be; may raise */
Line *watch_line (lua_State *L, Sched *S, int fd, int what);

/* bring what libev knows up to date; may wake those whose descriptor was
   closed */
void watch_update (Watch *w);

/* Lua has run since: all that are not steady may have been closed */
void watch_doubt (Watch *w);

/* check a few of these, right before libev waits */
void watch_check (Watch *w);

/* the kernel has forgotten all of them */
void watch_retell (Watch *w);

/* tell 'mirror' of all of them; 0: not of all, and errno */
int watch_reflect (const Watch *w, int mirror);

/* does anybody wait for 'fd'? */
int watch_has (const Watch *w, int fd);

/* wake all who do, for it is going to be closed */
void watch_forget (Watch *w, int fd);

/* leave the loop, of the host's, as it was */
void watch_stop (Watch *w);

void watch_free (Sched *S, Watch *w);

HIDDEN_END

#endif
