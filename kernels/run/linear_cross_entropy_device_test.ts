import assert from "node:assert/strict";
import { bytesOf } from "../../fixtures/elements.ts";
import { computeReference } from "../../fixtures/reference/reference.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { bufferMethods } from "../testing/methods.ts";
import { LinearCrossEntropy, packUpstream, parseProblem, type Plan, plan } from "../../mod.ts";
import { EMULATED } from "../testing/alone.ts";
import { assertAgrees, lay, prepared, withBench } from "../../testing/workbench.ts";
import { Ledger } from "../measure/ledger.ts";

const problem = parseProblem({
  tokens: 70,
  hidden: 20,
  vocab: 900,
  pass: "train",
  bias: true,
  softcap: 25,
});

Deno.test("LinearCrossEntropy works step after step on the caller's buffers", () =>
  withBench(async (bench) => {
    for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
      const head = await LinearCrossEntropy.create(
        bench.device,
        plan(problem, bench.profile, { strategy }),
      );
      const first = makeSynthetic(problem, 1);
      const laid = lay(bench, head, first);
      head.lossAndGradients(laid.inputs, laid.gradients);
      await assertAgrees(head, first, laid);
      // The next step overwrites whatever the last one left in the gradients.
      const second = makeSynthetic(problem, 2);
      const again = { ...laid, inputs: lay(bench, head, second).inputs };
      head.lossAndGradients(again.inputs, again.gradients);
      await assertAgrees(head, second, again);
      head.destroy();
      assert.throws(() => head.forward(laid.inputs), /after destroy/);
    }
  }));

Deno.test("LinearCrossEntropy works step after step in matrices, whatever the last step's gradients were", () =>
  withBench(async (bench) => {
    const halves = parseProblem({
      ...{ tokens: 70, hidden: 24, vocab: 900, dtype: "f16" },
      ...{ pass: "train", reduction: "sum" },
    });
    for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
      const planned = plan(halves, bench.profile, { strategy, tile: EMULATED });
      const head = await LinearCrossEntropy.create(bench.device, planned);
      for (const seed of [1, 2]) {
        const fixture = makeSynthetic(halves, seed);
        const laid = lay(bench, head, fixture);
        head.lossAndGradients(laid.inputs, laid.gradients);
        await assertAgrees(head, fixture, laid, "matrix");
      }
      head.destroy();
    }
  }));

Deno.test("LinearCrossEntropy allocates what the plan says, and gives it back", () =>
  withBench(async (bench) => {
    for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
      const planned: Plan = plan(problem, bench.profile, { strategy });
      const ledger = new Ledger(bench.device);
      const head = await LinearCrossEntropy.create(bench.device, planned);
      assert.equal(ledger.extraPeakBytes, planned.memory.extraPeakBytes);
      const results = planned.schedule.buffers
        .filter(({ name }) => ["loss", "tokens", "totals"].includes(name))
        .reduce((sum, { bytes }) => sum + bytes, 0);
      assert.equal(ledger.peakBytes, planned.memory.extraPeakBytes + results);
      head.destroy();
      assert.equal(ledger.liveBytes, 0);
      ledger.detach();
    }
  }));

Deno.test("where memory cannot be had, create() says so and keeps none", () =>
  withBench(async (bench) => {
    // A device that promises more than it has: the first buffers can be had, the logits cannot.
    const { maxBufferSize, ...limits } = bench.profile.limits;
    const boasting = {
      ...bench.profile,
      limits: {
        ...limits,
        maxBufferSize: 4 * maxBufferSize,
        maxStorageBufferBindingSize: 4 * maxBufferSize,
      },
    };
    const vocab = 1 << 20;
    const tokens = Math.ceil(1.5 * maxBufferSize / (4 * vocab));
    const planned = plan(parseProblem({ tokens, hidden: 4, vocab }), boasting, {
      strategy: "two-stage",
    });
    const ledger = new Ledger(bench.device);
    await assert.rejects(LinearCrossEntropy.create(bench.device, planned), { name: "GpuError" });
    assert(ledger.peakBytes > 0);
    assert.equal(ledger.liveBytes, 0);
    ledger.detach();
  }));

Deno.test("forward() then backward() takes an upstream gradient that is known only then", () =>
  withBench(async (bench) => {
    const vjp = parseProblem({
      tokens: 40,
      hidden: 12,
      vocab: 300,
      pass: "train",
      objective: "statistics",
    });
    for (const strategy of ["windowed", "two-stage"] as const) {
      const head = await LinearCrossEntropy.create(
        bench.device,
        plan(vjp, bench.profile, { strategy }),
      );
      const fixture = makeSynthetic(vjp, 6);
      const laid = lay(bench, head, fixture);
      head.forward(laid.inputs);
      const forward = await head.readResults();
      assert(forward.entropy!.some((value) => value > 0));
      const packed = packUpstream(vjp, fixture.tensors.upstream!);
      const upstream = bench.buffer(packed.byteLength, bytesOf(packed));
      head.backward(laid.inputs, laid.gradients, upstream);
      await assertAgrees(head, fixture, laid);
      head.destroy();
    }
  }));

Deno.test("a matrix that spans buffers is given as several", () =>
  withBench(async (bench) => {
    const small = {
      ...bench.profile,
      limits: { ...bench.profile.limits, maxBufferSize: 40960, maxStorageBufferBindingSize: 20480 },
    };
    const head = await LinearCrossEntropy.create(
      bench.device,
      plan(problem, small, { strategy: "windowed" }),
    );
    assert(head.layout("weight").length > 1);
    const fixture = makeSynthetic(problem, 4);
    const laid = lay(bench, head, fixture);
    head.lossAndGradients(laid.inputs, laid.gradients);
    await assertAgrees(head, fixture, laid);
    head.destroy();
  }));

Deno.test("LinearCrossEntropy says what is wrong with its buffers", () =>
  withBench(async (bench) => {
    const head = await LinearCrossEntropy.create(
      bench.device,
      plan(problem, bench.profile, { strategy: "chunked" }),
    );
    const { inputs, gradients } = lay(bench, head, makeSynthetic(problem, 1));
    const { bias: _, ...withoutBias } = inputs;
    assert.throws(
      () => head.lossAndGradients(withoutBias, gradients),
      /without 1 buffer for bias: 0 given/,
    );
    assert.throws(() => head.lossAndGradients(inputs, {}), /for grad_hidden: 0 given/);
    assert.throws(
      () => head.lossAndGradients({ ...inputs, targets: bench.buffer(8) }, gradients),
      /targets is too small: it has 8 bytes, 280 are needed/,
    );
    assert.throws(() => head.backward(inputs, gradients), /chunked plan/);
    const bad = new Int32Array(70).fill(1);
    bad[17] = 900;
    const targets = bench.buffer(280, bytesOf(bad));
    head.lossAndGradients({ ...inputs, targets }, gradients);
    await assert.rejects(head.readResults(), /token 17 is neither in the vocabulary \(0 to 899\)/);
    head.destroy();
  }));

Deno.test("gradients that the plan does not have are refused, and so are missing ones", () =>
  withBench(async (bench) => {
    const sizes = { tokens: 6, hidden: 4, vocab: 10 };
    const forward = await prepared(bench, parseProblem(sizes));
    const gradients = { hidden: bench.buffer(96), weight: bench.buffer(160) };
    assert.throws(
      () => forward.head.lossAndGradients(forward.inputs, gradients),
      { name: "TypeError", message: /plan is of a forward pass.*pass: "train"/ },
    );
    assert.throws(
      () => forward.head.backward(forward.inputs, gradients),
      { name: "TypeError", message: /plan is of a forward pass.*pass: "train"/ },
    );
    const frozen = await prepared(
      bench,
      parseProblem({ ...sizes, pass: "train", gradients: ["hidden"] }),
    );
    assert.throws(
      () => frozen.head.lossAndGradients(frozen.inputs, gradients),
      { name: "TypeError", message: /grad_weight: the plan has none/ },
    );
    const bias = { ...frozen.inputs, bias: bench.buffer(40) };
    assert.throws(
      () => frozen.head.lossAndGradients(bias, { hidden: gradients.hidden }),
      { name: "TypeError", message: /bias: the plan has none/ },
    );
    const misspelt = { ...frozen.inputs, wieght: bench.buffer(160) };
    assert.throws(() => frozen.head.forward(misspelt), /Unknown buffer "wieght"/);
  }));

Deno.test("a buffer that is written cannot be another one too, and needs its usages", () =>
  withBench(async (bench) => {
    const { head, inputs, gradients } = await prepared(
      bench,
      parseProblem({ tokens: 10, hidden: 4, vocab: 10, pass: "train" }),
    );
    assert.throws(
      () => head.lossAndGradients(inputs, { ...gradients, weight: inputs.weight }),
      { name: "TypeError", message: /write grad_weight into the buffer that is given for weight/ },
    );
    const shared = bench.buffer(160);
    assert.throws(
      () => head.lossAndGradients(inputs, { hidden: shared, weight: shared }),
      { name: "TypeError", message: /write grad_weight .* given for grad_hidden/ },
    );
    const bare = bench.device.createBuffer({ size: 160, usage: GPUBufferUsage.STORAGE });
    assert.throws(
      () => head.lossAndGradients(inputs, { ...gradients, hidden: bare }),
      { name: "TypeError", message: /grad_hidden lacks a usage: it needs .*STORAGE \| .*COPY_DST/ },
    );
    bare.destroy();
  }));

Deno.test("backward() needs a forward() of its own", {
  ignore: Deno.env.has("LCE_SLOW_COMPILER"),
}, () =>
  withBench(async (bench) => {
    for (const strategy of ["windowed", "two-stage"] as const) {
      const { head, fixture, inputs, gradients, read } = await prepared(bench, problem, strategy);
      const early = { name: "TypeError", message: /backward\(\) before forward\(\)/ };
      assert.throws(() => head.backward(inputs, gradients), early);
      head.forward(inputs);
      head.backward(inputs, gradients);
      await assertAgrees(head, fixture, { inputs, gradients, read });
      // Two stages have turned their logits into gradients by now.
      assert.throws(() => head.backward(inputs, gradients), early);
      head.destroy();
    }
  }));

Deno.test("forward() of a chunked plan is refused, and the call after a refusal is right", () =>
  withBench(async (bench) => {
    const { head, fixture, inputs, gradients, read } = await prepared(bench, problem, "chunked");
    assert.throws(
      () => head.forward(inputs),
      { name: "TypeError", message: /chunked plan computes gradients along with the loss/ },
    );
    head.lossAndGradients(inputs, gradients);
    await assertAgrees(head, fixture, { inputs, gradients, read });
  }));

Deno.test("a call that breaks off in the middle leaves nothing for the next one to trip over", () =>
  withBench(async (bench) => {
    const { head, fixture, inputs, gradients, read } = await prepared(bench, problem, "windowed");
    const { createBindGroup } = bench.device;
    let calls = 0;
    bench.device.createBindGroup = (descriptor) => {
      if (++calls === 4) throw new Error("out of bind groups");
      return createBindGroup.call(bench.device, descriptor);
    };
    assert.throws(() => head.lossAndGradients(inputs, gradients), /out of bind groups/);
    bench.device.pushErrorScope("validation");
    head.lossAndGradients(inputs, gradients);
    assert.equal(await bench.device.popErrorScope(), null);
    await assertAgrees(head, fixture, { inputs, gradients, read });
  }));

Deno.test("a backward pass that broke off has used up its forward pass", () =>
  withBench(async (bench) => {
    const { head, fixture, inputs, gradients, read } = await prepared(bench, problem, "two-stage");
    const { createBindGroup } = bench.device;
    head.forward(inputs);
    let calls = 0;
    bench.device.createBindGroup = (descriptor) => {
      if (++calls === 3) throw new Error("out of bind groups");
      return createBindGroup.call(bench.device, descriptor);
    };
    assert.throws(() => head.backward(inputs, gradients), /out of bind groups/);
    // Some of its logits may be gradients by now.
    assert.throws(() => head.backward(inputs, gradients), /backward\(\) before forward\(\)/);
    head.forward(inputs);
    head.backward(inputs, gradients);
    await assertAgrees(head, fixture, { inputs, gradients, read });
  }));

Deno.test("readLoss() maps one small buffer once", () =>
  withBench(async (bench) => {
    const { head, fixture, inputs, gradients } = await prepared(bench, problem);
    head.lossAndGradients(inputs, gradients);
    const { loss } = await head.readResults();
    const mapped: number[] = [];
    const methods = bufferMethods(bench.device);
    const { mapAsync } = methods;
    methods.mapAsync = function (...how) {
      mapped.push(this.size);
      return mapAsync.apply(this, how);
    };
    try {
      assert.equal(await head.readLoss(), loss);
    } finally {
      methods.mapAsync = mapAsync;
    }
    assert.equal(mapped.length, 1);
    assert(mapped[0]! <= 64, `${mapped}`);
    assert(Math.abs(loss! - (await computeReference(fixture)).loss!) < 1e-5 * Math.abs(loss!));
  }));

Deno.test("a device that is lost is reported as such", () =>
  withBench(async (bench) => {
    const { head, inputs, gradients } = await prepared(bench, problem);
    head.lossAndGradients(inputs, gradients);
    bench.device.destroy();
    const lost = { name: "GpuError", message: /The device was lost/ };
    await assert.rejects(head.readLoss(), lost);
    await assert.rejects(head.readResults(), lost);
    await assert.rejects(
      LinearCrossEntropy.create(bench.device, plan(problem, bench.profile)),
      lost,
    );
  }));

Deno.test("tensors have names that are checked, by the compiler and when it is not asked", () =>
  withBench(async (bench) => {
    const { head } = await prepared(bench, problem);
    // @ts-expect-error no tensor of this name
    assert.throws(() => head.layout("wieght"), /Unknown tensor "wieght": there are hidden, weight/);
    assert.deepEqual(head.layout("classWeight"), []);
    assert.deepEqual(head.layout("grad_bias"), [{ bytes: 3600, offset: 0 }]);
  }));
