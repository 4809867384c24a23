/*
** resolve.c - the addresses of a host, looked up by a helper thread.
**
** The C library has the one resolver that knows all that the system's
** administrator has set (hosts, search lists, mDNS); it blocks, so a thread
** waits for it.
*/

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include "args.h"
#include "cancel.h"
#include "offload.h"
#include "rooms.h"

typedef struct Lookup {
  Job job;
  char *host;
  int error;
  struct addrinfo *list;
} Lookup;


static void look_up (Job *job) {
  Lookup *x = (Lookup *)job;
  struct addrinfo hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM; /* each address once */
  hints.ai_flags = AI_ADDRCONFIG;
  x->error = getaddrinfo(x->host, NULL, &hints, &x->list);
}


static void discard (Job *job) {
  Lookup *x = (Lookup *)job;
  if (x->list != NULL) freeaddrinfo(x->list);
  free(x->host);
}


static void push_address (lua_State *L, const struct addrinfo *a) {
  char text[INET6_ADDRSTRLEN] = "";
  const void *address =
      a->ai_family == AF_INET
          ? (const void *)&((const struct sockaddr_in *)a->ai_addr)->sin_addr
          : (const void *)&((const struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
  inet_ntop(a->ai_family, address, text, sizeof text);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, a->ai_family == AF_INET ? "inet" : "inet6");
  lua_setfield(L, -2, "family");
  lua_pushstring(L, text);
  lua_setfield(L, -2, "addr");
}


static int looked_up (lua_State *L, int status, lua_KContext ctx) {
  Lookup *x = (Lookup *)offload_job(L, (Task *)ctx);
  const struct addrinfo *a;
  lua_Integer n = 0;
  (void)status;
  if (x == NULL) return cause_raise(L, (Task *)ctx);
  if (x->job.refused != 0 || x->error != 0) {
    lua_pushnil(L);
    lua_pushstring(L, x->job.refused != 0 ? strerror(x->job.refused)
                                          : gai_strerror(x->error));
    offload_free(L, 2);
    return 2;
  }
  lua_newtable(L);
  for (a = x->list; a != NULL; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    push_address(L, a);
    lua_rawseti(L, -2, ++n);
  }
  offload_free(L, 1);
  return 1;
}


/* internal.resolve(host) -> { { family =, addr = }, ... } or nil, message: all
   addresses of a host, in the system's order; family: "inet" or "inet6".
   Suspends. */
static int l_resolve (lua_State *L) {
  Sched *S = sched_of(L);
  const char *host = luaL_checkstring(L, 1);
  Task *t;
  Lookup *x;
  if (strlen(host) != lua_rawlen(L, 1))
    arg_error(L, 1, "resolve", "host", "a name without zeros", 1);
  t = sched_enter_in(L, S, "resolve");
  SCHED_DETOUR(L, S, t, l_resolve);
  x = (Lookup *)offload_new(L, S, sizeof(Lookup), look_up, discard);
  x->host = strdup(host);
  if (x->host == NULL) return luaL_error(L, "not enough memory");
  return offload_wait(L, t, WAIT_LOOKUP, looked_up);
}


static const luaL_Reg internals[] = {
  { "resolve", l_resolve },
  { NULL, NULL },
};


void resolve_openlib (lua_State *L) {
  sched_internals(L, internals);
}
