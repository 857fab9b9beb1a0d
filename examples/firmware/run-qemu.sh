#!/usr/bin/env bash
# What `cargo run` starts for a board: QEMU with the image, its log decoded, its exit code kept.
#
#     run-qemu.sh BOARD IMAGE [WORD FOR THE PROGRAM]...
set -euo pipefail
exec cargo run --locked --quiet --package synod-boards --bin board -- "$@"
