#!/bin/sh
# npm test: sets up what is missing, then all static checks and all tests. Fails where there is no engine; never skips.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --for test
export PATH="$PWD/node_modules/.bin:$PATH"
node scripts/check.ts
exec vitest run "$@"
