# SPDX-License-Identifier: Apache-2.0
#
# Egret: one plain Makefile. `make help` lists the targets.

BUILD   ?= build
CLANG   ?= clang
BPFTOOL ?= bpftool
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr
VERSION := 0.1.0

ifeq ($(SANITIZE),1)
  BUILD := $(BUILD)/sanitize
  SAN   := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
else ifeq ($(SANITIZE),thread)
  BUILD := $(BUILD)/thread
  # -Wno-tsan: it can't follow fences; the one fence orders reads of a ring that only the kernel writes.
  SAN   := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan -Wl,-u,eg_thread_sanitizer
endif

WARN    := -Wall -Wextra -Wmissing-prototypes -Wshadow -Wvla -Wconversion -Wno-sign-conversion -Werror
CFLAGS  ?= -O2 -g
DEFS    := -D_GNU_SOURCE -DEG_VERSION='"$(VERSION)"' -DEG_DATA_DIR='"$(PREFIX)/share/egret"'
ALL_C   := -std=gnu11 $(CFLAGS) $(WARN) $(SAN) $(DEFS) -Iinclude -isystem $(BUILD)/gen -MMD -MP
LIBS    := -lbpf -lelf -lz -ljansson -lmicrohttpd -lcurl -lhogweed -lnettle -lnl-3 -lnl-route-3 -lnl-idiag-3 -lpthread
CLI_LIBS := $(LIBS) -lncursesw -ltinfo -lm
NLFLAGS := -isystem /usr/include/libnl3
BPF_WARN := -Wall -Wextra -Werror -Wno-unused-function
# Asked for when it is needed: `make deps all` on a machine that has no compiler yet.
MULTIARCH = $(eval MULTIARCH := $(shell $(CC) -print-multiarch))$(MULTIARCH)
BPF_C    = -O2 -g -target bpf -mcpu=v3 $(BPF_WARN) -Iinclude -idirafter /usr/include/$(MULTIARCH) -MMD -MP

BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_OBJ  := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
LIB_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard agent/lib/*.c))
CORE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/core/main.c,$(wildcard agent/core/*.c)))
SHIP_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/ship/main.c,$(wildcard agent/ship/*.c)))
SYNC_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/sync/main.c,$(wildcard agent/sync/*.c)))
CLI_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/cli/main.c,$(wildcard agent/cli/*.c)))
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
BPF_TEST := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
BPF_FUZZ := $(patsubst tests/bpf/%.c,$(BUILD)/tests/bpf/%,$(wildcard tests/bpf/fuzz_*.c))
BENCH    := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
SHIP_TEST := $(addprefix $(BUILD)/tests/,ship_driver render)
DEB       = egret_$(VERSION)_$(shell dpkg --print-architecture).deb
MAN      := $(wildcard agent/*/*.[1578])
TIDY     := $(patsubst %.c,$(BUILD)/tidy/%,$(wildcard agent/*/*.c))

# `make V=1` shows the commands.
ifeq ($(V),1)
  say =
else
  Q   := @
  say = @printf '  %-5s %s\n' $(1) $(patsubst $(BUILD)/%,%,$(2));
endif

.DELETE_ON_ERROR:
.SECONDARY:
# With -j, too, what is missing is installed before anything needs it.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
.PHONY: all help deps demo run test unit bpf-test e2e vm vm-programs fuzz bench fleet escape soak mutants lint install deb clean

all: $(BUILD)/egretd $(BUILD)/egret-ship $(BUILD)/egret-sync $(BUILD)/egret ## build everything under build/

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

deps: ## install what a fresh Debian 12 lacks
	@tests/deps

# ---- Kernel side -----------------------------------------------------------------------

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_C) -c $< -o $@

$(BUILD)/bpf/egret.o: $(BPF_OBJ)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(BUILD)/gen/egret.skel.h: $(BUILD)/bpf/egret.o
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name egret > $@

# ---- Programs --------------------------------------------------------------------------

$(BUILD)/%.o: %.c | $(BUILD)/gen/egret.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_C) $(NLFLAGS) -c $< -o $@

# -MMD passes over system headers, and the skeleton is included as one.
$(BUILD)/agent/core/kern.o: $(BUILD)/gen/egret.skel.h

$(BUILD)/libegret.a: $(LIB_OBJ)
$(BUILD)/libcore.a: $(CORE_OBJ)
$(BUILD)/libcli.a: $(CLI_OBJ)
$(BUILD)/libsync.a: $(SYNC_OBJ)
$(BUILD)/libship.a: $(SHIP_OBJ)
$(BUILD)/lib%.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/egretd: $(BUILD)/agent/core/main.o $(CORE_OBJ) $(BUILD)/libegret.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

$(BUILD)/egret-ship: $(BUILD)/agent/ship/main.o $(SHIP_OBJ) $(BUILD)/libegret.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcurl -lnettle -ljansson -lz -lpthread

$(BUILD)/egret-sync: $(BUILD)/agent/sync/main.o $(SYNC_OBJ) $(BUILD)/libegret.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

$(BUILD)/egret: $(BUILD)/agent/cli/main.o $(CLI_OBJ) $(BUILD)/libsync.a $(BUILD)/libegret.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ $(CLI_LIBS)

# egretd as its next release might be, for the tests of upgrades: another version, BPF objects of another digest, the same rest.
NEXT     := $(BUILD)/next
NEXT_SRC := $(addprefix agent/core/,agent.c kern.c main.c view_status.c)
$(NEXT)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_C) -fdebug-prefix-map=bpf/=next/ -c $< -o $@

$(NEXT)/bpf/egret.o: $(BPF_SRC:%.c=$(NEXT)/%.o)
	$(Q)$(BPFTOOL) gen object $@ $^

$(NEXT)/gen/egret.skel.h: $(NEXT)/bpf/egret.o
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name egret > $@

$(NEXT)/agent/%.o: agent/%.c $(NEXT)/gen/egret.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -isystem $(NEXT)/gen $(ALL_C) $(NLFLAGS) -UEG_VERSION -DEG_VERSION='"$(VERSION)+next"' -c $< -o $@

$(NEXT)/egretd: $(NEXT_SRC:%.c=$(NEXT)/%.o) $(filter-out $(NEXT_SRC:%.c=$(BUILD)/%.o),$(CORE_OBJ)) $(BUILD)/libegret.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

# ---- Tests -----------------------------------------------------------------------------

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libship.a $(BUILD)/libcore.a $(BUILD)/libcli.a $(BUILD)/libsync.a $(BUILD)/libegret.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcmocka $(CLI_LIBS)

$(BUILD)/tests/bpf/%.bpf.o: tests/bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_C) -c $< -o $@

$(BUILD)/gen/parsers.skel.h: $(BUILD)/tests/bpf/parsers.bpf.o
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name parsers > $@

ABI_BTF := $(BUILD)/bpf/egret.o $(BUILD)/tests/bpf/abi.bpf.o
$(BUILD)/gen/abi_layout.h: tests/bpf/abi_layout include/egret/abi.h $(ABI_BTF)
	@mkdir -p $(@D)
	$(Q)BPFTOOL=$(BPFTOOL) $(PYTHON) tests/bpf/abi_layout include/egret/abi.h $(ABI_BTF) > $@

$(BUILD)/tests/unit/test_abi.o: $(BUILD)/gen/abi_layout.h

# As kern.o.
$(BUILD)/tests/bpf/parsers.o: $(BUILD)/gen/parsers.skel.h

PARSER_TEST := $(filter %/test_parse_hello %/test_parse_dns,$(BPF_TEST)) $(BPF_FUZZ)
PARSER_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(addprefix tests/bpf/,parsers.c shapes.c shapes_dns.c) $(wildcard tests/bpf/reference*.c))
$(PARSER_TEST): $(BUILD)/tests/bpf/%: $(BUILD)/tests/bpf/%.o $(PARSER_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcmocka $(LIBS)

$(BUILD)/tests/bpf/%: $(BUILD)/tests/bpf/%.o $(BUILD)/tests/bpf/fixture.o $(BUILD)/libcore.a $(BUILD)/libegret.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcmocka $(LIBS)

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/tests/bpf/fixture.o $(BUILD)/libcore.a $(BUILD)/libegret.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SAN) -o $@ $^ -lcmocka $(LIBS)

FUZZ_SRC = $(wildcard agent/lib/*.c) $(filter-out agent/%/main.c,$(wildcard agent/core/*.c agent/ship/*.c agent/sync/*.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $(FUZZ_SRC) | $(BUILD)/gen/egret.skel.h
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined $(DEFS) -Iinclude -isystem $(BUILD)/gen \
		$(NLFLAGS) -o $@ $^ $(LIBS)

test: all ## every suite; ends with "N passed, N failed"
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/run lint unit bpf e2e vm

unit: $(UNIT) ## unit tests (cmocka)
	@BUILD=$(BUILD) tests/run unit

bpf-test: $(BPF_TEST) $(BPF_FUZZ) ## packet paths by BPF_PROG_TEST_RUN
	@BUILD=$(BUILD) tests/run bpf

e2e: all $(SHIP_TEST) $(NEXT)/egretd ## end to end: real sockets, real agent, network namespaces
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/run e2e

vm-programs: all $(PARSER_TEST)

vm: vm-programs ## the core suite on other kernels, under qemu
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/run vm

test: $(UNIT) $(BPF_TEST) $(BPF_FUZZ) $(SHIP_TEST) $(NEXT)/egretd

fuzz: $(FUZZ) $(BPF_FUZZ) ## each fuzzer for FUZZ_SECONDS (default 30); the parsers FUZZ_COUNT times (1,000,000)
	@BUILD=$(BUILD) tests/run fuzz

mutants: all $(UNIT) $(BPF_TEST) ## breaks each invariant and reason on purpose: the tests have to notice
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/mutants/run $(ONLY)

bench: all $(BENCH) ## DESIGN's speed goals beside their peers
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/bench/run

fleet: all ## 50 hosts on one etcd, 10,000 policies, 10,000 alerts at once: p50 and p99, none missed
	@EGRET_FLEET_AGENTS=50 EGRET_FLEET_ROUNDS=20 EGRET_FLEET_RESTARTS=20 EGRET_STORM_APPS=10000 BUILD=$(BUILD) \
		$(PYTHON) -m pytest -q -s -p no:cacheprovider tests/e2e/test_fleet.py tests/e2e/test_storm.py

soak: all ## SOAK_MINUTES (5) of everything at once: what grows, extended to a day
	@BUILD=$(BUILD) $(PYTHON) tests/soak

escape: all ## tries every way out of a policy: closed by what, or open on this kernel and what to do
	@BUILD=$(BUILD) $(PYTHON) tests/escape

demo: all ## one app, from allowed to killed, with its flow log
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/demo

run: all ## egretd in the foreground, with this tree's defaults
	$(BUILD)/egretd

lint: all $(TIDY) ## man pages, shell, C: clang-tidy, cppcheck, spelling
	@tests/lint

# Its object is newer than each header that it includes.
$(BUILD)/tidy/%: $(BUILD)/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$(@:$(BUILD)/tidy/%=%.c))
	$(Q)clang-tidy --quiet $(@:$(BUILD)/tidy/%=%.c) -- -std=gnu11 $(DEFS) -Iinclude -isystem $(BUILD)/gen $(NLFLAGS) 2>$@.log || \
		{ cat $@.log; exit 1; }
	@touch $@

# ---- Installation ----------------------------------------------------------------------

install: all ## into DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(BUILD)/egretd $(BUILD)/egret-ship $(BUILD)/egret-sync $(DESTDIR)$(PREFIX)/sbin/
	install -m 0755 $(BUILD)/egret $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/egret/policies
	install -m 0644 agent/core/*.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -D -m 0644 agent/deb/egret.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/egret.conf
	install -D -m 0644 agent/deb/egret.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/egret.conf
	cp -r policies/examples $(DESTDIR)$(PREFIX)/share/doc/egret/policies/
	install -d $(DESTDIR)$(PREFIX)/share/egret/templates
	install -m 0644 policies/templates/*.json $(DESTDIR)$(PREFIX)/share/egret/templates/
	install -m 0644 policies/policy.schema.json agent/monitoring/* $(DESTDIR)$(PREFIX)/share/egret/
	install -D -m 0644 agent/sync/egret-sync.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/egret-sync.conf
	install -D -m 0644 agent/cli/egret-oci-hook.json $(DESTDIR)$(PREFIX)/share/containers/oci/hooks.d/egret.json
	for page in $(MAN); do \
		section=$${page##*.}; \
		install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$$section/$${page##*/}; \
	done

deb: all ## build/egret_VERSION_ARCHITECTURE.deb, for Debian 12
	@rm -rf $(BUILD)/deb
	@$(MAKE) --no-print-directory -s install DESTDIR=$(BUILD)/deb PREFIX=/usr
	@agent/deb/build $(BUILD)/deb $(VERSION) $(BUILD)/$(DEB)
	@echo "deb: $(BUILD)/$(DEB)"

clean: ## remove build/
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)
