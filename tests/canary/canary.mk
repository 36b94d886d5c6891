# canary.mk - programs with planted bugs, which a sanitizer must see, and what ThreadSanitizer runs.
#
# canary/plain is of the ordinary build, for Valgrind. For ThreadSanitizer the library below the
# clients is compiled once more. Criterion does not start under it, so these are programs.

TSAN_LIB_SOURCES := $(sort $(wildcard lib/core/*.c lib/ring/*.c lib/io/*.c))
tsan_object = $(patsubst %,$(BUILD)/canary/obj/%.o,$(basename $(1)))
TSAN_LIB_OBJECTS := $(call tsan_object,$(TSAN_LIB_SOURCES) $(LIB_ASSEMBLY))
TSAN_PROGRAMS := $(addprefix $(BUILD)/canary/,thread offload_stress leak)
CANARIES := $(BUILD)/canary/plain $(if $(SANITIZE),,$(TSAN_PROGRAMS))

.PHONY: canaries tsan
canaries: $(CANARIES)

$(BUILD)/canary/plain: tests/canary/canary.c $(BUILD)/libawait.a tests/canary/canary.mk
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -O0 -o $@ $< $(BUILD)/libawait.a $(ALL_LDFLAGS) $(LIB_LIBS)

$(BUILD)/canary/obj/%.o: %.c Makefile tests/canary/canary.mk
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -U_FORTIFY_SOURCE -O1 -fsanitize=thread -c $< -o $@

$(BUILD)/canary/obj/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c $< -o $@

.SECONDARY: $(TSAN_LIB_OBJECTS) $(call tsan_object,tests/canary/canary.c \
  tests/canary/offload_stress.c tests/integration/leak.c)
$(BUILD)/canary/thread: $(call tsan_object,tests/canary/canary.c)
$(BUILD)/canary/offload_stress: $(call tsan_object,tests/canary/offload_stress.c)
$(BUILD)/canary/leak: $(call tsan_object,tests/integration/leak.c)
$(TSAN_PROGRAMS): $(TSAN_LIB_OBJECTS)
	$(CC) -pie -fsanitize=thread $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

# The pool of threads under load, and tasks of every kind beside it: no report may come.
tsan: $(TSAN_PROGRAMS)
	TSAN_OPTIONS=exitcode=66 $(BUILD)/canary/offload_stress $${TSAN_CALLS:-20000}
	TSAN_OPTIONS=exitcode=66 $(BUILD)/canary/leak $${TSAN_TASKS:-20000}

-include $(shell find $(BUILD)/canary/obj -name '*.d' 2>/dev/null)
