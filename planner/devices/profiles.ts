/**
 * Devices by name, for planning without the device at hand.
 *
 * A row has what its source reports; where a source is silent about a limit, the
 * row has what every WebGPU device promises, so that a plan for it fits the real
 * device. Of features those are listed that kernels may ask for and that are known to
 * be there; where nobody reports any, none are. Rates are there only where they were
 * measured.
 *
 * @module
 */
import {
  type DeviceLimits,
  type DeviceProfile,
  type MatrixConfiguration,
  SPECIFICATION_DEFAULTS,
  type WebGpuName,
} from "../device.ts";
import { measuredRates } from "./measured.ts";
import { MATRIX_FEATURES } from "../schedule/matrix_tiles.ts";
import { COMPATIBILITY_MINIMUMS } from "./impossible.ts";

/** A device that plans can name. */
export interface NamedDevice {
  /** In kebab-case: `h100-deno`. */
  readonly name: string;
  readonly profile: DeviceProfile;
  /** Where the limits and the features come from. */
  readonly source: string;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Features of a device that no report lists. */
const UNKNOWN = undefined;

/** What every device of a kind has: no feature is promised to all. */
const NONE: readonly string[] = [];

/** Returns the implementation that a row's name ends in; Chrome's is Dawn, as a browser has it. */
function webgpuOf(name: string): WebGpuName | undefined {
  return name.endsWith("-deno")
    ? "deno"
    : name.endsWith("-dawn-unchecked")
    ? "dawn-unchecked"
    : name.endsWith("-dawn")
    ? "dawn"
    : /\bchrome\b/.test(name)
    ? "browser"
    : undefined;
}

function row(
  name: string,
  adapter: string,
  limits: Partial<DeviceLimits>,
  features: readonly string[] | undefined,
  source: string,
  matrices?: readonly MatrixConfiguration[],
): NamedDevice {
  const webgpu = webgpuOf(name);
  const rates = measuredRates(adapter, webgpu);
  return {
    name,
    profile: {
      name: adapter,
      ...(webgpu ? { webgpu } : {}),
      limits: { ...SPECIFICATION_DEFAULTS.limits, ...limits },
      ...(features ? { features: [...features] } : {}),
      ...(matrices ? { matrices } : {}),
      ...(rates ? { rates } : {}),
    },
    source,
  };
}

/**
 * Chrome rounds each limit down to a bucket. These are the buckets of the storage
 * binding, each with the smallest buffer bucket that holds it and the lowest of
 * everything else: what a page can count on that knows only the binding.
 */
const CHROME_BINDINGS: readonly (readonly [string, binding: number, buffer: number])[] = [
  ["128mib", 128 * MIB, 256 * MIB],
  ["256mib", 256 * MIB, 256 * MIB],
  ["512mib", 512 * MIB, GIB],
  ["1gib", GIB, GIB],
  ["2gib", 2 * GIB - 4, 2 * GIB],
  ["4gib", 4 * GIB - 4, 4 * GIB - 4],
];

const DAWN_TIERS = "Dawn src/dawn/native/Limits.cpp";

/** Limits of NVIDIA's Vulkan driver under Deno, as bench/h100.md's device reported them. */
const NVIDIA_DENO: Partial<DeviceLimits> = {
  maxBufferSize: 4292870144,
  maxStorageBufferBindingSize: 2 * GIB - 4,
  maxComputeWorkgroupStorageSize: 49152,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
};

/** Every device that can be named, the least capable first. */
export const NAMED_DEVICES: readonly NamedDevice[] = [
  row(
    "compatibility",
    "WebGPU compatibility mode",
    COMPATIBILITY_MINIMUMS,
    NONE,
    "WebGPU specification, limits of the compatibility feature level",
  ),
  {
    name: "default",
    profile: { ...SPECIFICATION_DEFAULTS, features: NONE },
    source: "WebGPU specification, default limits",
  },
  ...CHROME_BINDINGS.map(([size, maxStorageBufferBindingSize, maxBufferSize]) =>
    row(
      `chrome-${size}`,
      `Chrome, ${size.replace(/(\d+)(.)ib/, (_, n, p) => `${n} ${p.toUpperCase()}iB`)} bindings`,
      { maxStorageBufferBindingSize, maxBufferSize },
      NONE,
      `${DAWN_TIERS}: bucket of the binding, the lowest buckets of the rest`,
    )
  ),
  row(
    "android-phone",
    "Android phone (Adreno or Mali)",
    { maxComputeWorkgroupStorageSize: 32768 },
    NONE,
    "mlc-ai/web-llm issue 209 (Galaxy S23, Pixel 7: 128 MiB bindings); gpuweb issue 2832 (32 KiB but for Adreno 610 and 612); gpuweb issue 5006 (no Qualcomm device has shader-f16)",
  ),
  row(
    "intel-laptop-chrome",
    "Intel laptop, Chrome on Windows (D3D12)",
    {
      maxBufferSize: 2 * GIB,
      maxStorageBufferBindingSize: 2 * GIB - 4,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
    },
    UNKNOWN,
    `Dawn src/dawn/native/d3d12/PhysicalDeviceD3D12.cpp, rounded to the buckets of ${DAWN_TIERS}; features differ by chip and driver`,
  ),
  row(
    "apple-m-chrome",
    "Apple M series, Chrome (Metal)",
    {
      maxBufferSize: 4 * GIB - 4,
      maxStorageBufferBindingSize: 4 * GIB - 4,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
    },
    ["shader-f16"],
    `Dawn src/dawn/native/metal/PhysicalDeviceMTL.mm (shader-f16 on all), rounded to the buckets of ${DAWN_TIERS}`,
  ),
  row(
    "apple-m3-max-deno",
    "Apple M3 Max, Deno (wgpu, Metal)",
    {
      maxBufferSize: 77309411328,
      maxStorageBufferBindingSize: 4294967295,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
    },
    ["shader-f16", "timestamp-query"],
    "gfx-rs/wgpu issue 6221 (sizes); Dawn PhysicalDeviceMTL.mm (Apple's workgroup limits); servo/servo issue 30915 (wgpu's features on an M1 Pro)",
  ),
  row(
    "nvidia-chrome",
    "NVIDIA card, Chrome (Vulkan)",
    {
      maxBufferSize: 2 * GIB,
      maxStorageBufferBindingSize: 2 * GIB - 4,
      maxComputeWorkgroupStorageSize: 49152,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
    },
    NONE,
    `Dawn src/dawn/native/vulkan/PhysicalDeviceVk.cpp (binding; no shader-f16 on NVIDIA, as gpuweb issue 5290 reports); the driver's limits, rounded to the buckets of ${DAWN_TIERS}`,
  ),
  row(
    "nvidia-deno",
    "NVIDIA card, Deno (wgpu, Vulkan)",
    NVIDIA_DENO,
    ["shader-f16", "subgroups", "timestamp-query"],
    "Deno 2.9.6 on driver 580.159, as an H100 reported them; speed differs by card",
  ),
  row(
    "h100-deno",
    "NVIDIA H100 80GB HBM3",
    {
      ...NVIDIA_DENO,
      minStorageBufferOffsetAlignment: 32,
      minUniformBufferOffsetAlignment: 64,
      maxStorageBuffersPerShaderStage: 524288,
    },
    ["shader-f16", "subgroups", "timestamp-query"],
    "Deno 2.9.6 on driver 580.159.04, as it reports itself; rates of bench/h100.md",
  ),
  ...(["h100-dawn", "h100-dawn-unchecked"] as const).map((name) =>
    row(
      name,
      "NVIDIA H100 80GB HBM3",
      {
        ...NVIDIA_DENO,
        maxBufferSize: 2 ** 40,
        minStorageBufferOffsetAlignment: 32,
        minUniformBufferOffsetAlignment: 64,
        maxStorageBuffersPerShaderStage: 16,
      },
      [...MATRIX_FEATURES, "timestamp-query"],
      "Dawn (npm webgpu 0.6.2) on driver 580.159.04, as it reports itself, with a storage alignment of 16 rounded up to what WebGPU allows; rates of bench/matrix.md",
      [
        { m: 16, n: 16, k: 16, component: "f16", result: "f32" },
        { m: 16, n: 8, k: 16, component: "f16", result: "f32" },
        { m: 16, n: 8, k: 8, component: "f16", result: "f32" },
      ],
    )
  ),
  row(
    "swiftshader-deno",
    "SwiftShader Device (Subzero)",
    {
      maxBufferSize: GIB,
      maxStorageBufferBindingSize: GIB,
      maxStorageBuffersPerShaderStage: 10,
      maxComputeWorkgroupStorageSize: 32768,
    },
    ["subgroups", "timestamp-query"],
    "Deno 2.9.6 on the SwiftShader of Debian's chromium, as it reports itself",
  ),
  row(
    "lavapipe-deno",
    "llvmpipe (LLVM 15.0.6, 256 bits)",
    {
      maxBufferSize: 2 * GIB - 1,
      minStorageBufferOffsetAlignment: 32,
      minUniformBufferOffsetAlignment: 32,
      maxStorageBuffersPerShaderStage: 32,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
    },
    ["shader-f16", "subgroups", "timestamp-query"],
    "Deno 2.9.6 on Mesa 22.3.6, as it reports itself",
  ),
];

/**
 * Returns a device by its name, or `undefined`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(findDevice("default")?.profile.limits.maxBufferSize, 2 ** 28);
 * ```
 */
export function findDevice(name: string): NamedDevice | undefined {
  return NAMED_DEVICES.find((device) => device.name === name);
}
