/*
** signals.h - signals by name, and hearing those that come to this process.
*/

#ifndef neap_signals_h
#define neap_signals_h

#include "sched.h"

HIDDEN_BEGIN

/* the number of a signal: its name, with or without SIG, or a number; -1 if
   there is none like that */
int signal_number (lua_State *L, int idx);

/* push the name, without SIG, of a signal; its number if it has none */
void signal_push_name (lua_State *L, int sig);

/* the state is closed: nobody listens any more */
void signals_close (Sched *S);

HIDDEN_END

#endif
