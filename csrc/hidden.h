/*
** hidden.h - nothing but luaopen_neap_core leaves the module.
**
** A rock is built with the user's own flags, so this cannot be left to
** -fvisibility: every header of ours stands between these two words.
*/

#ifndef neap_hidden_h
#define neap_hidden_h

#if defined(__GNUC__) || defined(__clang__)
#define HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define HIDDEN_END _Pragma("GCC visibility pop")
#else
#define HIDDEN_BEGIN
#define HIDDEN_END
#endif

#endif
