/*
** swarm.c - a window in which thousands of scripted things move, wait, chase
** and are cancelled.
**
** example-test: window --frames 240 --check
**
**   swarm [--things N] [--hunters N]         until the window is closed
**   swarm --frames N [--shot FILE] [--check] for tests: so many frames of 1/60 s,
**                                            each checked by looking at pixels
**
** Space pauses the game, Down makes it slow: the scripts' time is the host's.
** Needs SDL2.
*/

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL.h>
#include <lualib.h>

#include "neap.h"

enum { WIDTH = 640, HEIGHT = 480, SIZE = 3 };

#define SPEED 0.15 /* of the window's width, in a second */

typedef struct Thing {
  double x, y;   /* 0 to 1 */
  double tx, ty; /* where it goes */
  int prey;      /* whom it follows; -1: nobody */
  int hunter, alive;
  neap_Ticket ticket; /* its script waits for it to arrive; 0: it does not */
} Thing;

typedef struct Game {
  const neap_Api *neap;
  lua_State *L;
  Thing *things;
  int n, size, alive, caught;
} Game;


static Game *game_of (lua_State *L) {
  return (Game *)lua_touserdata(L, lua_upvalueindex(1));
}


static Thing *check_thing (lua_State *L, Game *g, int arg) {
  lua_Integer id = luaL_checkinteger(L, arg);
  luaL_argcheck(L, 0 <= id && id < g->n, arg, "no such thing");
  return &g->things[id];
}


/* ---------------------------------------------------------------------- */
/* what scripts call */


static int l_new_thing (lua_State *L) {
  Game *g = game_of(L);
  Thing *t = &g->things[g->n];
  if (g->n == g->size) return luaL_error(L, "too many things");
  memset(t, 0, sizeof *t);
  t->x = rand() / (double)RAND_MAX;
  t->y = rand() / (double)RAND_MAX;
  t->prey = -1;
  t->hunter = strcmp(luaL_checkstring(L, 1), "hunter") == 0;
  t->alive = 1;
  g->alive++;
  lua_pushinteger(L, g->n++);
  return 1;
}


static int l_vanish (lua_State *L) {
  Game *g = game_of(L);
  Thing *t = check_thing(L, g, 1);
  if (t->alive) g->alive--;
  if (t->alive && !t->hunter) g->caught++;
  t->alive = 0;
  return 0;
}


static void arrival (lua_State *L, neap_Ticket ticket, void *ud) {
  (void)L;
  ((Thing *)ud)->ticket = ticket;
}


static void no_arrival (void *ud) {
  ((Thing *)ud)->ticket = 0;
  ((Thing *)ud)->prey = -1;
}


static int l_move_to (lua_State *L) {
  Game *g = game_of(L);
  Thing *t = check_thing(L, g, 1);
  t->tx = luaL_checknumber(L, 2);
  t->ty = luaL_checknumber(L, 3);
  return g->neap->suspend(L, arrival, no_arrival, t);
}


static int l_follow (lua_State *L) {
  Game *g = game_of(L);
  Thing *t = check_thing(L, g, 1);
  t->prey = (int)(check_thing(L, g, 2) - g->things);
  return g->neap->suspend(L, arrival, no_arrival, t);
}


static double distance (const Thing *a, double x, double y) {
  return hypot(a->x - x, a->y - y);
}


static int l_nearest (lua_State *L) {
  Game *g = game_of(L);
  Thing *me = check_thing(L, g, 1), *best = NULL;
  int i;
  for (i = 0; i < g->n; i++) {
    Thing *t = &g->things[i];
    if (t->alive && !t->hunter &&
        (best == NULL ||
         distance(me, t->x, t->y) < distance(me, best->x, best->y)))
      best = t;
  }
  if (best == NULL) return 0;
  lua_pushinteger(L, best - g->things);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* the game */


static void move (Game *g, double dt) {
  int i;
  for (i = 0; i < g->n; i++) {
    Thing *t = &g->things[i];
    double far, way = SPEED * (t->hunter ? 2 : 1) * dt;
    if (!t->alive || t->ticket == 0) continue;
    if (t->prey >= 0) {
      t->tx = g->things[t->prey].x;
      t->ty = g->things[t->prey].y;
    }
    far = distance(t, t->tx, t->ty);
    if (far > way) {
      t->x += (t->tx - t->x) / far * way;
      t->y += (t->ty - t->y) / far * way;
    }
    else {
      neap_Ticket ticket = t->ticket;
      t->x = t->tx;
      t->y = t->ty;
      t->prey = -1;
      t->ticket = 0;
      g->neap->resume(g->L, ticket, 0);
    }
  }
}


static void draw (const Game *g, SDL_Renderer *r) {
  int i;
  SDL_SetRenderDrawColor(r, 10, 14, 30, 255);
  SDL_RenderClear(r);
  for (i = 0; i < g->n; i++) {
    const Thing *t = &g->things[i];
    SDL_Rect box = { (int)(t->x * (WIDTH - SIZE)),
                     (int)(t->y * (HEIGHT - SIZE)), SIZE, SIZE };
    if (!t->alive) continue;
    if (t->hunter) {
      SDL_SetRenderDrawColor(r, 255, 90, 60, 255);
      box.x--, box.y--, box.w += 2, box.h += 2;
    }
    else
      SDL_SetRenderDrawColor(r, 90, 200, 255, 255);
    SDL_RenderFillRect(r, &box);
  }
  SDL_RenderPresent(r);
}


static int open_game (Game *g, int things, int hunters) {
  static const luaL_Reg funcs[] = {
    { "new_thing", l_new_thing }, { "move_to", l_move_to },
    { "follow", l_follow },       { "nearest", l_nearest },
    { "vanish", l_vanish },       { NULL, NULL },
  };
  neap_Options options = neap_OPTIONS;
  lua_State *L = g->L = luaL_newstate();
  luaL_openlibs(L);
  options.clock = "manual";
  g->size = things + hunters;
  g->things = (Thing *)calloc((size_t)g->size, sizeof(Thing));
  g->neap = neap_open(L, &options);
  if (g->neap == NULL) return 0;
  lua_pushglobaltable(L);
  lua_pushlightuserdata(L, g);
  luaL_setfuncs(L, funcs, 1);
  lua_settop(L, 0);
  if (luaL_loadfile(L, "examples/sdl/swarm.lua") != LUA_OK) return 0;
  lua_pushinteger(L, things);
  lua_pushinteger(L, hunters);
  return lua_pcall(L, 2, 0, 0) == LUA_OK;
}


/* ---------------------------------------------------------------------- */
/* the test: what the window shows is what the scripts did */


/* pixels of things; and how many changed since the last picture */
static int look (SDL_Renderer *r, Uint32 *now, const Uint32 *before,
                 int *changed) {
  int i, lit = 0;
  if (SDL_RenderReadPixels(r, NULL, SDL_PIXELFORMAT_ARGB8888, now, WIDTH * 4))
    return -1;
  *changed = 0;
  for (i = 0; i < WIDTH * HEIGHT; i++) {
    lit += (now[i] & 0xffffff) != 0x0a0e1e;
    *changed += now[i] != before[i];
  }
  return lit;
}


static int fail (const char *what, const char *why) {
  fprintf(stderr, "swarm: %s: %s\n", what, why);
  return 1;
}


int main (int argc, char **argv) {
  static Uint32 before[WIDTH * HEIGHT], now[WIDTH * HEIGHT];
  static Game g;
  SDL_Window *window;
  SDL_Renderer *r;
  const char *shot = NULL;
  int things = 3000, hunters = 60, frames = -1, check = 0, frame, i;
  int lit = 0, changed = 0, paused = 0, quit = 0;
  double scale = 1;
  for (i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--check") == 0)
      check = 1;
    else if (i + 1 < argc && strcmp(argv[i], "--shot") == 0)
      shot = argv[++i];
    else if (i + 1 < argc && strcmp(argv[i], "--frames") == 0)
      frames = atoi(argv[++i]);
    else if (i + 1 < argc && strcmp(argv[i], "--things") == 0)
      things = atoi(argv[++i]);
    else if (i + 1 < argc && strcmp(argv[i], "--hunters") == 0)
      hunters = atoi(argv[++i]);
    else
      return fail("unknown argument", argv[i]);
  }
  if (!open_game(&g, things, hunters))
    return fail("cannot start the scripts", lua_tostring(g.L, -1));
  if (SDL_Init(SDL_INIT_VIDEO) != 0) return fail("SDL", SDL_GetError());
  window = SDL_CreateWindow("swarm", SDL_WINDOWPOS_CENTERED,
                            SDL_WINDOWPOS_CENTERED, WIDTH, HEIGHT, 0);
  r = window ? SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE) : NULL;
  if (r == NULL) return fail("SDL", SDL_GetError());
  for (frame = 0; frame != frames && !quit; frame++) {
    SDL_Event e;
    double dt = 1. / 60;
    while (SDL_PollEvent(&e)) {
      if (e.type == SDL_QUIT) quit = 1;
      if (e.type == SDL_KEYDOWN && e.key.keysym.sym == SDLK_SPACE)
        paused = !paused;
      if (e.type == SDL_KEYDOWN && e.key.keysym.sym == SDLK_DOWN)
        scale = scale < 1 ? 1 : 0.25;
    }
    move(&g, paused ? 0 : dt * scale);
    g.neap->advance(g.L, paused ? 0 : dt * scale, dt);
    g.neap->step(g.L, 0.008);
    draw(&g, r);
    if (check) {
      memcpy(before, now, sizeof now);
      lit = look(r, now, before, &changed);
      if (lit < g.alive || (frame > 0 && changed == 0))
        return fail("frame", "the window does not show what moves");
    }
    else if (frames < 0)
      SDL_Delay(16);
  }
  if (shot != NULL) {
    SDL_Surface *s = SDL_CreateRGBSurfaceWithFormatFrom(
        now, WIDTH, HEIGHT, 32, WIDTH * 4, SDL_PIXELFORMAT_ARGB8888);
    look(r, now, before, &changed);
    if (s == NULL || SDL_SaveBMP(s, shot) != 0)
      return fail("cannot write", SDL_GetError());
    SDL_FreeSurface(s);
  }
  printf("%d things, %d caught in %d frames\n", things, g.caught, frame);
  if (check && (g.caught == 0 || g.alive != g.n - g.caught))
    return fail("scripts", "nothing was caught, or it did not vanish");
  if (g.neap->close(g.L, 1) != 0 || g.alive != 0)
    return fail("close", "a script did not end, or did not clean up");
  lua_close(g.L);
  free(g.things);
  SDL_DestroyRenderer(r);
  SDL_DestroyWindow(window);
  SDL_Quit();
  return 0;
}
