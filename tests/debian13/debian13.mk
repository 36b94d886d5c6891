# debian13.mk - the second userland: build and tests in a Debian 13, on this machine's kernel.

.PHONY: deps-debian13 test-debian13
deps-debian13:
	@tests/support/deps.sh systemd

test-debian13: deps-debian13
	@tests/debian13/run.sh $(BUILD)/debian13 $(RESULT)
