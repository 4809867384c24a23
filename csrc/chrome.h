/*
** chrome.h - a file of Chrome trace events, for Perfetto and the like.
**
** It is an array of objects in JSON whose end may be missing, so what there is
** of a program that was killed can be read. Nothing here allocates or raises;
** what cannot be written ends it.
*/

#ifndef neap_chrome_h
#define neap_chrome_h

#include <stddef.h>
#include <stdint.h>

#include "hidden.h"

HIDDEN_BEGIN

/* bytes that are written at once */
#define CHROME_SIZE 65536

/* so many bytes of a text are shown */
#define CHROME_TEXT 200

typedef struct Chrome {
  int fd;    /* -1: it is over */
  int pid;   /* of the process that writes; a fork of it does not */
  int error; /* why it was over before its time (errno), or 0 */
  int told;  /* ... and the user knows */
  int nargs; /* of the event that is being made */
  size_t used;
  char path[CHROME_TEXT]; /* for messages */
  char buffer[CHROME_SIZE];
} Chrome;

/* 0, or errno */
int chrome_open (Chrome *f, const char *path);

/* write what there is */
void chrome_flush (Chrome *f);

/* the file is whole */
void chrome_close (Chrome *f);

/* it is left as it is */
void chrome_abandon (Chrome *f);

/* can it be written to, by this process? In a fork it is over: what there is
   in memory is the parent's to write */
int chrome_mine (Chrome *f);

/* say on stderr, once, why it was over before its time, if it was */
void chrome_complain (Chrome *f);

/*
** An event: 'begin', which says 0 when the file is over, what it has, its
** arguments, 'done'.
*/
int chrome_begin (Chrome *f, char phase, uint32_t track);
void chrome_time (Chrome *f, const char *key, int64_t ns);
void chrome_done (Chrome *f);

/* the name of the next argument, whose value follows */
void chrome_arg (Chrome *f, const char *name);
void chrome_arg_text (Chrome *f, const char *name, const char *text);
void chrome_arg_seconds (Chrome *f, const char *name, double seconds);

void chrome_add (Chrome *f, const char *text);

/* a number, with zeros before it if it has less digits */
void chrome_number (Chrome *f, uint64_t n, int digits);

/* a string of JSON, of whatever bytes; one that may stand in a page of HTML */
void chrome_text (Chrome *f, const char *text, size_t size);

HIDDEN_END

#endif
