#!/usr/bin/env bash
# What bench/matrix.md leaves to be timed on an H100, in one call of some seven minutes:
#
#     bench/matrix_next.sh [OTHER_TREE] [DAWN]
#
# OTHER_TREE: a tree whose kernels are timed beside this one's, such as a branch's, laid out by
# `git archive BRANCH | tar -x -C DIR`. DAWN: what bench/matrix_probe.ts imports Dawn from.
# A part that fails does not end the others.
set -uo pipefail
other=${1:-}
dawn=${2:-npm:webgpu@0.6.2}
first=8192x2304x256000
second=4096x4096x128256
third=16384x4096x128256

part() { echo; echo "== $1 ($(date +%T))"; }
bench() {
  deno task -q lce bench --webgpu dawn-unchecked --repeats 5 --kernels --quiet "$@" || echo "failed: $*"
}

part "chunked training, gradients of windows of so many ids: is a window that stays in L2 faster?"
for window in 233016 65536 16384 8192; do
  bench --shape $first --dtype bf16 --pass train --strategy chunked --window $window
done
for window in 128256 16384 8192; do
  bench --shape $second --dtype bf16 --pass train --strategy chunked --window $window
done

if [ -n "$other" ]; then
  part "the same in $other"
  (
    cd "$other" || exit
    bench --shape $first --dtype bf16 --pass train --strategy chunked --window 65536
    bench --shape $second --dtype bf16 --pass train --strategy chunked --window 16384
  )
fi

part "a peaked softmax, gradients filtered: 54 ms is wanted"
bench --shape $first --dtype bf16 --pass train --strategy chunked --inputs peaked --gradient-filter auto

part "beside Tokamax: 56 ms forward, 144 with gradients"
bench --shape $third --dtype bf16 --pass forward --strategy fused
bench --shape $third --dtype bf16 --pass train --strategy chunked

part "the weight's gradient by itself, of 2048 tokens: added to what is there, of a wide window"
deno run -A bench/matrix_probe.ts "$dawn" 2048 2304 256000 "dW"
