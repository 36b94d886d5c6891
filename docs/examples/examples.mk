# examples.mk - the examples: built like an outside program, against the public headers and libawait
# only; tests/integration/test_examples.py runs them.

EXAMPLE_SOURCES := $(sort $(wildcard docs/examples/*.c))
EXAMPLES := $(patsubst docs/examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SOURCES))

.PHONY: examples
examples: $(EXAMPLES)

$(EXAMPLES): $(BUILD)/examples/%: docs/examples/%.c $(BUILD)/libawait.a docs/examples/examples.mk
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(OPTIMIZE) $(WARNINGS) $(SANITIZE_FLAGS) -Ilib/include -MMD -MP $(CPPFLAGS) \
	  $(CFLAGS) -o $@ $< $(BUILD)/libawait.a $(LDFLAGS) $(LIB_LIBS)

-include $(EXAMPLES:=.d)
