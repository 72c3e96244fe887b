/**
 * What every command shares, for help and pages: how numbers are written, and the
 * environment variables that are read.
 *
 * @module
 */

/** How numbers are written, wherever one is. */
export const NUMBERS =
  "Numbers may be written as 8192, 8k or 1e4: k is 1024 and m is 1024 k, in flags, sweeps and plan files.";

/** Environment variables, and what they change. */
export const VARIABLES: readonly { readonly name: string; readonly meaning: string }[] = [
  {
    name: "LCE_CACHE",
    meaning: "the folder that measured rates are kept in (default: lce within the user's cache)",
  },
  {
    name: "LCE_CALIBRATE",
    meaning: "0 stands for --no-calibrate, wherever there is that flag",
  },
  {
    name: "LCE_WEBGPU",
    meaning:
      "the implementation of WebGPU where --webgpu is not given: deno, dawn or dawn-unchecked",
  },
  {
    name: "LCE_DAWN",
    meaning:
      "what Dawn is imported from: index.js of the npm package webgpu, or npm:webgpu@0.6.2 (default: where scripts/setup.sh --dawn puts it)",
  },
  { name: "LCE_DEBUG", meaning: "set to anything, a defect of lce is reported with its stack" },
];
