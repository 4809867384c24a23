/*
** chrome.c - a file of Chrome trace events; see chrome.h.
**
** Invariant: in the file are whole events only. Numbers are made here, not by
** printf: it is slow, and writes the comma of the locale.
*/

#include "chrome.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipe.h"

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
  chrome_add(f, "[\n{\"ph\":\"M\",\"pid\":");
  chrome_number(f, (uint64_t)f->pid, 1);
  chrome_add(f, ",\"tid\":0,\"name\":\"process_name\"");
  chrome_arg_text(f, "name", "neap");
  chrome_done(f);
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
    ssize_t n = pipe_write(f->fd, f->buffer + done, f->used - done);
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


/* there is room for all of an event: see EVENT_MAX */
static void put (Chrome *f, const char *bytes, size_t n) {
  memcpy(f->buffer + f->used, bytes, n);
  f->used += n;
}


void chrome_add (Chrome *f, const char *text) {
  put(f, text, strlen(text));
}


void chrome_number (Chrome *f, uint64_t n, int digits) {
  char text[24];
  size_t i = sizeof text;
  for (; n > 0 || digits > 0; n /= 10, digits--)
    text[--i] = (char)('0' + n % 10);
  put(f, text + i, sizeof text - i);
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


/* a byte that cannot stand in a string of JSON, or not in HTML */
static void put_escaped (Chrome *f, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  char text[] = "\\u0000";
  if (c == '"' || c == '\\') {
    text[1] = (char)c;
    put(f, text, 2);
    return;
  }
  text[4] = hex[c >> 4];
  text[5] = hex[c & 15];
  put(f, text, 6);
}


void chrome_text (Chrome *f, const char *text, size_t size) {
  const unsigned char *s = (const unsigned char *)text;
  size_t i = 0, n;
  put(f, "\"", 1);
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
    else if (s[i] < ' ' || s[i] == 0x7f || strchr("\"\\<", s[i]) != NULL)
      put_escaped(f, s[i]);
    else
      put(f, text + i, n);
  }
  put(f, "\"", 1);
}


int chrome_begin (Chrome *f, char phase, uint32_t track) {
  if (CHROME_SIZE - f->used < EVENT_MAX) chrome_flush(f);
  if (f->fd < 0) return 0;
  f->nargs = 0;
  chrome_add(f, ",\n{\"ph\":\"");
  put(f, &phase, 1);
  chrome_add(f, "\",\"pid\":");
  chrome_number(f, (uint64_t)f->pid, 1);
  chrome_add(f, ",\"tid\":");
  chrome_number(f, track, 1);
  return 1;
}


void chrome_time (Chrome *f, const char *key, int64_t ns) {
  chrome_add(f, ",\"");
  chrome_add(f, key);
  chrome_add(f, "\":");
  chrome_number(f, (uint64_t)ns / 1000, 1);
  put(f, ".", 1);
  chrome_number(f, (uint64_t)ns % 1000, 3);
}


void chrome_arg (Chrome *f, const char *name) {
  chrome_add(f, f->nargs++ == 0 ? ",\"args\":{\"" : ",\"");
  chrome_add(f, name);
  chrome_add(f, "\":");
}


void chrome_arg_text (Chrome *f, const char *name, const char *text) {
  chrome_arg(f, name);
  chrome_text(f, text, strlen(text));
}


void chrome_arg_seconds (Chrome *f, const char *name, double seconds) {
  char text[400];
  chrome_arg(f, name);
  if (seconds < 1e9) {
    uint64_t us = (uint64_t)(seconds * 1e6 + 0.5);
    chrome_number(f, us / 1000000, 1);
    put(f, ".", 1);
    chrome_number(f, us % 1000000, 6);
    return;
  }
  snprintf(text, sizeof text, "%.0f", seconds < HUGE_VAL ? seconds : 1e308);
  chrome_add(f, text);
}


void chrome_done (Chrome *f) {
  chrome_add(f, f->nargs > 0 ? "}}" : "}");
}
