# examples.mk - the examples: built like an outside program, against the public headers and libawait
# only; tests/integration/test_examples.py runs them.

EXAMPLE_SOURCES := $(sort $(wildcard docs/examples/*.c))
EXAMPLES := $(patsubst docs/examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SOURCES))

.PHONY: examples
examples: $(EXAMPLES)

$(EXAMPLES): $(BUILD)/examples/%: docs/examples/%.c $(BUILD)/libawait.a docs/examples/examples.mk
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(OPTIMIZE) $(WARNINGS) $(SANITIZE_FLAGS) -Ilib/include -MMD -MP $(CPPFLAGS) \
	  $(EXAMPLE_CFLAGS) $(CFLAGS) -o $@ $< $(BUILD)/libawait.a $(LDFLAGS) $(LIB_LIBS) $(EXAMPLE_LIBS)

# Its parser of HTML; deps.sh installs it for the tests.
$(BUILD)/examples/scraper: EXAMPLE_CFLAGS = -D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags libxml-2.0)
$(BUILD)/examples/scraper: EXAMPLE_LIBS = $(shell $(PKG_CONFIG) --libs libxml-2.0)

-include $(EXAMPLES:=.d)
