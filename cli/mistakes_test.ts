import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { lce, withFile } from "./testing.ts";

const PLAN = ["plan", "--vocab", "1000", "--hidden", "64"];

const MISTYPED: readonly [string[], RegExp][] = [
  [[...PLAN, "--strategy", "windoed"], /Allowed choices are .*\. Did you mean windowed\?/],
  [[...PLAN, "--dtype", "bf61"], /Did you mean bf16 or f16\?/],
  [[...PLAN, "--pass", "trian"], /Did you mean train\?/],
  [[...PLAN, "--statistics", "entrpy"], /--statistics .*\. Did you mean entropy\?/],
  [[...PLAN, "--pass", "train", "--gradients", "wieght"], /Did you mean weight\?/],
  [["run", "--limits", "adaptr"], /Did you mean adapter\?/],
  [["completions", "bsh"], /Did you mean bash or zsh\?/],
  [["completion", "bash"], /unknown command 'completion'\n\(Did you mean completions\?\)/],
];
for (const [args, message] of MISTYPED) {
  Deno.test(`lce ${args.join(" ")} is met with the choice that was meant`, async () => {
    const { code, err } = await lce(...args);
    assert.equal(code, EXIT.usage);
    assert.match(err, message);
  });
}

Deno.test("a choice like no other is met with all of them and no guess", async () => {
  const { err } = await lce(...PLAN, "--strategy", "magic");
  assert.match(err, /Allowed choices are two-stage, fused, windowed, chunked\.\n/);
  assert.doesNotMatch(err, /Did you mean/);
});

const CONTRADICTIONS: readonly [string[], number, RegExp][] = [
  [
    [...PLAN, "--strategy", "fused", "--pass", "train"],
    EXIT.usage,
    /--strategy fused: .*the pass is train\. For this pass there are two-stage, windowed, chunked/,
  ],
  [
    [...PLAN, "--strategy", "chunked"],
    EXIT.usage,
    /--strategy chunked: .*the pass is forward\. For this pass there are two-stage, fused$/m,
  ],
  [["run", "--strategy", "fused", "--pass", "train"], EXIT.usage, /--strategy fused: /],
  [["run", "--sample-temperature", "0.8"], EXIT.usage, /is of --sample SEED: leave it out/],
  [["run", "--sample", "0.5"], EXIT.usage, /--sample 0.5: must be a whole number from 0 to/],
  [
    ["run", "--sample", "1", "--sample-temperature", "0"],
    EXIT.usage,
    /sampleTemperature|temperature/,
  ],
  [["bench", "--strategy", "windowed", "--pass", "forward"], EXIT.usage, /--strategy windowed: /],
  [["bench", "--json", "--format", "csv"], EXIT.usage, /--json' cannot be used with .*--format/],
  [
    [...PLAN, "--pass", "train", "--strategy", "two-stage", "--window", "256"],
    EXIT.usage,
    /--strategy two-stage: works on the whole vocabulary, so a window of 256 ids/,
  ],
  [[...PLAN, "--gradients", "hidden"], EXIT.usage, /--gradients hidden: .*Set the pass to train/],
  [[...PLAN, "--pass", "train", "--gradients", "bias"], EXIT.usage, /set bias to true/],
  [
    [...PLAN, "--gradient-dtype", "bf16"],
    EXIT.usage,
    /--gradient-dtype bf16: .*the forward pass has none\. Set the pass to train, or leave it out/,
  ],
  [
    [...PLAN, "--pass", "train", "--gradients", "hidden", "--gradient-dtype", "f16"],
    EXIT.usage,
    /--gradient-dtype f16: .*no gradient of the weight is asked for/,
  ],
  [
    [...PLAN, "--pass", "train", "--gradient-dtype", "f16", "--tensor-parallel", "2"],
    EXIT.usage,
    /--gradient-dtype f16: ranks add up their gradients in f32/,
  ],
  [
    [...PLAN, "--pass", "train", "--gradient-dtype", "f16", "--host-io"],
    EXIT.usage,
    /--gradient-dtype f16: lce run, which that plans, gives back gradients in f32/,
  ],
  [
    [...PLAN, "--pass", "train", "--gradient-dtype", "bf16", "--strategy", "chunked"],
    EXIT.doesNotFit,
    /chunked adds to the weight's gradient block after block, which bf16 would round each time/,
  ],
  [
    ["bench", "--gradient-dtype", "bf16", "--pass", "forward"],
    EXIT.usage,
    /--gradient-dtype bf16: the forward pass has no gradients/,
  ],
  [
    ["bench", "--gradient-dtype", "bf16", "--strategy", "two-stage"],
    EXIT.usage,
    /two-stage would round the gradient again and again\. Leave it out, or choose windowed/,
  ],
  // The weight alone takes 256000 bytes.
  [[...PLAN, "--budget", "200kB"], EXIT.doesNotFit, /the smallest that would is \d+ bytes/],
];
for (const [args, expected, message] of CONTRADICTIONS) {
  Deno.test(`lce ${args.join(" ")} says what contradicts what`, async () => {
    const { code, out, err } = await lce(...args);
    assert.equal(code, expected, err);
    assert.match(err, message);
    assert.equal(out, "");
  });
}

Deno.test("a contradiction or a mistyped word within a plan file is the file's", async () => {
  const cases: [string, RegExp][] = [
    ["vocab: 1000\nhidden: 64\npass: train\nstrategy: fused\n", /strategy fused: .*pass is train/],
    ["vocab: 1000\nhidden: 64\ndtype: bf61\n", /dtype "bf61": .*Did you mean bf16/],
    ["vocab: 1000\nhiden: 64\n", /unknown setting hiden\. Did you mean hidden\?/],
    ['vocab: 1000\nhidden: 64\n"": 1\n', /unknown setting ""\./],
  ];
  for (const [text, message] of cases) {
    await withFile(text, async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input, err);
      assert(err.includes(path), err);
      assert.match(err, message);
    });
  }
});

Deno.test("a flag that contradicts a plan file is the flag's fault", async () => {
  await withFile("vocab: 1000\nhidden: 64\nstrategy: fused\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path, "--pass", "train");
    assert.equal(code, EXIT.usage);
    assert.match(err, /--strategy fused: .*pass is train/);
  });
});
