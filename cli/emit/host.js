/**
 * A minimal host for what `lce emit` wrote beside this file. Web APIs only: any
 * runtime with WebGPU can run it, or read it to see what a host of its own must do.
 *
 *     const device = await adapter.requestDevice({ requiredLimits: manifest.requires.limits });
 *     const outputs = await run(device, manifest, kernels, inputs);
 *
 * manifest: manifest.json, parsed. kernels: text of each .wgsl file, by its name.
 * inputs and outputs: bytes of whole tensors (Uint8Array), by the names in the manifest's
 * `tensors`, which says their types, shapes and what their rows are.
 */
export async function run(device, manifest, kernels, inputs) {
  const { buffers, uniforms, steps } = manifest;
  const gpu = {};
  for (const { name, bytes, category, holds } of buffers) {
    const isUniform = name === uniforms.buffer;
    gpu[name] = device.createBuffer({
      label: name,
      size: bytes,
      usage: (isUniform ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE) |
        GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
    if (category !== "input") continue;
    // A matrix may span buffers; the last word may end past an odd number of 16-bit elements.
    const piece = new Uint8Array(bytes);
    piece.set(inputs[holds.tensor].subarray(holds.offset, holds.offset + bytes));
    device.queue.writeBuffer(gpu[name], 0, piece);
  }
  uniforms.words.forEach((words, index) =>
    device.queue.writeBuffer(
      gpu[uniforms.buffer],
      index * uniforms.stride,
      Uint32Array.from(words),
    )
  );

  const pipelines = {};
  for (const [file, { slots }] of Object.entries(manifest.kernels)) {
    const visibility = GPUShaderStage.COMPUTE;
    const layout = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility, buffer: { type: "uniform", hasDynamicOffset: true } },
        ...slots.map(({ access }, index) => ({
          binding: index + 1,
          visibility,
          buffer: { type: access === "read" ? "read-only-storage" : "storage" },
        })),
      ],
    });
    pipelines[file] = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: device.createShaderModule({ code: kernels[file] }),
        entryPoint: "main",
      },
    });
  }

  const encoder = device.createCommandEncoder();
  for (const step of steps) {
    if (step.clear) {
      encoder.clearBuffer(gpu[step.clear.buffer], step.clear.offset, step.clear.bytes);
      continue;
    }
    const pipeline = pipelines[step.kernel];
    const resources = [
      { buffer: gpu[uniforms.buffer], offset: 0, size: uniforms.bytesPerDispatch },
      ...step.bindings.map(({ buffer, offset, bytes }) => ({
        buffer: gpu[buffer],
        offset,
        size: bytes,
      })),
    ];
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: resources.map((resource, binding) => ({ binding, resource })),
      }),
      [step.paramsOffset],
    );
    pass.dispatchWorkgroups(...step.workgroups);
    pass.end();
  }

  const outputs = {};
  // Results, and records of how they came about.
  const results = buffers.filter(({ category, holds }) => holds && category !== "input");
  const readbacks = results.map((spec) => {
    const staging = device.createBuffer({
      size: spec.bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.copyBufferToBuffer(gpu[spec.name], 0, staging, 0, spec.bytes);
    return { spec, staging };
  });
  device.queue.submit([encoder.finish()]);
  for (const { spec: { holds, bytes }, staging } of readbacks) {
    await staging.mapAsync(GPUMapMode.READ);
    const before = outputs[holds.tensor] ?? new Uint8Array(0);
    const whole = new Uint8Array(Math.max(before.length, holds.offset + bytes));
    whole.set(before);
    whole.set(new Uint8Array(staging.getMappedRange()), holds.offset);
    outputs[holds.tensor] = whole;
    staging.destroy();
  }
  for (const buffer of Object.values(gpu)) buffer.destroy();
  return outputs;
}
