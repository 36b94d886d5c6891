# The test targets; included by the Makefile.

.PHONY: deps try test test-unit test-integration asan lint
