# Everything from a fresh clone: each target makes the virtual environment, with what it needs, and the compiled core first.
#
#   make run          the daemon in the foreground, on an embedded Valkey
#   make test         the whole test suite (PYTEST_ARGS="-k c10" for a part of it)
#   make test-quick   its part without servers, tests/unit and tests/property, on all cores: a minute
#   make demo         four worker processes on one pool, with live numbers
#   make lint         ruff, mypy --strict
#   make format       ruff's formatter, its safe fixes, the coverage of the contract, the configuration's reference
#   make bench-quick  the cost of a hit, beside the peers', as a table and a JSON file
#   make bench-fronts the cost of a hit through the fronts and frameworks, beside their libraries' own; uvicorn's requests/s (BENCH_ARGS="--only calls,frameworks,uvicorn --rounds 7 --seconds 2 --json FILE")
#   make bench-memory what a full cache costs eight workers in memory, one pool beside GLIDE's eight caches (BENCH_ARGS="--mb 256 --workers 8")
#   make bench-restart how long a daemon takes to go on with a million entries of the one before (BENCH_ARGS="--entries 1000000 --rounds 5")
#   make bench-isolation  what one client can do to another (BENCH_ARGS="--only jobs,shapes --before DIR"), as a table and a JSON file
#   make bench-instructions  the instructions of a hit, a miss, an EXISTS, beside their budget (BENCH_ARGS="--before DIR", "--keep"); needs valgrind
#   make bench-sampling  what sampling for advice costs a hit and the daemon, by pairs of slices with it and without
#   make bench-advice  hit rates and stale reads as predicted from a sample, beside replays (BENCH_ARGS="--lookups 5000000 --seeds 1,2")
#   make bench        everything beside the peers, as a table, a JSON file and a chart
#   make stress       the long forms: ten minutes of readers, 1,000 kills, ten million entries, 6,000 random histories of a pool
#   make isolation  all 4,500 command shapes, and every hostile message, beside a client that must not notice
#   make fuzz         a million hostile messages to a real daemon (FUZZ_ARGS="--messages 50000 --seed 7")
#   make chaos        200 rounds of faults under eight workers, and a report (CHAOS_ARGS="--rounds 20 --seed 7")
#   make soak         half an hour of traffic, churn and faults, looking for growth (SOAK_SECONDS=600 for less)
#   make test-sanitize  the compiled modules' tests under AddressSanitizer and UBSan
#   make screenshots  the pictures of the status page in docs/images, by a headless Chromium
#   make check-deploy the files of deploy/ and .github/ against the schemas of Compose, Kubernetes and GitHub, and hadolint
#   make check-fronts the fronts' tests with the oldest and the newest valkey-py and redis-py (CHECK_FRONTS_ARGS="redis==6.4.0")
#   make wheel        the distribution as build/wheel/*.whl
#   make wheels       wheels for other machines in dist/ (WHEELS_ARGS="--only cp312 aarch64")
#   make check-wheels each wheel in dist/ checked, installed where it can be, and tried there
#   make sdist, check-sdist  the source distribution in dist/; installed elsewhere, and its fast tests run
#   make sbom         what an installation of the daemon consists of, as CycloneDX in dist/
#   make install      the daemon, its units, man pages and completions for this host (PREFIX, DESTDIR, PIP_ARGS)
#   make deb          a Debian package of the daemon in dist/, for the Debian that it is built on
#   make check-deb    that package judged by lintian, installed, upgraded and purged under a real systemd
#   make uninstall    all of that away; a configuration that was changed stays
#   make core         rebuild the compiled core only
#   make clean        remove what the targets above made

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

PYTEST_ARGS ?=
RUN_ARGS    ?=
BENCH_JSON  ?= build/bench-quick.json
BENCH_ARGS  ?=
FUZZ_ARGS   ?=
STRESS_SECONDS ?= 600
CHAOS_ARGS  ?=
SOAK_SECONDS ?= 1800

PREFIX    ?= /usr/local
DESTDIR   ?=
PIP_ARGS  ?=
WHEELS_ARGS       ?=
CHECK_WHEELS_ARGS ?=
CHECK_FRONTS_ARGS ?=
WHEEL_DIR ?= build/wheel
DEB_DIR    ?= $(CURDIR)/build/deb
DEB_OUTPUT ?= dist

CORE_DECLARED := $(shell find shared client daemon -name '*.pxd')
CORE_MODULES  := $(wildcard $(CORE_DECLARED:.pxd=.py)) $(shell find shared client daemon -name '*.pyx')
CORE_SOURCES  := $(CORE_DECLARED) $(wildcard $(CORE_DECLARED:.pxd=.py)) $(shell find shared client daemon -name '*.pyx' -o -name '*.h')

INSTALLED := $(VENV)/.installed
CORE      := $(VENV)/.core
TOOLS     := $(VENV)/.tools
GLIDE     := $(VENV)/.glide
UWSGI     := $(VENV)/.uwsgi
DEPLOY    := $(VENV)/.deploy
JUDGES    := $(VENV)/.judges
PEERS     := $(VENV)/.peers

PIP_INSTALL        := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CHECK_BUILD        := command -v '$(PYTHON)' >/dev/null || { echo "glidecached: PYTHON=$(PYTHON) is no program" >&2; exit 1; }; \
    $(PYTHON) tools/check_build.py
BUILD_REQUIREMENTS := 'setuptools>=77' 'Cython>=3.3'
install_extras      = $(BIN)/python tools/requirements.py $(1) >$(VENV)/requirements.txt && \
    $(PIP_INSTALL) --requirement $(VENV)/requirements.txt

# What builds the wheel has nothing of what tests need, and is of the very interpreter that the service will run on.
BUILDER   := build/builders/$(subst /,_,$(PYTHON))
# BUILDER=.venv takes the modules that are compiled there.
IN_VENV   := $(filter $(abspath $(VENV)),$(abspath $(BUILDER)))
BUILD_ENVIRONMENT = $(if $(IN_VENV),GLIDECACHED_REUSE_MODULES=1,GLIDECACHED_C_CODE=$(BUILDER)/cython)

# What makes wheels for other machines too.
RELEASER  := build/releaser

# Two of these targets may start at once in one clone: the second waits, and looks again at what is out of date.
LOCKED_MAKE = mkdir -p build && flock build/.setup.lock $(MAKE) --silent --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run test test-quick demo stress isolation test-sanitize lint format bench-quick bench-fronts bench-memory bench-restart bench-isolation bench-instructions bench-sampling bench-advice bench check-deploy core clean fuzz screenshots chaos soak installed tools uwsgi builder releaser checker wheel wheels check-wheels sdist check-sdist sbom install uninstall deb check-deb check-fronts

help:
	@sed -n '3,/^$$/s/^# *//p' Makefile

run: installed
	@exec $(BIN)/glidecached --embedded $(RUN_ARGS)

# Two files at a time: most tests wait for servers, and those that measure time allow for that much load.
test: tools
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

# On all cores: these tests share nothing but the machine.
test-quick: tools
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 tests/unit tests/property $(PYTEST_ARGS)

stress: tools
	@GLIDECACHE_STRESS_SECONDS=$(STRESS_SECONDS) $(BIN)/python -m pytest tests/stress/test_whole_values.py -k overwrites $(PYTEST_ARGS)
	@GLIDECACHE_STRESS=long GLIDECACHE_STRESS_SECONDS=20 $(BIN)/python -m pytest tests/stress tests/unit/pool/test_large_pools.py $(PYTEST_ARGS)
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/property/test_pool_machine.py $(PYTEST_ARGS)

isolation: tools
	@GLIDECACHE_STRESS=long $(BIN)/python -m pytest tests/isolation $(PYTEST_ARGS)

fuzz: tools
	@PYTHONPATH=daemon:client:shared:tests $(BIN)/python -m fuzz $(FUZZ_ARGS)

chaos: tools
	@PYTHONPATH=tests $(BIN)/python -m chaos.run $(CHAOS_ARGS)

soak: tools
	@PYTHONPATH=tests $(BIN)/python -m chaos.soak --seconds $(SOAK_SECONDS)

test-sanitize: tools
	@PYTHON=$(CURDIR)/$(BIN)/python scripts/test-sanitize $(PYTEST_ARGS)

screenshots: tools
	@PYTHONPATH=tests $(BIN)/python scripts/screenshot.py

demo: installed
	@$(BIN)/python scripts/demo.py

lint: tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: tools
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@$(BIN)/python scripts/contract_coverage.py
	@$(BIN)/python tools/generate_configuration.py

bench-quick: tools
	@$(LOCKED_MAKE) $(GLIDE)
	@PYTHONPATH=tests $(BIN)/python benchmarks/quick.py --json $(BENCH_JSON)

bench-fronts: tools
	@$(LOCKED_MAKE) $(GLIDE)
	@PYTHONPATH=tests $(BIN)/python benchmarks/fronts.py $(BENCH_ARGS)

bench-memory: tools
	@$(LOCKED_MAKE) $(GLIDE)
	@PYTHONPATH=tests $(BIN)/python benchmarks/memory.py $(BENCH_ARGS)

bench-restart: tools
	@PYTHONPATH=tests $(BIN)/python benchmarks/warm_restart.py $(BENCH_ARGS)

bench-isolation: tools
	@PYTHONPATH=tests $(BIN)/python benchmarks/isolation_bench.py $(BENCH_ARGS)

bench-sampling: tools
	@PYTHONPATH=tests $(BIN)/python benchmarks/sampling_cost.py $(BENCH_ARGS)

bench-instructions: tools
	@PYTHONPATH=tests $(BIN)/python benchmarks/instructions.py $(BENCH_ARGS)

bench-advice: tools
	@$(LOCKED_MAKE) $(JUDGES)
	@$(BIN)/python benchmarks/advice_bench.py $(BENCH_ARGS)

bench: tools
	@$(LOCKED_MAKE) $(PEERS)
	@$(BIN)/python benchmarks/bench.py --output build/bench.json $(BENCH_ARGS)

# The schemas are of the oldest Kubernetes that the manifests say they need; a field that it does not know is an error.
check-deploy: tools
	@$(LOCKED_MAKE) $(DEPLOY)
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/kubernetes-validate --strict --quiet --kubernetes-version 1.29 deploy/kubernetes/*.yaml

check-fronts: tools
	@$(BIN)/python tools/check_fronts.py $(CHECK_FRONTS_ARGS)

# What the last build left is removed first, or a module that is gone would be in the wheel; the compiled core stays.
wheel: $(if $(IN_VENV),core,builder)
	@mkdir -p build && echo "making the wheel$(if $(IN_VENV),, (a minute or two: all modules are compiled)) ..."
	@flock build/.setup.lock sh -c "find build/lib* -type f ! -name '*.so' -delete 2>/dev/null; \
	    rm -rf '$(WHEEL_DIR)'; $(BUILD_ENVIRONMENT) $(BUILDER)/bin/python -m pip wheel --quiet --disable-pip-version-check \
	    --no-build-isolation --no-deps --wheel-dir '$(WHEEL_DIR)' ."

# On Linux for x86-64 and aarch64, glibc and musl, CPython 3.11 to 3.14, on this one machine.
wheels: releaser
	@GLIDECACHED_C_CODE=build/wheel-cache/cython PYTHONPATH=tools $(RELEASER)/bin/python -m wheels.build $(WHEELS_ARGS)

check-wheels: checker
	@PYTHONPATH=tools $(RELEASER)/bin/python -m wheels.check $(CHECK_WHEELS_ARGS)

install: wheel
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PIP_ARGS="$(PIP_ARGS)" \
	    scripts/install $(WHEEL_DIR)/*.whl $(BUILDER)/bin/python

uninstall:
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install --uninstall

# Built in a copy of its folder alone, since dpkg-buildpackage puts what it makes into the folder above.
deb:
	@for program in dpkg-buildpackage dh; do command -v $$program >/dev/null || \
	    { echo "make deb needs $$program: scripts/system-deps --deb installs it" >&2; exit 1; }; done
	@rm -rf $(DEB_DIR) && mkdir -p $(DEB_DIR)/glidecached dist && cp -r debian $(DEB_DIR)/glidecached/
	@cd $(DEB_DIR)/glidecached && TOP='$(CURDIR)' INSTALL_ARGS='WHEEL_DIR=$(DEB_DIR)/wheel' \
	    dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo --no-check-builddeps >../build.log 2>&1 || \
	    { tail -n 40 ../build.log >&2; exit 1; }
	@rm -f '$(DEB_OUTPUT)'/glidecached_*.deb && cp $(DEB_DIR)/*.deb '$(DEB_OUTPUT)'
	@cd '$(DEB_OUTPUT)' && ls -1 glidecached_*.deb

# Built as it is given to others, judged, and tried on a machine with a real systemd; the suite has a short form.
check-deb: tools deb
	@command -v lintian >/dev/null || { echo "make check-deb needs lintian: scripts/system-deps --deb installs it" >&2; exit 1; }
	@GLIDECACHED_DEB="$$(ls '$(DEB_OUTPUT)'/glidecached_*.deb)" $(BIN)/python -m pytest tests/systemd/test_packaged_host.py $(PYTEST_ARGS)

# The same bytes every time: its files have the time of the last commit.
sdist: releaser
	@GLIDECACHED_NO_EXTENSIONS=1 SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} \
	    PYTHONPATH=tools $(RELEASER)/bin/python -m wheels.sdist

# Unpacked, installed, and its own fast tests run there.
check-sdist: sdist
	@rm -rf build/sdist && mkdir -p build/sdist && tar --extract --gzip --strip-components=1 --directory build/sdist --file dist/*.tar.gz
	@$(MAKE) --no-print-directory --directory build/sdist test-quick

# What an installation of the daemon consists of, with versions, as CycloneDX.
sbom: wheel releaser
	@PYTHONPATH=tools $(RELEASER)/bin/python -m wheels.sbom $(WHEEL_DIR)/*.whl

releaser:
	@$(LOCKED_MAKE) $(RELEASER)/.check-wheels $(RELEASER)/.wheels

checker:
	@$(LOCKED_MAKE) $(RELEASER)/.check-wheels

# Both groups of tools in one environment, the larger one only where it is used.
$(RELEASER)/.%: pyproject.toml
	@echo "installing what \`make $*\` needs ..."
	@test -x $(RELEASER)/bin/pip || { $(CHECK_BUILD) && $(PYTHON) -m venv $(RELEASER); }
	@$(PYTHON) tools/requirements.py --group $* >$(RELEASER)/$*.txt
	@$(RELEASER)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(RELEASER)/$*.txt
	@touch $@

builder:
	@$(LOCKED_MAKE) $(BUILDER)/.builder

$(BUILDER)/.builder:
	@$(CHECK_BUILD)
	@$(PYTHON) -m venv --clear $(BUILDER)
	@$(BUILDER)/bin/python -m pip install --quiet --disable-pip-version-check $(BUILD_REQUIREMENTS)
	@touch $@

core:
	@$(LOCKED_MAKE) $(CORE)

installed:
	@$(LOCKED_MAKE) $(INSTALLED) $(CORE)

tools:
	@$(LOCKED_MAKE) $(TOOLS) $(CORE)

uwsgi:
	@$(LOCKED_MAKE) $(UWSGI)

# What is missing is said before anything is made.
$(VENV)/.made:
	@$(CHECK_BUILD)
	@echo "setting up $(VENV) (about a minute) ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) $(BUILD_REQUIREMENTS)
	@touch $@

# The project is installed without its compiled modules, which $(CORE) makes beside their sources, once. pip runs again
# only when what it reads has changed; a stamp is written last, so that an interrupted installation is repeated.
$(INSTALLED): $(VENV)/.made pyproject.toml setup.py
	@GLIDECACHED_NO_EXTENSIONS=1 $(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@$(call install_extras,embedded top direct)
	@touch $@

# What tests and checks need besides is several times as much, and of no use to who only runs it.
$(TOOLS): $(INSTALLED)
	@echo "installing what tests and checks need ..."
	@$(call install_extras,dev)
	@touch $@

# What the compiler says is kept in build/core.log, and shown when it fails.
$(CORE): $(VENV)/.made setup.py tools/extensions.py $(CORE_SOURCES)
	@if [ -e $@ ]; then echo "compiling what has changed ..."; else \
	    echo "compiling $(words $(CORE_MODULES)) modules on $$(nproc) processors (about a minute on two) ..."; fi
	@mkdir -p build
	@$(BIN)/python setup.py --quiet build_ext --inplace >build/core.log 2>&1 || { cat build/core.log >&2; exit 1; }
	@touch $@

$(UWSGI): $(TOOLS)
	@echo "building uWSGI (half a minute) ..."
	@$(call install_extras,uwsgi)
	@touch $@

$(DEPLOY): $(TOOLS)
	@$(call install_extras,--group check-deploy)
	@touch $@

$(JUDGES): $(TOOLS)
	@$(call install_extras,--group bench-advice)
	@touch $@

$(GLIDE): $(TOOLS)
	@echo "installing GLIDE to measure against ..."
	@$(call install_extras,bench)
	@touch $@

# The benchmark leaves out by name what is not there. memcached comes from the system: scripts/system-deps --bench.
$(PEERS): $(GLIDE)
	@echo "installing the other peers ..."
	@$(BIN)/python tools/requirements.py peers \
	    | while read -r peer; do $(PIP_INSTALL) "$$peer" || echo "not installed: $$peer"; done
	@touch $@

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find daemon client shared tests -name __pycache__ -type d -prune -exec rm -rf {} +
	find shared client daemon -name '*.so' -delete
	find . -maxdepth 2 -name '*.egg-info' -type d -prune -exec rm -rf {} +
