# The test targets; included by the Makefile. docs/TESTING.md says what each is for.

ASAN_BUILD ?= build-asan
ASAN_MAKE = $(MAKE) --no-print-directory BUILD=$(ASAN_BUILD) SANITIZE=address,undefined \
  OPTIMIZE='-O1 -g'
# One place for what sanitizers must do; the daemon's own log is searched for reports as well.
export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=1:abort_on_error=0
export UBSAN_OPTIONS ?= print_stacktrace=1:halt_on_error=1
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
RESULTS ?= $(BUILD)/results
RESULT ?= $(RESULTS)/$@

include docs/examples/examples.mk
include tests/canary/canary.mk

# make would delete these as intermediate, and compile every test again the next time.
.SECONDARY: $(call object,$(UNIT_SOURCES) $(SUPPORT_SOURCES) $(PROGRAM_SOURCES))

# Their allocations fail one after the other: only the references of our own objects are redirected
# (support/failing_memory.h).
$(BUILD)/tests/test_no_memory $(BUILD)/tests/test_http_no_memory \
$(BUILD)/tests/test_websocket_no_memory: LDFLAGS += \
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -Wl,--wrap=free,--wrap=mmap
$(BUILD)/tests/test_http_no_memory: LDFLAGS += \
  -Wl,--wrap=strdup,--wrap=asprintf,--wrap=__asprintf_chk
# It counts how often the fence is looked at.
$(BUILD)/tests/test_receipt_cleaner: LDFLAGS += -Wl,--wrap=aw_pg_query
# It counts which of libpq's functions are called; what an older libpq lacks nobody refers to.
$(BUILD)/tests/test_pg_ways: LDFLAGS += -Wl,--wrap=PQcancel,--wrap=PQcancelStart \
  -Wl,--wrap=PQpipelineSync,--wrap=PQsendPipelineSync

.PHONY: deps deps-build deps-boxes try test programs test-unit test-integration test-crash \
  test-model asan asan-build asan-units asan-integration asan-quick lint format tidy valgrind test-ioredis

deps:
	@tests/support/deps.sh tests

deps-boxes: deps
	@tests/support/deps.sh deb systemd docker
	@command -v docker >/dev/null || tests/support/deps.sh docker-client

deps-build:
	@tests/support/deps.sh build

try: deps-build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/try/try.sh $(BUILD)

# Lanes of stages; tests/support/all.sh runs them side by side.
TEST_LANES = 'units asan-units' 'integration lint sim' 'asan-build asan-quick'
TEST_ALL = TEST_MAKE='$(MAKE) -j$(JOBS)' RESULTS=$(BUILD)/results tests/support/all.sh

# The last lane needs root and systems of its own: a booted Debian, containers. Where that cannot be,
# the end says so.
test: deps
	@reason=$$(tests/support/boxes.sh); if [ -z "$$reason" ]; then \
	  $(MAKE) --no-print-directory deps-boxes && $(TEST_ALL) $(TEST_LANES) 'systemd docker-quick'; \
	else NOT_RUN="systemd, docker: $$reason" $(TEST_ALL) $(TEST_LANES); fi

# One at a time: the lanes may ask for it at the same moment.
asan-build:
	@mkdir -p $(ASAN_BUILD)
	+@flock $(ASAN_BUILD)/lock $(ASAN_MAKE) all test-programs

test-unit: $(UNIT_TESTS)
	@$(PYTHON) tests/support/run_units.py $(RESULT) $(UNIT_TESTS)

# TESTS='tests/integration/test_postgres.py -k insert' runs a part.
test-integration: all $(PROGRAMS) $(EXAMPLES) $(CANARIES)
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/support/run_integration.sh $(RESULT) $(TESTS)

# The kill -9 test of issue size: 20 rounds of 10,000 jobs (the ordinary suite runs 3).
test-crash: all
	@BUILD=$(BUILD) PYTHON=$(PYTHON) CRASH_ROUNDS=$${CRASH_ROUNDS:-20} \
	  tests/support/run_integration.sh $(RESULT) tests/crash

# Needs nodejs, npm and an npm registry, so it is not part of `make test`.
test-ioredis: all
	@command -v npm >/dev/null || tests/support/deps.sh node
	npm install --prefix $(BUILD)/node --no-save --no-audit --no-fund --loglevel=error ioredis@5
	@BUILD=$(BUILD) PYTHON=$(PYTHON) NODE_MODULES_FOLDER=$(abspath $(BUILD))/node \
	  tests/support/run_integration.sh $(RESULT) tests/clients

# The daemon against a model of the queue: 2,000 random sequences (the ordinary suite runs 30).
test-model: all
	@BUILD=$(BUILD) PYTHON=$(PYTHON) MODEL_SEQUENCES=$${MODEL_SEQUENCES:-2000} \
	  tests/support/run_integration.sh $(RESULT) tests/model

# A million tasks, cancelled at random points; nothing may have grown (the ordinary suite runs 20,000).
.PHONY: test-leak
test-leak: $(BUILD)/tests/integration/leak
	$(BUILD)/tests/integration/leak $${LEAK_TASKS:-1000000} $${LEAK_SEED:-1}

# Exactly-once under kills, terminated sessions and cut connections (the ordinary suite runs 4 rounds).
.PHONY: test-chaos
test-chaos: all
	@BUILD=$(BUILD) PYTHON=$(PYTHON) CHAOS_ROUNDS=$${CHAOS_ROUNDS:-200} \
	  tests/support/run_integration.sh $(RESULT) tests/integration/test_exactly_once.py \
	  tests/integration/test_coalesce.py

asan-units: asan-build
	+@$(ASAN_MAKE) RESULT=$(RESULT) test-unit

asan-integration: asan-build
	+@$(ASAN_MAKE) RESULT=$(RESULT) test-integration

# Without the files that are longest, or of what has no C of ours in it: `make test` has to end, and
# those run there without the sanitizers.
ASAN_LATER := $(patsubst %,--ignore=tests/integration/test_%.py,awaitctl_worker canaries \
  conformance_restart cron examples gigabyte_file install lint redis_failover try)
asan-quick: asan-build
	+@$(ASAN_MAKE) RESULT=$(RESULT) \
	  TESTS='tests/integration tests/crash tests/model $(ASAN_LATER)' test-integration

asan:
	+@$(ASAN_MAKE) RESULT=$(RESULTS)/asan-units test-unit
	+@$(ASAN_MAKE) RESULT=$(RESULTS)/asan-integration test-integration

valgrind: $(UNIT_TESTS)
	@$(PYTHON) tests/support/run_units.py --valgrind $(RESULT) $(UNIT_TESTS)

lint:
	@BUILD=$(BUILD) PYTHON=$(PYTHON) tests/lint/lint.sh $(RESULT)

# Rewrites the C sources in the house's shape (.clang-format).
format:
	@clang-format -i $(sort $(wildcard lib/*/*.[ch] lib/*/*/*.h daemon/*.[ch] daemon/*/*.[ch] \
	  tests/*/*.[ch]))

TIDY_SOURCES = $(LIB_SOURCES) $(DAEMON_SOURCES) $(CTL_SOURCES) $(wildcard daemon/main.c)
tidy:
	@clang-tidy --quiet --config-file=tests/lint/clang-tidy.yaml $(TIDY_SOURCES) -- -std=gnu17 \
	  -D_GNU_SOURCE -DAWAITD_VERSION='"$(VERSION)"' -Ilib/include -Ilib -Idaemon $(PACKAGE_CFLAGS)

include tests/bench/bench.mk
-include tests/fuzz/fuzz.mk
-include tests/sim/sim.mk
-include tests/systemd/systemd.mk
-include tests/debian13/debian13.mk
-include tests/docker/docker.mk

# All that the stages of `make test` run; SIM is known only here.
.PHONY: test-programs
test-programs: $(UNIT_TESTS) $(PROGRAMS) $(EXAMPLES) $(CANARIES)
programs: test-programs $(SIM)
