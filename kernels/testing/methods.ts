/**
 * Methods that all objects of a device's implementation share, for tests that watch
 * calls: each implementation of WebGPU has classes of its own.
 *
 * @module
 */

/** Returns the methods of every buffer. */
export function bufferMethods(device: GPUDevice): GPUBuffer {
  const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST });
  buffer.destroy();
  return Object.getPrototypeOf(buffer);
}

/** Returns the methods of every compute pass. */
export function passMethods(device: GPUDevice): GPUComputePassEncoder {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.end();
  encoder.finish();
  return Object.getPrototypeOf(pass);
}
