#!/usr/bin/env bash
# Runs an image under QEMU, prints its decoded log, and exits with its exit code. `cargo run` starts this for a board.
#
#     run-qemu.sh BOARD IMAGE [ARGUMENT]...
set -euo pipefail
exec cargo run --locked --quiet --package synod-boards --bin board -- "$@"
