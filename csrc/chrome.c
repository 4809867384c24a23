/*
** chrome.c - a file of Chrome trace events; see chrome.h.
**
** Invariant: in the file are whole events only. No number is written by %f,
** whose comma is the locale's.
*/

#include "chrome.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

/* no event is longer: it has three texts, of which each byte may take six */
#define EVENT_MAX 4096


/* ---------------------------------------------------------------------- */
/* the file */


int chrome_open (Chrome *f, const char *path) {
  memset(f, 0, offsetof(Chrome, buffer));
  snprintf(f->path, sizeof f->path, "%s", path);
  f->pid = (int)getpid();
  f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
  if (f->fd < 0) return errno;
  chrome_add(f,
             "[\n{\"ph\":\"M\",\"pid\":%d,\"tid\":0,"
             "\"name\":\"process_name\",\"args\":{\"name\":\"neap\"}}",
             f->pid);
  return 0;
}


/* no more is written */
static void end (Chrome *f, int error) {
  if (close(f->fd) != 0 && error == 0) error = errno;
  f->fd = -1;
  f->error = error;
}


int chrome_mine (Chrome *f) {
  if (f->fd >= 0 && f->pid != (int)getpid()) end(f, 0);
  return f->fd >= 0;
}


void chrome_flush (Chrome *f) {
  size_t done = 0;
  if (!chrome_mine(f)) return;
  while (done < f->used) {
    ssize_t n = fd_write_quietly(f->fd, f->buffer + done, f->used - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      end(f, errno);
      return;
    }
    done += (size_t)n;
  }
  f->used = 0;
}


void chrome_close (Chrome *f) {
  if (CHROME_SIZE - f->used < EVENT_MAX) chrome_flush(f);
  if (f->fd < 0) return;
  chrome_add(f, "\n]\n");
  chrome_flush(f);
  if (f->fd >= 0) end(f, 0);
}


void chrome_abandon (Chrome *f) {
  if (f->fd >= 0) end(f, 0);
}


void chrome_complain (Chrome *f) {
  if (f->error == 0 || f->told) return;
  f->told = 1;
  lua_writestringerror("neap: cannot write the trace '%s'", f->path);
  lua_writestringerror(": %s\n", strerror(f->error));
}


/* ---------------------------------------------------------------------- */
/* an event */


void chrome_add (Chrome *f, const char *format, ...) {
  va_list args;
  int n;
  va_start(args, format);
  n = vsnprintf(f->buffer + f->used, CHROME_SIZE - f->used, format, args);
  va_end(args);
  f->used += (size_t)n; /* there is room: see EVENT_MAX */
}


/* the length of the character of UTF-8 at 's', or 0 if there is none */
static size_t character (const unsigned char *s, size_t size) {
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  uint32_t code = *s;
  size_t i, n = code < 0x80   ? 1
                : code < 0xc0 ? 0
                : code < 0xe0 ? 2
                : code < 0xf0 ? 3
                : code < 0xf8 ? 4
                              : 0;
  if (n <= 1) return n;
  if (n > size) return 0;
  code &= 0xffu >> (n + 1);
  for (i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (s[i] & 0x3f);
  }
  if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
    return 0;
  return n;
}


void chrome_text (Chrome *f, const char *text, size_t size) {
  const unsigned char *s = (const unsigned char *)text;
  size_t i = 0, n;
  chrome_add(f, "\"");
  for (; i < size; i += n) {
    n = character(s + i, size - i);
    if (i + n > CHROME_TEXT) {
      chrome_add(f, "...");
      break;
    }
    if (n == 0) {
      chrome_add(f, "\\ufffd");
      n = 1;
    }
    else if (s[i] == '"' || s[i] == '\\')
      chrome_add(f, "\\%c", s[i]);
    else if (s[i] < ' ' || s[i] == 0x7f || s[i] == '<')
      chrome_add(f, "\\u%04x", s[i]);
    else
      chrome_add(f, "%.*s", (int)n, text + i);
  }
  chrome_add(f, "\"");
}


int chrome_begin (Chrome *f, char phase, uint32_t track) {
  if (CHROME_SIZE - f->used < EVENT_MAX) chrome_flush(f);
  if (f->fd < 0) return 0;
  f->nargs = 0;
  chrome_add(f, ",\n{\"ph\":\"%c\",\"pid\":%d,\"tid\":%lu", phase, f->pid,
             (unsigned long)track);
  return 1;
}


void chrome_time (Chrome *f, const char *key, int64_t ns) {
  chrome_add(f, ",\"%s\":%lld.%03d", key, (long long)(ns / 1000),
             (int)(ns % 1000));
}


void chrome_arg (Chrome *f, const char *name) {
  chrome_add(f, "%s\"%s\":", f->nargs++ == 0 ? ",\"args\":{" : ",", name);
}


void chrome_arg_text (Chrome *f, const char *name, const char *text) {
  chrome_arg(f, name);
  chrome_text(f, text, strlen(text));
}


void chrome_arg_seconds (Chrome *f, const char *name, double seconds) {
  chrome_arg(f, name);
  if (seconds < 1e9) {
    int64_t us = (int64_t)(seconds * 1e6 + 0.5);
    chrome_add(f, "%lld.%06d", (long long)(us / 1000000), (int)(us % 1000000));
  }
  else
    chrome_add(f, "%.0f", seconds < HUGE_VAL ? seconds : 1e308);
}


void chrome_done (Chrome *f) {
  chrome_add(f, f->nargs > 0 ? "}}" : "}");
}
