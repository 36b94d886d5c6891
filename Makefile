# awaitd - build, test, install. `make help` lists the targets.

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
MANDIR ?= $(PREFIX)/share/man
BASH_COMPLETION_DIR ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION_DIR ?= $(PREFIX)/share/zsh/site-functions
DOCDIR ?= $(PREFIX)/share/doc/awaitd
DESTDIR ?=

CC ?= gcc
PKG_CONFIG ?= pkg-config
BUILD ?= build
OPTIMIZE ?= -O2 -g
SANITIZE ?=
WERROR ?=
PYTHON ?= /usr/bin/python3

LIB_PACKAGES := liburing libpq hiredis sqlite3 libssl libcrypto
# loaded with dlopen where they are used: their headers are enough
HEADER_PACKAGES := libcurl jansson
DAEMON_PACKAGES := libsystemd inih

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wformat=2 -Wundef -Wvla \
  -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
  -Wimplicit-fallthrough -Wno-missing-field-initializers
ifneq ($(WERROR),)
WARNINGS += -Werror
endif

HARDENING := -fstack-protector-strong -fno-strict-aliasing
# as-needed: a program that uses no TLS does not load it
LINK_HARDENING := -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
ifeq ($(SANITIZE),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
ifeq ($(shell uname -m),x86_64)
HARDENING += -fcf-protection
endif
HARDENING += $(shell echo | $(CC) -fstack-clash-protection -x c -c - -o /dev/null 2>/dev/null && \
  echo -fstack-clash-protection)
else
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif

PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LIB_PACKAGES) $(HEADER_PACKAGES) \
  $(DAEMON_PACKAGES))
# wslay has no pkg-config file
LIB_LIBS = $(shell $(PKG_CONFIG) --libs $(LIB_PACKAGES)) -lwslay -pthread -lm -ldl
DAEMON_LIBS = $(shell $(PKG_CONFIG) --libs $(DAEMON_PACKAGES))

ALL_CFLAGS = -std=gnu17 $(OPTIMIZE) $(WARNINGS) $(HARDENING) $(SANITIZE_FLAGS) -fPIC \
  -D_GNU_SOURCE -DAWAITD_VERSION='"$(VERSION)"' -Ilib/include -Ilib -MMD -MP $(PACKAGE_CFLAGS) \
  $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(SANITIZE_FLAGS) $(LINK_HARDENING) $(LDFLAGS)

# --- what there is to build ---------------------------------------------------------------------
LIB_SOURCES := $(sort $(wildcard lib/*/*.c))
LIB_ASSEMBLY := $(sort $(wildcard lib/core/*.S))
DAEMON_SOURCES := $(sort $(filter-out daemon/main.c daemon/ctl/%,$(wildcard daemon/*.c daemon/*/*.c)))
CTL_SOURCES := $(sort $(wildcard daemon/ctl/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
SUPPORT_SOURCES := $(sort $(wildcard tests/support/*.c))
PROGRAM_SOURCES := $(sort $(wildcard tests/integration/*.c tests/bench/*.c))

object = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(1)))
LIB_OBJECTS := $(call object,$(LIB_SOURCES) $(LIB_ASSEMBLY))
DAEMON_OBJECTS := $(call object,$(DAEMON_SOURCES))
CTL_OBJECTS := $(call object,$(CTL_SOURCES))
SUPPORT_OBJECTS := $(call object,$(SUPPORT_SOURCES))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(PROGRAM_SOURCES))

# libawait.so shows only the public names; the daemon's folders never see the library's insides.
$(BUILD)/obj/lib/%.o: FOLDER_CFLAGS := -fvisibility=hidden
$(BUILD)/obj/daemon/%.o: FOLDER_CFLAGS := -Idaemon
$(BUILD)/obj/tests/%.o: FOLDER_CFLAGS := -Idaemon -Itests

.PHONY: all help
all: $(BUILD)/awaitd $(BUILD)/awaitctl $(BUILD)/libawait.a $(BUILD)/libawait.so

help:
	@echo 'make            build the daemon, awaitctl and libawait into $(BUILD)/'
	@echo 'make deps       install every package the build, the daemon and the tests need (apt)'
	@echo 'make try        see the main job run on this machine, nothing else installed'
	@echo 'make test       all tests: lint, units, integration, then both again under ASan + UBSan'
	@echo 'make man        the manual pages of libawait into $(BUILD)/man'
	@echo 'make examples   the programs of docs/examples into $(BUILD)/examples'
	@echo 'make test-unit test-integration asan lint bench bench-lib fuzz tidy valgrind'
	@echo 'make deb        Debian packages into $(BUILD)/deb'
	@echo 'make test-systemd  the packages in a booted Debian (root)'
	@echo 'make test-debian13 units and integration in a Debian 13 (root)'
	@echo 'make test-docker   databases in containers, and awaitd in one (root)'
	@echo 'make install    DESTDIR=... PREFIX=$(PREFIX)'

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(FOLDER_CFLAGS) -c $< -o $@

$(BUILD)/obj/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/libawait.a: $(LIB_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libawait.so: $(LIB_OBJECTS) lib/libawait.map
	$(CC) -shared -Wl,-soname,libawait.so.$(SOVERSION) -Wl,--version-script=lib/libawait.map \
	  $(ALL_LDFLAGS) -o $@ $(LIB_OBJECTS) $(LIB_LIBS)
	@ln -sf libawait.so $(BUILD)/libawait.so.$(SOVERSION)

$(BUILD)/awaitd: $(call object,daemon/main.c) $(DAEMON_OBJECTS) $(BUILD)/libawait.a
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS) $(DAEMON_LIBS)

$(BUILD)/awaitctl: $(CTL_OBJECTS)
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs hiredis)

# --- manual pages of section 3, from the headers -------------------------------------------------
MAN_SOURCES := $(wildcard lib/include/await/*.h docs/man/*.py)
.PHONY: man
man: $(BUILD)/man/made
$(BUILD)/man/made: $(MAN_SOURCES)
	@rm -rf $(@D)
	@mkdir -p $(@D)
	$(PYTHON) -B docs/man/reference.py $(@D)
	@touch $@

# --- tests --------------------------------------------------------------------------------------
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT_OBJECTS) $(DAEMON_OBJECTS) $(BUILD)/libawait.a
	@mkdir -p $(@D)
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS) $(DAEMON_LIBS) -ljansson -lcriterion

# awaitctl's own units: with its objects, without the daemon and the library.
$(BUILD)/tests/test_ctl_%: $(BUILD)/obj/tests/unit/test_ctl_%.o $(filter-out %/main.o,$(CTL_OBJECTS))
	@mkdir -p $(@D)
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(shell $(PKG_CONFIG) --libs hiredis) -lcriterion

$(PROGRAMS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libawait.a
	@mkdir -p $(@D)
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

include tests/tests.mk

# --- install ------------------------------------------------------------------------------------
.PHONY: install clean
install: all man
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
	  $(DESTDIR)$(INCLUDEDIR)/await $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/awaitd/awaitd.conf.d \
	  $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man3 \
	  $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8
	install -m 755 $(BUILD)/awaitd $(DESTDIR)$(SBINDIR)/awaitd
	install -m 755 $(BUILD)/awaitctl $(DESTDIR)$(BINDIR)/awaitctl
	install -m 644 $(BUILD)/libawait.a $(DESTDIR)$(LIBDIR)/libawait.a
	install -m 644 $(BUILD)/libawait.so $(DESTDIR)$(LIBDIR)/libawait.so.$(VERSION)
	ln -sf libawait.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libawait.so.$(SOVERSION)
	ln -sf libawait.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libawait.so
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	  -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' \
	  -e 's|@LIB_LIBS@|$(LIB_LIBS)|g' lib/await.pc.in \
	  > $(DESTDIR)$(LIBDIR)/pkgconfig/await.pc
	install -m 644 lib/include/await.h $(DESTDIR)$(INCLUDEDIR)/await.h
	install -m 644 lib/include/await/*.h $(DESTDIR)$(INCLUDEDIR)/await/
	for unit in awaitd.service awaitd.socket; do \
	  sed 's|@SBINDIR@|$(SBINDIR)|g' systemd/$$unit > $(DESTDIR)$(UNITDIR)/$$unit; \
	  sed -f systemd/instance.sed $(DESTDIR)$(UNITDIR)/$$unit \
	    > $(DESTDIR)$(UNITDIR)/awaitd@.$${unit#awaitd.}; done
	install -m 644 systemd/awaitd.sysusers $(DESTDIR)$(SYSUSERSDIR)/awaitd.conf
	install -m 644 systemd/awaitd.tmpfiles $(DESTDIR)$(TMPFILESDIR)/awaitd.conf
	install -d $(DESTDIR)$(BASH_COMPLETION_DIR) $(DESTDIR)$(ZSH_COMPLETION_DIR)
	$(BUILD)/awaitctl completion bash > $(DESTDIR)$(BASH_COMPLETION_DIR)/awaitctl
	$(BUILD)/awaitctl completion zsh > $(DESTDIR)$(ZSH_COMPLETION_DIR)/_awaitctl
	install -m 644 docs/man/awaitctl.1 $(DESTDIR)$(MANDIR)/man1/awaitctl.1
	install -m 644 $(BUILD)/man/man3/*.3 $(DESTDIR)$(MANDIR)/man3/
	install -m 644 $(BUILD)/man/man7/*.7 $(DESTDIR)$(MANDIR)/man7/
	install -m 644 docs/man/awaitd.conf.5 $(DESTDIR)$(MANDIR)/man5/awaitd.conf.5
	install -m 644 docs/man/awaitd-protocol.7 $(DESTDIR)$(MANDIR)/man7/awaitd-protocol.7
	install -m 644 docs/man/awaitd.8 $(DESTDIR)$(MANDIR)/man8/awaitd.8
	install -d $(DESTDIR)$(DOCDIR)/examples/docker
	install -m 644 config/docker/Dockerfile config/docker/README.md config/docker/seccomp.json \
	  $(DESTDIR)$(DOCDIR)/examples/docker/
	test -e $(DESTDIR)$(SYSCONFDIR)/awaitd/awaitd.conf || \
	  install -m 640 config/awaitd.conf $(DESTDIR)$(SYSCONFDIR)/awaitd/awaitd.conf

clean:
	rm -rf build build-*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
