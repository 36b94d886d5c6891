# systemd.mk - the Debian packages, and the test that boots a Debian with them.

.PHONY: deps-deb deps-systemd deb test-systemd
DEB_VERSION = $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DEB_ARCHITECTURE = $(shell dpkg --print-architecture)
# All that make deb makes is here, and the tree it is made from.
DEB_FOLDER := $(BUILD)/deb
DEB_SOURCES = $(shell find daemon lib systemd config debian docs Makefile LICENSE README.md -type f)

deps-deb: deps-build
	@tests/support/deps.sh deb

deps-systemd: deps-deb
	@tests/support/deps.sh systemd

deb: deps-deb
	@$(MAKE) --no-print-directory $(DEB_FOLDER)/complete

# A copy of the tree: dpkg-buildpackage writes beside the folder it builds in.
$(DEB_FOLDER)/complete: $(DEB_SOURCES)
	@tests/systemd/build_deb.sh $(DEB_FOLDER)
	@touch $@

test-systemd: deps-systemd
	@$(MAKE) --no-print-directory $(DEB_FOLDER)/complete
	@PYTHON=$(PYTHON) tests/systemd/run.sh $(DEB_FOLDER) $(BUILD)/systemd $(RESULT)
