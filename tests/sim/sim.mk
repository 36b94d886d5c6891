# The simulator: libawait and the daemon's queue on a second implementation of lib/ring's backend.h and
# system.h (docs/adr/0004-simulator-seam.md).
#
#   make test-sim                      a bounded run (SIM_SECONDS for each scenario) and the mutations
#   make sim SEEDS=2000 [FIRST=1]      a long one; SCENARIO=queue for one scenario

SIM_SECONDS ?= 20
SIM_SOURCES := $(sort $(wildcard tests/sim/*.c))
SIM_OBJECTS := $(call object,$(SIM_SOURCES))
# everything but what calls the kernel, and the targets whose engines are modelled
SIM_LIB_OBJECTS = $(filter-out %/ring/uring.o %/ring/uring_probe.o %/ring/uring_request.o \
  %/ring/clock.o %/ring/system.o,$(call object,$(LIB_SOURCES) $(LIB_ASSEMBLY)))
SIM_DAEMON_OBJECTS = $(filter-out $(patsubst %,$(BUILD)/obj/daemon/targets/%,target_postgres.o \
  postgres_%.o target_redis.o redis_%.o target_sqlite%.o),$(DAEMON_OBJECTS))
SIM_WRAPS := -Wl,--wrap=sqlite_renew -Wl,--wrap=sqlite_renew_path \
  -Wl,--wrap=store_commit -Wl,--wrap=aw_sqlite_wal_size
SIM_REVISION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
SIM := $(BUILD)/tests/sim/awaitd-sim

# the revision is in the binary: a failure names the code it was found in
$(BUILD)/obj/tests/sim/main.o: FOLDER_CFLAGS := -Idaemon -Itests -DSIM_REVISION='"$(SIM_REVISION)"'

$(SIM): $(SIM_OBJECTS) $(SIM_LIB_OBJECTS) $(SIM_DAEMON_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -pie $(ALL_LDFLAGS) $(SIM_WRAPS) -o $@ $^ $(LIB_LIBS) $(DAEMON_LIBS)

.PHONY: test-sim sim
test-sim: $(SIM)
	@tests/sim/run.sh $(SIM) $(SIM_SECONDS) $(RESULT)

sim: $(SIM)
	@$(SIM) --first $(or $(FIRST),1) --seeds $(or $(SEEDS),500) \
	  $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(MUTATE),--mutate $(MUTATE))
