# The two commands of the README, and the way to install. Everything else is `cargo xtask`.

SHELL := /bin/bash

.PHONY: demo test build install clean

demo: ## install what is missing, build, and show two isolated networks of real containers
	@scripts/need build demo
	cargo build --release --package hakone
	@scripts/demo

test: ## install what tests need, and run every test
	@scripts/need build test
	@scripts/peer
	@scripts/firewalls
	@scripts/registry
	@scripts/registry-clients
	cargo xtask check
	cargo xtask test

build:
	@scripts/need build
	cargo build --release --package hakone

install: build ## binary, service and socket units, completions, man pages
	@scripts/install

clean:
	cargo clean
