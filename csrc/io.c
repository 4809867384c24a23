/*
** io.c - waiting for file descriptors, of anybody's ('neap.readable') and of
** neap's own ('io_wait', for pipes and sockets); see io.h.
**
** A descriptor of anybody's may be closed without a word, so the loop must ask
** the kernel for it now and then; neap's own are closed only after
** 'loop_forget'.
*/

#include "io.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "args.h"
#include "cancel.h"
#include "error.h"
#include "rooms.h"

/* so many bytes moved count as a step, against keeping others waiting */
#define BYTES_A_STEP 4096


/* the descriptor that a task in this line waits for */
static int fd_of (Task *t, Line *line) {
  return watch_line_fd(line, t->wait == WAIT_READABLE ? IO_READ : IO_WRITE);
}


static void left (Sched *S, Task *t, Line *line) {
  watch_left(S, fd_of(t, line));
}


static void describe (lua_State *L, Task *t, Line *line) {
  lua_pushfstring(L, "fd %d to be %s", fd_of(t, line),
                  t->wait == WAIT_READABLE ? "readable" : "writable");
}


static void park (lua_State *L, Task *t, int fd, int what, double deadline) {
  Sched *S = t->scope->S;
  Line *line = loop_line(L, S, fd, what);
  sched_park(S, t, what == IO_READ ? WAIT_READABLE : WAIT_WRITABLE, line,
             deadline);
}


/* ---------------------------------------------------------------------- */
/* what pipes, sockets and files share */


int io_wait (lua_State *L, Task *t, int fd, int what, double deadline,
             lua_KFunction then) {
  park(L, t, fd, what, deadline);
  watch_joined_steady(t->scope->S, fd);
  return lua_yieldk(L, 0, (lua_KContext)t, then);
}


ssize_t io_read (int fd, char *bytes, size_t size) {
  ssize_t n;
  do n = read(fd, bytes, size);
  while (n < 0 && errno == EINTR);
  return n;
}


int io_would_block (int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}


void io_charge (Sched *S, ssize_t bytes) {
  S->fuel -= (int)(bytes / BYTES_A_STEP);
}


/* ---------------------------------------------------------------------- */
/* the Lua side */


/* the number at 'idx'; LuaSocket's descriptors are floats */
static lua_Integer to_fd (lua_State *L, int idx) {
  int whole = 0;
  lua_Integer fd = lua_tointegerx(L, idx, &whole);
  return whole && lua_type(L, idx) == LUA_TNUMBER ? fd : -1;
}


int io_descriptor (lua_State *L, int idx) {
  lua_Integer fd = -1;
  luaL_Stream *file = (luaL_Stream *)luaL_testudata(L, idx, LUA_FILEHANDLE);
  int type = lua_type(L, idx);
  if (file != NULL)
    fd = file->closef == NULL ? -1 : fileno(file->f);
  else if (type == LUA_TNUMBER)
    fd = to_fd(L, idx);
  else if (type == LUA_TUSERDATA || type == LUA_TTABLE) {
    if (lua_getfield(L, idx, "getfd") == LUA_TNIL) {
      lua_pop(L, 1);
      lua_getfield(L, idx, "fileno");
    }
    if (!is_callable(L, -1)) {
      lua_pop(L, 1);
      return IO_NONE;
    }
    lua_pushvalue(L, idx);
    lua_call(L, 1, 1);
    fd = to_fd(L, -1);
    lua_pop(L, 1);
  }
  if (fd < 0 || fd > 0x0fffffff || !watch_is_open(sched_of(L), (int)fd))
    return IO_CLOSED;
  return (int)fd;
}


/* the descriptor at index 1 */
static int check_fd (lua_State *L, const char *fname) {
  int fd = io_descriptor(L, 1);
  if (fd == IO_NONE)
    arg_error(L, 1, fname, "fd",
              "a descriptor, or an object with getfd() or fileno()", 1);
  if (fd == IO_CLOSED)
    arg_error(L, 1, fname, "fd", "an open file descriptor", 1);
  return fd;
}


static int is_ready (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (t->why == WHY_CLOSED) {
    error_new(L, "ClosedError", "the file descriptor was closed");
    return lua_error(L);
  }
  if (t->why == WHY_REFUSED)
    return luaL_error(L, "'%s' cannot wait: %s",
                      t->wait == WAIT_READABLE ? "readable" : "writable",
                      watch_refusal(t->scope->S));
  return 0;
}


static int wait_for (lua_State *L, const char *fname, int what) {
  Task *t = sched_enter(L, fname);
  int fd = check_fd(L, fname);
  if (task_cancelled(t)) return sched_raise_later(L, t);
  park(L, t, fd, what, NEVER);
  watch_joined(t->scope->S, fd);
  return lua_yieldk(L, 0, (lua_KContext)t, is_ready);
}


/*** neap.readable(fd): waits until fd can be read without blocking. fd is a
number, a file, or an object with getfd() or fileno(). Raises a ClosedError
when the descriptor is closed meanwhile, and the system's reason as a string
when that cannot watch it. Suspends. */
static int l_readable (lua_State *L) {
  return wait_for(L, "readable", IO_READ);
}


/*** neap.writable(fd): waits until fd can be written without blocking; fd and
errors as for neap.readable. Suspends. */
static int l_writable (lua_State *L) {
  return wait_for(L, "writable", IO_WRITE);
}


/*** neap.forget(fd) -> boolean: tells that a descriptor number is being
closed: who waits for it gets a ClosedError. Did anybody wait? Does not
suspend. */
static int l_forget (lua_State *L) {
  lua_Integer fd = arg_integer(L, 1, 1, "forget", "fd", 0);
  int waited = fd <= 0x0fffffff && loop_forget(sched_of(L), (int)fd);
  lua_pushboolean(L, waited);
  return 1;
}


/*** neap.fd() -> integer: a descriptor that becomes readable when one that a
task waits for is ready: call 'step' then. When to call it for the sake of
time, 'step' itself returns. Does not suspend. */
static int l_fd (lua_State *L) {
  Sched *S = sched_of(L);
  lua_pushinteger(L, loop_fd(L, S));
  return 1;
}


/* internal.breathe(): a step that need not wait, such as taking bytes that were
   read ahead: lets others run when the task has run for long. Where it cannot
   suspend it does nothing. */
static int l_breathe (lua_State *L) {
  Sched *S = sched_of(L);
  if (in_task(L, S)) SCHED_DETOUR(L, S, S->current, l_breathe);
  return 0;
}


/* internal.interrupts(): from now on Ctrl-C cancels the root task; a second
   one ends the process as always. For bin/neap. */
static int l_interrupts (lua_State *L) {
  loop_interrupts(L, sched_of(L));
  return 0;
}


/* internal.was_interrupted() -> boolean: has one cancelled a root task? */
static int l_was_interrupted (lua_State *L) {
  lua_pushboolean(L, sched_of(L)->was_interrupted);
  return 1;
}


static const WaitKind waits = { "file descriptor", left, describe, 0 };

static const luaL_Reg funcs[] = {
  { "fd", l_fd },
  { "forget", l_forget },
  { "readable", l_readable },
  { "writable", l_writable },
  { NULL, NULL },
};


static const luaL_Reg internals[] = {
  { "breathe", l_breathe },
  { "interrupts", l_interrupts },
  { "was_interrupted", l_was_interrupted },
  { NULL, NULL },
};


void io_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_READABLE, &waits);
  sched_kind(S, WAIT_WRITABLE, &waits);
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
