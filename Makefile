# One verb a line; `make` alone builds. What each needs: build, demo, test, lint,
# fuzz and bench need Go; deps, test-system and the e2e targets need root on Debian 12.
export CGO_ENABLED ?= 0
export GORACE ?= atexit_sleep_ms=10
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# HTTP/2 is a third of a megabyte in every guest, and no server of Heat needs it.
# Of what a guest pays for every run of a tool, most is pages of the program: they are
# fewer without inlining, but for the packages that a long run is spent in; and for errors
# and what ciphers are made of, whose callers would need more to be run at the start.
INLINED = github.com/cfn-agent/cfn-agent/... errors crypto/internal/fips140/... encoding/json os syscall internal/poll io bytes sync/... internal/bytealg net
FLAGS = -trimpath -tags nethttpomithttp2 -gcflags=all=-l $(patsubst %,-gcflags=%=,$(INLINED))
# The linker fills up each function to 32 bytes on amd64, which is a thirtieth of the program.
LDFLAGS = -s -w -funcalign=8 -X main.version=$(VERSION)
FUZZTIME ?= 50000x
# The race detector needs a C compiler; without one the tests run without it.
CC_FOUND = $(shell command -v $(CC))

# A Go that is too old says so itself; one that is not there cannot.
$(if $(shell command -v go),,$(error Go is missing: install Go 1.26 or newer, see https://go.dev/doc/install))

.PHONY: build bin/cfn-agent bin/cfn-watch demo test test-system lint fuzz bench deps e2e-heat e2e-ha e2e-keystone both clean
build: bin/cfn-agent bin/cfn-watch
bin/cfn-agent: ; go build $(FLAGS) -ldflags '$(LDFLAGS)' -o $@ ./cmd/cfn-agent
bin/cfn-watch: ; go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/cfn-watch
both: ; for arch in amd64 arm64; do GOARCH=$$arch go build $(FLAGS) -ldflags '$(LDFLAGS)' -o bin/$$arch/cfn-agent ./cmd/cfn-agent && GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' -o bin/$$arch/cfn-watch ./cmd/cfn-watch || exit; done
# The first build takes a minute of two cores: SQLite is one large package. With flags in
# common, what both programs share is built once.
demo: ; go build -trimpath -ldflags '$(LDFLAGS)' -o bin/demo/ ./cmd/cfn-agent ./cmd/cfn-watch && images/demo/demo.sh && images/demo/watch.sh
test: ; CGO_ENABLED=$(if $(CC_FOUND),1,0) go test $(if $(CC_FOUND),-race) ./...
	$(if $(CC_FOUND),go test -run RandomHistories ./watch/outbox) # many more of them without the race detector
test-system: deps ; images/e2e/system.sh
lint: both ; .ci/lint
fuzz: ; .ci/fuzz $(FUZZTIME)
bench: build ; status=0; images/e2e/bench.sh || status=1; images/e2e/bench-watch.sh || status=1; exit $$status
deps: ; images/e2e/deps.sh
e2e-heat: build ; images/e2e/heat.sh
e2e-ha: build ; images/e2e/ha.sh
e2e-keystone: build ; images/e2e/keystone.sh
clean: ; rm -rf bin
