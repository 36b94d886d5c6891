# Fuzzers: `make fuzz` runs each for FUZZ_SECONDS; needs clang. What a run finds is kept in
# $(FUZZ_BUILD)/fuzz, so that the next one goes on from there; seeds are in tests/fuzz/corpus.

FUZZ_SECONDS ?= 20
FUZZ_CC ?= clang
FUZZ_BUILD ?= build-fuzz
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJECTS = $(filter $(BUILD)/obj/daemon/protocol/% $(BUILD)/obj/daemon/config/% \
  $(BUILD)/obj/daemon/cron/%,$(DAEMON_OBJECTS))

.PHONY: fuzz fuzz-run
fuzz:
	@$(MAKE) --no-print-directory CC=$(FUZZ_CC) BUILD=$(FUZZ_BUILD) \
	  SANITIZE=address,undefined,fuzzer-no-link OPTIMIZE='-O1 -g' fuzz-run

fuzz-run: $(FUZZ_PROGRAMS)
	@for program in $^; do name=$${program##*/fuzz_}; log=$(BUILD)/fuzz/$$name.log; \
	  mkdir -p $(BUILD)/fuzz/corpus/$$name; \
	  $$program -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/fuzz/$$name- $(BUILD)/fuzz/corpus/$$name \
	    tests/fuzz/corpus/$$name > $$log 2>&1 || { tail -n 60 $$log; exit 1; }; \
	  echo "fuzz $$name: $$(sed -n 's/^stat::number_of_executed_units: *//p' $$log) inputs"; \
	done

$(FUZZ_PROGRAMS): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_OBJECTS) $(BUILD)/libawait.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIB_LIBS) $(DAEMON_LIBS)
