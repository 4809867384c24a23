/*
** ticket.h - C functions of a host that wait, and the tickets by which they are
** resumed.
*/

#ifndef neap_ticket_h
#define neap_ticket_h

#include "neap.h"
#include "sched.h"

HIDDEN_BEGIN

/* 'suspend' of neap.h: waits in the caller's task; may raise */
int ticket_suspend (lua_State *L, neap_Start start, neap_Cancel stop, void *ud);

/* push the future that waits for the ticket, or nil, and 0, if none does */
int ticket_push (lua_State *L, Sched *S, lua_Integer ticket);

/* that future is settled: whoever comes now is too late */
void ticket_forget (lua_State *L, Sched *S, lua_Integer ticket);

/* when the core is opened */
void ticket_openlib (lua_State *L);

HIDDEN_END

#endif
