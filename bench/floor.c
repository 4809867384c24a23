/*
** floor.c - the least that each workload can cost on Lua 5.4.
**
** A bare scheduler without any feature, to measure the distance from. It
** is a Lua module, so that floor and library run under the same interpreter.
**
** What it does, because no correct implementation can leave it out:
**   - one Lua coroutine for each task, reused when the task has ended;
**   - one ready line, first in, first out; intrusive links, no allocation;
**   - a continuation after each wait, which raises if the wait was broken off
**     (by 'cancel', or by the deadline of a 'timeout');
**   - a fresh reading of the clock for each deadline, and a 4-ary heap;
**   - a pcall around what a deadline may break off, around each item of a
**     pool and at the base of a task that will be cancelled;
**   - a handle for each task that was spawned (a userdata with a metatable
**     and no finalizer); none for the workers of a pool;
**   - libev for the one thing it is needed for: to sleep until a deadline.
**
** What it does not: check arguments, know scopes or parents, tell a deadlock
** or a traceback, order equal deadlines, poll files, share a long line
** fairly, nest one timeout in another, let two tasks await the same one,
** survive an error that nobody catches, or keep two Lua states apart.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include <lua.h>
#include <lauxlib.h>


/* circular and intrusive; a Link that is in no line points to itself */
typedef struct Link {
  struct Link *next, *prev;
} Link;

typedef struct Timer {
  struct Task *task;
  size_t slot; /* where in the heap it is, counted from 1; 0 if nowhere */
} Timer;

typedef struct Task {
  Link link; /* first, so that a Link in a line is a Task */
  lua_State *co;
  struct Handle *handle;
  lua_Integer item; /* a worker's: the index of its item */
  int nargs;        /* values on top of 'co' that answer its wait */
  int broken;       /* its wait was broken off: the continuation must raise */
  Timer alarm;      /* of its sleep */
  Timer limit;      /* of the timeout it is in */
} Task;

typedef struct Handle {
  Link waiters;
  Task *task; /* NULL when it has ended; then the user value is its result */
} Handle;

typedef struct Sem {
  Link line;
  lua_Integer free;
} Sem;

typedef struct Channel {
  Link senders; /* each with its value on top of its stack */
  Link receivers;
  lua_State *ring; /* what is buffered, in slots 1 to 'capacity' */
  int capacity, head, count;
} Channel;

typedef struct Pool {
  Task *parent;
  lua_Integer next;
  int live; /* workers that have not ended */
} Pool;

/* a heap's entry carries its key, so that sifting stays in one array */
typedef struct Entry {
  double at;
  Timer *timer;
} Entry;

static Link ready = { &ready, &ready };
static Link idle = { &idle, &idle }; /* ended tasks, for reuse */
static Task *current;
static Entry *heap;
static size_t heap_n, heap_size;
static struct ev_loop *loop;
static lua_Integer created;
static const char anchors = 0; /* its address keys the table of coroutines */


/* {==================================================================
** Lines
** =================================================================== */

static void line_join (Link *line, Task *t) {
  t->link.prev = line->prev;
  t->link.next = line;
  line->prev->next = &t->link;
  line->prev = &t->link;
}


static void line_leave (Task *t) {
  t->link.prev->next = t->link.next;
  t->link.next->prev = t->link.prev;
  t->link.next = t->link.prev = &t->link;
}


static Task *line_first (Link *line) {
  return (line->next == line) ? NULL : (Task *)line->next;
}


static void line_init (Link *line) {
  line->next = line->prev = line;
}

/* }================================================================== */


/* {==================================================================
** Deadlines
** =================================================================== */

static double now (void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}


static void heap_put (size_t i, Entry e) {
  heap[i] = e;
  e.timer->slot = i + 1;
}


static void heap_up (size_t i, Entry e) {
  while (i > 0 && e.at < heap[(i - 1) / 4].at) {
    heap_put(i, heap[(i - 1) / 4]);
    i = (i - 1) / 4;
  }
  heap_put(i, e);
}


static void heap_down (size_t i, Entry e) {
  for (;;) {
    size_t child = 4 * i + 1;
    size_t last = (child + 4 < heap_n) ? child + 4 : heap_n;
    size_t least = child;
    if (child >= heap_n) break;
    while (++child < last)
      if (heap[child].at < heap[least].at) least = child;
    if (e.at <= heap[least].at) break;
    heap_put(i, heap[least]);
    i = least;
  }
  heap_put(i, e);
}


static void timer_start (Timer *timer, double after) {
  Entry e;
  e.at = now() + after;
  e.timer = timer;
  if (heap_n == heap_size) {
    heap_size = heap_size ? 2 * heap_size : 64;
    heap = (Entry *)realloc(heap, heap_size * sizeof(Entry));
    if (heap == NULL) abort();
  }
  heap_up(heap_n++, e);
}


static void timer_stop (Timer *timer) {
  size_t i = timer->slot - 1;
  Entry last;
  if (timer->slot == 0) return;
  timer->slot = 0;
  last = heap[--heap_n];
  if (i == heap_n) return;
  if (i > 0 && last.at < heap[(i - 1) / 4].at)
    heap_up(i, last);
  else
    heap_down(i, last);
}

/* }================================================================== */


/* {==================================================================
** Tasks
** =================================================================== */

/* answer a task's wait with the 'nargs' values on top of its stack */
static void wake (Task *t, int nargs) {
  t->nargs = nargs;
  line_leave(t);
  line_join(&ready, t);
}


/* break off what a task waits for */
static void interrupt (Task *t) {
  t->broken = 1;
  timer_stop(&t->alarm);
  wake(t, 0);
}


/* how every wait ends */
static int resumed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  if (current->broken) {
    current->broken = 0;
    lua_pushliteral(L, "interrupted");
    return lua_error(L);
  }
  return current->nargs;
}


static Task *task_new (lua_State *L) {
  Task *t = line_first(&idle);
  if (t != NULL) {
    line_leave(t);
    return t;
  }
  t = (Task *)calloc(1, sizeof(Task));
  if (t == NULL) abort();
  line_init(&t->link);
  t->alarm.task = t->limit.task = t;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors);
  t->co = lua_newthread(L);
  lua_rawseti(L, -2, ++created);
  lua_pop(L, 1);
  return t;
}


/* an ended task hands its first result on and waits for its next function */
static void task_end (Task *t) {
  Handle *h = t->handle;
  Task *waiter;
  if (h != NULL) {
    h->task = NULL;
    t->handle = NULL;
    lua_settop(t->co, 2); /* the handle and the result */
    waiter = line_first(&h->waiters);
    if (waiter != NULL) {
      lua_xmove(t->co, waiter->co, 1);
      wake(waiter, 1);
    }
    else
      lua_setiuservalue(t->co, 1, 1);
  }
  lua_settop(t->co, 0);
  t->link.next = idle.next; /* last in, first out: its memory is warm */
  t->link.prev = &idle;
  idle.next->prev = &t->link;
  idle.next = &t->link;
}


static void step (lua_State *L, Task *t) {
  int nres;
  int status;
  current = t;
  status = lua_resume(t->co, L, t->nargs, &nres);
  if (status == LUA_YIELD) return;
  if (status != LUA_OK) {
    fprintf(stderr, "floor: %s\n", lua_tostring(t->co, -1));
    exit(1);
  }
  task_end(t);
}


static void on_alarm (struct ev_loop *l, ev_timer *w, int events) {
  (void)l;
  (void)w;
  (void)events; /* 'expire' looks at the heap itself */
}


static void poll (void) {
  ev_timer alarm;
  ev_now_update(loop);
  ev_timer_init(&alarm, on_alarm, heap[0].at - now(), 0.);
  ev_timer_start(loop, &alarm);
  ev_run(loop, EVRUN_ONCE);
  ev_timer_stop(loop, &alarm);
}


static void expire (void) {
  double at = now();
  while (heap_n > 0 && heap[0].at <= at) {
    Timer *timer = heap[0].timer;
    timer_stop(timer);
    if (timer == &timer->task->alarm)
      wake(timer->task, 0);
    else
      interrupt(timer->task);
  }
}


static int floor_run (lua_State *L) {
  Task *t = task_new(L);
  unsigned turn = 0;
  lua_pushvalue(L, 1);
  lua_xmove(L, t->co, 1);
  wake(t, 0);
  for (;;) {
    while ((t = line_first(&ready)) != NULL) {
      line_leave(t);
      step(L, t);
      if (++turn % 256 == 0) expire();
    }
    if (heap_n == 0) return 0;
    poll();
    expire();
  }
}

/* }================================================================== */


/* {==================================================================
** What tasks call
** =================================================================== */

static int floor_sleep (lua_State *L) {
  double seconds = lua_tonumber(L, 1);
  if (seconds > 0)
    timer_start(&current->alarm, seconds);
  else
    wake(current, 0);
  return lua_yieldk(L, 0, 0, resumed);
}


static int guard_end (lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}


/* the base of a task that will be cancelled */
static int guard (lua_State *L) {
  return guard_end(L, lua_pcallk(L, 0, 0, 0, 0, guard_end), 0);
}


/* the handle lies below the function: it lives as long as the task */
static int spawn (lua_State *L, lua_CFunction base) {
  Task *t = task_new(L);
  Handle *h = (Handle *)lua_newuserdatauv(L, sizeof(Handle), 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  line_init(&h->waiters);
  h->task = t;
  t->handle = h;
  lua_pushvalue(L, -1);
  lua_xmove(L, t->co, 1);
  if (base != NULL) lua_pushcfunction(t->co, base);
  lua_pushvalue(L, 1);
  lua_xmove(L, t->co, 1);
  wake(t, base != NULL);
  return 1;
}


static int floor_spawn (lua_State *L) {
  return spawn(L, NULL);
}


static int floor_spawn_guarded (lua_State *L) {
  return spawn(L, guard);
}


static int handle_await (lua_State *L) {
  Handle *h = (Handle *)lua_touserdata(L, 1);
  if (h->task == NULL) {
    lua_getiuservalue(L, 1, 1);
    return 1;
  }
  line_join(&h->waiters, current);
  return lua_yieldk(L, 0, 0, resumed);
}


static int handle_cancel (lua_State *L) {
  Handle *h = (Handle *)lua_touserdata(L, 1);
  if (h->task != NULL) interrupt(h->task);
  return 0;
}


static int timeout_end (lua_State *L, int status, lua_KContext ctx) {
  timer_stop(&((Task *)ctx)->limit);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L);
}


/* timeout(fn, seconds) */
static int floor_timeout (lua_State *L) {
  lua_KContext ctx = (lua_KContext)current;
  timer_start(&current->limit, lua_tonumber(L, 2));
  lua_settop(L, 1);
  return timeout_end(L, lua_pcallk(L, 0, LUA_MULTRET, 0, ctx, timeout_end),
                     ctx);
}


static int floor_semaphore (lua_State *L) {
  Sem *s = (Sem *)lua_newuserdatauv(L, sizeof(Sem), 0);
  line_init(&s->line);
  s->free = lua_tointeger(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}


/* a permit is free only while nobody waits: 'release' hands it on */
static int sem_acquire (lua_State *L) {
  Sem *s = (Sem *)lua_touserdata(L, 1);
  if (s->free > 0) {
    s->free--;
    return 0;
  }
  line_join(&s->line, current);
  return lua_yieldk(L, 0, 0, resumed);
}


static int sem_release (lua_State *L) {
  Sem *s = (Sem *)lua_touserdata(L, 1);
  Task *t = line_first(&s->line);
  if (t != NULL)
    wake(t, 0);
  else
    s->free++;
  return 0;
}


static int floor_channel (lua_State *L) {
  Channel *ch = (Channel *)lua_newuserdatauv(L, sizeof(Channel), 1);
  line_init(&ch->senders);
  line_init(&ch->receivers);
  ch->capacity = (int)lua_tointeger(L, 1);
  ch->head = ch->count = 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  ch->ring = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  luaL_checkstack(ch->ring, ch->capacity + 2, NULL);
  lua_settop(ch->ring, ch->capacity);
  return 1;
}


/* move the value on top of 'from' to the end of the ring */
static void ring_put (Channel *ch, lua_State *from) {
  int slot = ch->head + ch->count++;
  lua_xmove(from, ch->ring, 1);
  lua_replace(ch->ring, 1 + (slot < ch->capacity ? slot : slot - ch->capacity));
}


static void ring_take (Channel *ch, lua_State *to) {
  lua_pushvalue(ch->ring, ch->head + 1);
  lua_xmove(ch->ring, to, 1);
  lua_pushnil(ch->ring);
  lua_replace(ch->ring, ch->head + 1);
  ch->count--;
  if (++ch->head == ch->capacity) ch->head = 0;
}


static int channel_send (lua_State *L) {
  Channel *ch = (Channel *)lua_touserdata(L, 1);
  Task *t = line_first(&ch->receivers);
  if (t != NULL) {
    lua_xmove(L, t->co, 1);
    wake(t, 1);
    return 0;
  }
  if (ch->count < ch->capacity) {
    ring_put(ch, L);
    return 0;
  }
  line_join(&ch->senders, current);
  return lua_yieldk(L, 1, 0, resumed);
}


static int channel_recv (lua_State *L) {
  Channel *ch = (Channel *)lua_touserdata(L, 1);
  Task *t = line_first(&ch->senders);
  if (ch->count > 0) {
    ring_take(ch, L);
    if (t != NULL) ring_put(ch, t->co);
  }
  else if (t != NULL)
    lua_xmove(t->co, L, 1);
  else {
    line_join(&ch->receivers, current);
    return lua_yieldk(L, 0, 0, resumed);
  }
  if (t != NULL) wake(t, 0);
  return 1;
}


/*
** A worker's whole life: store the result of the last call if there was
** one, take the next item, call. On its stack: items, results, function.
*/
static int worker_go (lua_State *L, int status, lua_KContext ctx) {
  Pool *p = (Pool *)ctx;
  Task *t = current;
  do {
    if (lua_gettop(L) == 4) lua_rawseti(L, 2, t->item);
    t->item = p->next++;
    lua_pushvalue(L, 3);
    if (lua_istable(L, 1))
      lua_rawgeti(L, 1, t->item);
    else {
      lua_pushvalue(L, 1);
      lua_call(L, 0, 1);
    }
    if (lua_isnil(L, -1)) {
      if (--p->live == 0) wake(p->parent, 0);
      return 0;
    }
    lua_pushinteger(L, t->item);
    status = lua_pcallk(L, 2, 1, 0, ctx, worker_go);
  } while (status == LUA_OK);
  return lua_error(L);
}


static int worker (lua_State *L) {
  lua_KContext ctx = (lua_KContext)lua_touserdata(L, 4);
  lua_settop(L, 3);
  return worker_go(L, LUA_OK, ctx);
}


static int pool_end (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_settop(L, 2);
  return 1;
}


/* pool(items, concurrency, fn) -> results; items: a table or an iterator */
static int floor_pool (lua_State *L) {
  int n = (int)lua_tointeger(L, 2);
  lua_Unsigned len = lua_istable(L, 1) ? lua_rawlen(L, 1) : 0;
  Pool *p = (Pool *)lua_newuserdatauv(L, sizeof(Pool), 0);
  p->parent = current;
  p->next = 1;
  p->live = n;
  lua_createtable(L, (int)len, 0);
  lua_replace(L, 2);
  while (n-- > 0) {
    Task *t = task_new(L);
    lua_pushcfunction(t->co, worker);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushlightuserdata(L, p);
    lua_xmove(L, t->co, 4);
    wake(t, 4);
  }
  return lua_yieldk(L, 0, 0, pool_end);
}

/* }================================================================== */


/* {==================================================================
** Generators: a coroutine inside the task. What it yields is a value; when it
** waits it yields none, and the task waits with it.
** =================================================================== */

static int generator_go (lua_State *L, int status, lua_KContext ctx) {
  lua_State *co = (lua_State *)ctx;
  int n;
  status = lua_resume(co, L, 0, &n);
  if (status == LUA_YIELD && n == 0) return lua_yieldk(L, 0, ctx, generator_go);
  if (status != LUA_YIELD) return 0;
  lua_xmove(co, L, n);
  return n;
}


static int generator_next (lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  return generator_go(L, LUA_OK, (lua_KContext)co);
}


/* generator(fn) -> iterator; fn emits by coroutine.yield */
static int floor_generator (lua_State *L) {
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, generator_next, 1);
  return 1;
}

/* }================================================================== */


/*
** {==================================================================
** Sockets: 64 bytes there and back, by libev's callbacks alone
** ===================================================================
*/

enum { MESSAGE = 64 };

typedef struct Peer {
  ev_io io;
  long left; /* messages that it is still to send; -1: it echoes */
} Peer;


static void on_message (struct ev_loop *ev, ev_io *w, int events) {
  Peer *p = (Peer *)w->data;
  char bytes[16384];
  ssize_t n = recv(w->fd, bytes, sizeof(bytes), 0);
  (void)events;
  if (n > 0 && p->left != 0) {
    if (p->left > 0) p->left--;
    if (send(w->fd, bytes, (size_t)n, MSG_NOSIGNAL) == n) return;
  }
  if (n < 0 && errno == EAGAIN) return;
  ev_io_stop(ev, w);
  close(w->fd);
}


static void listen_to (Peer *p, int fd, long left) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  p->left = left;
  p->io.data = p;
  ev_io_init(&p->io, on_message, fd, EV_READ);
  ev_io_start(loop, &p->io);
}


/* a connection over loopback: fd[0] and fd[1]; 0 if there is one */
static int connect_pair (int fd[2]) {
  struct sockaddr_in addr;
  socklen_t size = sizeof(addr);
  int server = socket(AF_INET, SOCK_STREAM, 0), failed;
  memset(&addr, 0, sizeof(addr));
  addr.sin_family = AF_INET;
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fd[0] = socket(AF_INET, SOCK_STREAM, 0);
  failed = bind(server, (struct sockaddr *)&addr, size) != 0 ||
           listen(server, 1) != 0 ||
           getsockname(server, (struct sockaddr *)&addr, &size) != 0 ||
           connect(fd[0], (struct sockaddr *)&addr, size) != 0;
  fd[1] = failed ? -1 : accept(server, NULL, NULL);
  close(server);
  return fd[1] < 0;
}


static int run_loop (lua_State *L) {
  (void)L;
  ev_run(loop, 0);
  return 0;
}


/* echo(connections, n): what sends n messages over each, there and back */
static int floor_echo (lua_State *L) {
  lua_Integer i, connections = luaL_checkinteger(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  Peer *peers =
      lua_newuserdatauv(L, (size_t)(2 * connections) * sizeof(Peer), 0);
  char bytes[MESSAGE] = { 0 };
  for (i = 0; i < connections; i++) {
    int fd[2];
    if (connect_pair(fd)) return luaL_error(L, "cannot connect");
    listen_to(&peers[2 * i], fd[0], (long)n - 1);
    listen_to(&peers[2 * i + 1], fd[1], -1);
    send(fd[0], bytes, MESSAGE, MSG_NOSIGNAL);
  }
  lua_pushcclosure(L, run_loop, 1); /* which holds the peers */
  return 1;
}

/* }================================================================== */


static const luaL_Reg handle_methods[] = { { "await", handle_await },
                                           { "cancel", handle_cancel },
                                           { NULL, NULL } };

static const luaL_Reg sem_methods[] = { { "acquire", sem_acquire },
                                        { "release", sem_release },
                                        { NULL, NULL } };

static const luaL_Reg channel_methods[] = { { "send", channel_send },
                                            { "recv", channel_recv },
                                            { NULL, NULL } };

static const luaL_Reg funcs[] = { { "run", floor_run },
                                  { "sleep", floor_sleep },
                                  { "timeout", floor_timeout },
                                  { "pool", floor_pool },
                                  { "generator", floor_generator },
                                  { "echo", floor_echo },
                                  { NULL, NULL } };


/* set a function whose upvalue is the metatable of what it makes */
static void maker (lua_State *L, const char *name, lua_CFunction f,
                   const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}


int luaopen_floor (lua_State *L);

int luaopen_floor (lua_State *L) {
  loop = ev_loop_new(EVFLAG_NOENV);
  if (loop == NULL) return luaL_error(L, "cannot create an event loop");
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors);
  luaL_newlib(L, funcs);
  maker(L, "spawn", floor_spawn, handle_methods);
  maker(L, "spawn_guarded", floor_spawn_guarded, handle_methods);
  maker(L, "semaphore", floor_semaphore, sem_methods);
  maker(L, "channel", floor_channel, channel_methods);
  lua_pushfstring(L, "libev %d.%d", ev_version_major(), ev_version_minor());
  lua_setfield(L, -2, "libev");
  return 1;
}
