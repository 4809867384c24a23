/*
** wire.c - what goes over a socket: bytes received, bytes sent, and waiting
** for either with a deadline. For neap's own Lua files (neap.socket).
**
** Each function tries first and waits only if the kernel says so, but for one
** case: after a receive that took all there was, nearly always nothing has
** come since, so the next one waits at once and saves a system call.
**
** No function raises when it is cancelled or its descriptor is closed under
** it. It says so by its results, so that its caller can put back what it
** holds (bytes of half a line) before it raises.
**
** Nothing that the system has given is lost, also when there is no memory for
** its string: it lies in an inbox until Lua has it.
*/

#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "rooms.h"

/* bytes received at a time */
#define PIECE 16384

/*
** All wires read into the same inbox, one after the other. One that could not
** have its string keeps the inbox until it asks again, and whoever comes next
** makes another one for all.
*/
struct Inbox {
  const Wire *owner; /* who read into it last */
  size_t n;          /* bytes of which there is no string yet */
  char bytes[PIECE];
};

const char wire_mark = 0;
static const char inbox_key = 0; /* its address is that of the inbox */


static Wire *check_wire (lua_State *L) {
  Wire *w = wire_at(L, 1);
  if (w == NULL) luaL_error(L, "a wire was expected");
  return w;
}


static double deadline_at (lua_State *L, int idx) {
  return lua_isnoneornil(L, idx) ? NEVER : lua_tonumber(L, idx);
}


static int has_passed (Sched *S, double deadline) {
  return deadline < NEVER && deadline <= sched_now(S);
}


static int refuse (lua_State *L, const char *word) {
  lua_pushnil(L);
  lua_pushstring(L, word);
  return 2;
}


static int is_loss (int error) {
  return error == EPIPE || error == ECONNRESET || error == ECONNABORTED;
}


/* nil and the word that LuaSocket has for this */
static int failed (lua_State *L, int error) {
  if (is_loss(error)) return refuse(L, "closed");
  if (error == ETIMEDOUT) return refuse(L, "timeout");
  return refuse(L, strerror(error));
}


const char *wire_hindrance (const Wire *w, const Task *t) {
  switch (t->why) {
    case WHY_CANCEL: return "cancelled";
    case WHY_TIME: return "timeout";
    case WHY_CLOSED: return "forgotten";
    case WHY_REFUSED: return watch_refusal(w->object.S);
    default: return w->fd < 0 ? "forgotten" : NULL;
  }
}


Task *wire_task (lua_State *L, const Wire *w) {
  Sched *S = w->object.S;
  return S->co == L && lua_isyieldable(L) ? S->current : NULL;
}


const char *wire_objection (const Wire *w, const Task *t, double deadline) {
  if (t == NULL && !has_passed(w->object.S, deadline)) return "outside";
  if (t != NULL && task_cancelled(t)) return "cancelled";
  return w->fd < 0 ? "closed" : NULL;
}


/*
** The beginning of each. It is not left to SCHED_DETOUR, which would raise when
** the task is cancelled.
*/
#define BEGIN(L, w, t, deadline, self) \
  { \
    const char *word = wire_objection(w, t, deadline); \
    if (word != NULL) return refuse(L, word); \
    if (t != NULL && --(w)->object.S->fuel < 0) \
      return sched_detour(L, (w)->object.S, t, self); \
  }


/* ---------------------------------------------------------------------- */
/* receiving */


static int on_readable (lua_State *L, int status, lua_KContext t);


size_t wire_held (const Wire *w) {
  return w->inbox != NULL && w->inbox->owner == w ? w->inbox->n : 0;
}


/* an inbox for the wire at 'idx'; may raise, then nothing has changed */
static Inbox *empty_inbox (lua_State *L, Wire *w, int idx) {
  Sched *S = w->object.S;
  if (S->inbox == NULL || S->inbox->n > 0) {
    Inbox *in = (Inbox *)lua_newuserdatauv(L, sizeof(Inbox), 0);
    in->owner = NULL;
    in->n = 0;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &inbox_key);
    S->inbox = in;
  }
  if (w->inbox != S->inbox) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &inbox_key);
    lua_setiuservalue(L, idx, 1);
    w->inbox = S->inbox;
  }
  return w->inbox;
}


int wire_fetch (lua_State *L, Wire *w, int idx) {
  Inbox *in;
  ssize_t n;
  if (wire_held(w) > 0) return 1;
  in = empty_inbox(L, w, idx);
  n = io_read(w->fd, in->bytes, PIECE);
  w->drained = n <= 0;
  if (n > 0) {
    io_charge(w->object.S, n);
    in->owner = w;
    in->n = (size_t)n;
    return 1;
  }
  if (n < 0 && io_would_block(errno)) return 0;
  if (n == 0) errno = 0;
  return -1;
}


void wire_hand_over (lua_State *L, Wire *w) {
  Inbox *in = w->inbox;
  lua_pushlstring(L, in->bytes, in->n);
  w->drained = in->n != PIECE;
  in->n = 0;
}


int wire_at_end (lua_State *L) {
  if (errno == 0) return refuse(L, "closed");
  failed(L, errno);
  lua_pushliteral(L, "broken");
  return 3;
}


static int receive (lua_State *L, Wire *w, Task *t) {
  double deadline = deadline_at(L, 2);
  switch (wire_fetch(L, w, 1)) {
    case 1: wire_hand_over(L, w); return 1;
    case -1: return wire_at_end(L);
    default:
      if (has_passed(w->object.S, deadline)) return refuse(L, "timeout");
      return io_wait(L, t, w->fd, IO_READ, deadline, on_readable);
  }
}


static int on_readable (lua_State *L, int status, lua_KContext ctx) {
  Wire *w = (Wire *)lua_touserdata(L, 1);
  Task *t = (Task *)ctx;
  const char *word = wire_hindrance(w, t);
  (void)status;
  return word != NULL ? refuse(L, word) : receive(L, w, t);
}


/* internal.wire_receive(wire [, deadline]) -> what has come, at least one byte,
   or nil and why: "closed" at the end and, with "broken" as a third value,
   when the connection was lost; "timeout"; "cancelled"; "forgotten" when it was
   closed by another task; "outside" when it would have to wait outside of a
   task; or the system's words. Suspends. */
static int l_receive (lua_State *L) {
  Wire *w = check_wire(L);
  Task *t = wire_task(L, w);
  double deadline = deadline_at(L, 2);
  BEGIN(L, w, t, deadline, l_receive);
  if (w->drained && !has_passed(w->object.S, deadline))
    return io_wait(L, t, w->fd, IO_READ, deadline, on_readable);
  return receive(L, w, t);
}


/* ---------------------------------------------------------------------- */
/* sending */


static int on_writable (lua_State *L, int status, lua_KContext t);


/* send the bytes from the one at index 3 to the one at index 4 */
static int transmit (lua_State *L, Wire *w, Task *t) {
  const char *data = lua_tostring(L, 2);
  lua_Integer i = lua_tointeger(L, 3), j = lua_tointeger(L, 4);
  while (i <= j) {
    ssize_t n = send(w->fd, data + i - 1, (size_t)(j - i + 1), WIRE_FLAGS);
    int error = errno;
    if (n >= 0) {
      i += n;
      io_charge(w->object.S, n);
    }
    else if (error != EINTR) {
      double deadline = deadline_at(L, 5);
      lua_pushinteger(L, i);
      lua_replace(L, 3);
      if (!io_would_block(error))
        failed(L, error);
      else if (has_passed(w->object.S, deadline))
        refuse(L, "timeout");
      else
        return io_wait(L, t, w->fd, IO_WRITE, deadline, on_writable);
      lua_pushinteger(L, i - 1);
      return 3;
    }
  }
  lua_pushinteger(L, j);
  return 1;
}


static int on_writable (lua_State *L, int status, lua_KContext ctx) {
  Wire *w = (Wire *)lua_touserdata(L, 1);
  Task *t = (Task *)ctx;
  const char *word = wire_hindrance(w, t);
  (void)status;
  if (word == NULL) return transmit(L, w, t);
  refuse(L, word);
  lua_pushinteger(L, lua_tointeger(L, 3) - 1);
  return 3;
}


/* internal.wire_send(wire, data, i, j [, deadline]) -> j, or nil, why not (as
   above), and which byte was the last one sent. Suspends. */
static int l_send (lua_State *L) {
  Wire *w = check_wire(L);
  Task *t = wire_task(L, w);
  size_t size;
  luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, luaL_checkinteger(L, 3) >= 1, 3, "below 1");
  luaL_argcheck(L, luaL_checkinteger(L, 4) <= (lua_Integer)size, 4,
                "too large");
  lua_settop(L, 5);
  BEGIN(L, w, t, deadline_at(L, 5), l_send);
  return transmit(L, w, t);
}


/* ---------------------------------------------------------------------- */
/* waiting only */


static int is_ready (Wire *w, int what) {
  struct pollfd p;
  p.fd = w->fd;
  p.events = what == IO_READ ? POLLIN : POLLOUT;
  p.revents = 0;
  return poll(&p, 1, 0) > 0;
}


static int on_ready (lua_State *L, int status, lua_KContext ctx) {
  const char *word = wire_hindrance((Wire *)lua_touserdata(L, 1), (Task *)ctx);
  (void)status;
  if (word != NULL) return refuse(L, word);
  lua_pushboolean(L, 1);
  return 1;
}


/* internal.wire_wait(wire, for_writing [, deadline]) -> true, or nil and why
   not (as above). Suspends, unless the deadline has passed. */
static int l_wait (lua_State *L) {
  Wire *w = check_wire(L);
  Task *t = wire_task(L, w);
  int what = lua_toboolean(L, 2) ? IO_WRITE : IO_READ;
  double deadline = deadline_at(L, 3);
  BEGIN(L, w, t, deadline, l_wait);
  if (!has_passed(w->object.S, deadline))
    return io_wait(L, t, w->fd, what, deadline, on_ready);
  if (!is_ready(w, what)) return refuse(L, "timeout");
  lua_pushboolean(L, 1);
  return 1;
}


/* ---------------------------------------------------------------------- */


/* internal.wire_close(wire, last_words) -> boolean: the descriptor is going to
   be closed, by somebody else; who waits is told. With 'last_words' it tells
   whether something can be sent before. */
static int l_close (lua_State *L) {
  Wire *w = check_wire(L);
  lua_pushboolean(L,
                  lua_toboolean(L, 2) && w->fd >= 0 && is_ready(w, IO_WRITE));
  if (w->fd >= 0) loop_forget(w->object.S, w->fd);
  w->fd = -1;
  if (wire_held(w) > 0) w->inbox->n = 0;
  return 1;
}


/* internal.wire_enter(wire [, deadline]) -> true, or nil and "cancelled",
   "outside" or "closed": what each of the functions above does first, for
   operations of other libraries. Suspends when the task has run for long. */
static int l_enter (lua_State *L) {
  Wire *w = check_wire(L);
  Task *t = wire_task(L, w);
  BEGIN(L, w, t, deadline_at(L, 2), l_enter);
  lua_pushboolean(L, 1);
  return 1;
}


/* internal.wire_watch_loss(): before a call of another library that has one
   word for the proper end of a connection and for its loss. */
static int l_watch_loss (lua_State *L) {
  (void)L;
  errno = 0;
  return 0;
}


/* internal.wire_lost() -> boolean: was it a loss? To be asked right after that
   call, before anything else can set errno. */
static int l_lost (lua_State *L) {
  lua_pushboolean(L, is_loss(errno));
  return 1;
}


/* internal.wire(fd) -> a wire over a socket that does not block; -1: over one
   that is closed, or not yet open */
static int l_wire (lua_State *L) {
  lua_Number fd = luaL_checknumber(L, 1); /* LuaSocket's are floats */
  Wire *w;
  luaL_argcheck(L, fd >= -1 && fd <= 0x0fffffff, 1, "no descriptor");
  w = (Wire *)lua_newuserdatauv(L, sizeof(Wire), 1);
  w->object.mark = &wire_mark;
  w->object.S = sched_of(L);
  w->fd = (int)fd;
  w->drained = 0;
  w->inbox = NULL;
  if (w->fd >= 0) watch_anew(w->object.S, w->fd);
  return 1;
}


static const luaL_Reg internals[] = {
  { "wire", l_wire },
  { "wire_close", l_close },
  { "wire_enter", l_enter },
  { "wire_lost", l_lost },
  { "wire_receive", l_receive },
  { "wire_send", l_send },
  { "wire_wait", l_wait },
  { "wire_watch_loss", l_watch_loss },
  { NULL, NULL },
};


void wire_openlib (lua_State *L) {
  sched_internals(L, internals);
}
