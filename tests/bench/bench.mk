# bench.mk - the benchmarks; tests.mk includes it. docs/BENCHMARKS.md has their results.
#
# BENCH='inserts run --rounds 1 --scale 0.2 --markdown' chooses parts and amounts.

.PHONY: deps-bench bench bench-queue bench-postgres bench-backlog bench-lib bench-lib-programs

deps-bench: deps
	@tests/support/deps.sh bench

bench: deps-bench all $(PROGRAMS)
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py $(BENCH)

# Parts under names of their own.
bench-queue:
	+@$(MAKE) --no-print-directory bench BENCH='queue execution $(BENCH)'

bench-postgres:
	+@$(MAKE) --no-print-directory bench BENCH='inserts run $(BENCH)'

bench-backlog:
	+@$(MAKE) --no-print-directory bench BENCH='backlog $(BENCH)'

# --- the library alone ---------------------------------------------------------------------------
BENCH_LIB := $(BUILD)/tests/bench/lib
BENCH_LIB_C := $(patsubst tests/bench/lib/%.c,$(BENCH_LIB)/%,$(wildcard tests/bench/lib/*.c))
BENCH_LIB_GO := $(patsubst tests/bench/lib/%.go,$(BENCH_LIB)/%_go,$(wildcard tests/bench/lib/*.go))

bench-lib: deps-bench $(BUILD)/libawait.a
	@$(MAKE) --no-print-directory bench-lib-programs
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench_lib.py $(BENCH)

bench-lib-programs: $(BENCH_LIB_C) $(BENCH_LIB_GO)

# Built like outside programs: against the public headers.
$(BENCH_LIB_C): $(BENCH_LIB)/%: tests/bench/lib/%.c $(BUILD)/libawait.a
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(OPTIMIZE) $(WARNINGS) $(SANITIZE_FLAGS) -D_GNU_SOURCE -Ilib/include $(CPPFLAGS) \
	  $(CFLAGS) -o $@ $< $(BUILD)/libawait.a $(LINK_HARDENING) $(LDFLAGS) $(LIB_LIBS) $(BENCH_LIBS)

$(BENCH_LIB)/echo_uv: BENCH_LIBS := -luv

$(BENCH_LIB_GO): $(BENCH_LIB)/%_go: tests/bench/lib/%.go
	@mkdir -p $(@D)
	GO111MODULE=off GOCACHE=$(abspath $(BENCH_LIB))/go-cache go build -o $@ $<
