# docker.mk - databases in containers, and awaitd in one.

.PHONY: deps-docker test-docker test-docker-quick
deps-docker: deps-deb
	@tests/support/deps.sh docker
	@command -v docker >/dev/null || tests/support/deps.sh docker-client

DOCKER_RUN = PYTHON=$(PYTHON) BUILD=$(BUILD) tests/docker/run.sh $(DEB_FOLDER) $(BUILD)/docker $(RESULT)

# Every database test, with each pair of engines.
test-docker: deps deps-docker all $(PROGRAMS) $(EXAMPLES)
	@$(MAKE) --no-print-directory $(DEB_FOLDER)/complete
	@SUITE='tests/integration' $(DOCKER_RUN) postgres15+redis postgres17+valkey

# One pair; of the suite the files that an engine's trouble is the subject of.
test-docker-quick: deps deps-docker all $(PROGRAMS) $(EXAMPLES)
	@$(MAKE) --no-print-directory $(DEB_FOLDER)/complete
	@SUITE='$(DOCKER_QUICK)' $(DOCKER_RUN) postgres15+redis

DOCKER_QUICK := $(addprefix tests/integration/test_,postgres.py redis_target.py outage.py \
  exactly_once.py coalesce.py lease_engines.py)
