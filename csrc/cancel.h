/*
** cancel.h - what scope.c and cancel.c share: the reason of a scope.
*/

#ifndef neap_cancel_h
#define neap_cancel_h

#include "scope.h"

HIDDEN_BEGIN

/* what 'raw' says of the reason of a cancelled scope */
enum { RAW_NONE, RAW_VALUE, RAW_MADE };

/* what is on top becomes the reason; pops it. Cannot fail. */
void scope_set_reason (lua_State *L, Scope *s);

void scope_push_reason (lua_State *L, Scope *s);

HIDDEN_END

#endif
