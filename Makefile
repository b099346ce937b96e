# Two commands matter: `make demo` shows the exchange, `make test` proves it.
GO      ?= go
BIN     := bin/hutong
DATA    ?=
PACKAGES = ./... hutong/testdata/region hutong/testdata/people

.PHONY: demo test crash build web generate lint chromium bench clean

## demo: build, load a synthetic region into .demo/ and serve it (DATA=DIR adds a folder of FHIR bundles)
demo: build
	./$(BIN) demo --dir .demo $(if $(DATA),--load "$(DATA)")

## build: the one binary
build:
	$(GO) build -trimpath -tags nomsgpack -o $(BIN) ./cmd/hutong

## test: install what the tests need, then run everything, race detector on
test: chromium lint
	$(GO) test -race -timeout 20m $(PACKAGES)

## crash: kill a serving exchange ROUNDS times and race RACES rounds of conditional creates; the record goes to deploy/crash
ROUNDS ?= 1000
RACES  ?= 100000
crash: build
	./$(BIN) crash --rounds $(ROUNDS) --races $(RACES) --out deploy/crash

## lint: formatting and vet
lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet -race $(PACKAGES) # with -race it shares the builds of the tests
	cd fhir/store/mongo/testserver && $(GO) vet ./... # a module of its own

## chromium: a real browser and CJK fonts for the page tests (Debian; elsewhere set CHROMIUM to yours)
chromium:
	@if [ -n "$(CHROMIUM)" ] || command -v chromium >/dev/null; then exit 0; fi; \
	 sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	 $$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-noto-cjk

## web: rebuild the pages after a change to their sources (needs Node 20 and npm)
web:
	cd gateway/web/app && npm ci && npm run build

## generate: rebuild the generated tables from the embedded definitions
generate:
	$(GO) generate ./...

## bench: the Go benchmarks of every room
bench:
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

clean:
	rm -rf bin .demo
