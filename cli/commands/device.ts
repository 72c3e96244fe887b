/**
 * `lce device`: what this machine's adapter offers.
 *
 * @module
 */
import { Command, Option } from "commander";
import { type DeviceProfile, LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { formatBytes, formatCount } from "../../planner/units.ts";
import { checkSavePath, saveDeviceFile } from "../files/device_file.ts";
import { UsageError } from "../exit.ts";
import { calibrateFlag, remarksOf } from "../request/calibrate.ts";
import { openDevice } from "../request/device.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";
import type { Output } from "../output.ts";
import { sourceOfRates } from "../report/plan_words.ts";
import { table } from "../report/table.ts";

/** The flags of the command. */
interface Flags {
  readonly list?: boolean;
  readonly save?: string;
  readonly webgpu?: WebGpuChoice;
  readonly calibrate?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Returns the command. */
export function deviceCommand(output: Output): Command {
  return new Command("device")
    .description("show this machine's WebGPU adapter and the limits that shape plans")
    .addOption(
      new Option("--list", "list the devices that --device knows by name").conflicts([
        "save",
        "force",
      ]),
    )
    .addOption(webgpuFlag().conflicts("list"))
    .addOption(calibrateFlag())
    .option("--save <file>", "write this machine's adapter as a profile in YAML")
    .option("--force", "replace the file that --save names")
    .option("--json", "print JSON alone: a device profile as plan files take it")
    .addHelpText(
      "after",
      `
Examples:
  $ lce device --save laptop.yaml
  $ lce plan --model gemma-2-2b --device laptop.yaml
  $ lce device --webgpu dawn
  $ lce device --list`,
    )
    .action(async ({ list, save, webgpu, calibrate, force = false, json }: Flags) => {
      if (list) {
        return output.print(json ? JSON.stringify(NAMED_DEVICES, null, 2) : listText(output.width));
      }
      if (force && save === undefined) throw new UsageError("--force: needs --save");
      if (save !== undefined) await checkSavePath(save, force);
      const { device, profile, software } = await openDevice({
        webgpu,
        remarks: remarksOf({ calibrate }, output),
      });
      device.destroy();
      if (save !== undefined) {
        await saveDeviceFile(save, profile, { force, now: new Date() });
        output.note(`Wrote ${profile.name} to ${save}.`);
        if (!json) return;
      }
      if (json) return output.print(JSON.stringify(profile, null, 2));
      const rows = LIMIT_NAMES.map((name) => [
        name,
        `${profile.limits[name]}`,
        `${SPECIFICATION_DEFAULTS.limits[name]}`,
      ]);
      output.print(`${profile.name}${software ? " (software)" : ""}\n`);
      output.print(
        table([["limit", "here", "specification"], ...rows], ["left", "right", "right"]),
      );
      output.print(`\n${abilitiesText(profile)}`);
    });
}

/** Returns what a device can do beyond the limits: its features, subgroups and their products. */
function abilitiesText(profile: DeviceProfile): string {
  const { webgpu, features, subgroups, matrices } = profile;
  const products = (matrices ?? []).map(({ m, n, k, component, result }) => [
    `${m} x ${n} x ${k}`,
    component,
    result,
  ]);
  const { min, max } = subgroups ?? {};
  return [
    `webgpu     ${webgpu}`,
    `features   ${features?.join(", ") || "none"}`,
    `subgroups  ${subgroups ? `of ${min === max ? min : `${min} to ${max}`}` : "none"}`,
    `rates      ${ratesText(profile)}`,
    `matrices   ${products.length > 0 ? "products of a subgroup, m x n x k:" : "none"}`,
    ...(products.length > 0
      ? ["", table([["product", "operands", "result"], ...products], [])]
      : []),
  ].join("\n");
}

/** Returns how fast a device is, and how that is known. */
function ratesText(profile: DeviceProfile): string {
  const source = sourceOfRates(profile);
  const { rates } = profile;
  if (!rates) return source;
  const { matrix, split } = rates;
  const products = [["f32", rates], ["matrix", matrix], ["split", split]] as const;
  const speeds = products.flatMap(([tier, one]) =>
    one ? [`${tier} ${formatCount(one.flopsPerSecond, "FLOP/s")}`] : []
  );
  return `${speeds.join(", ")}, ${formatCount(rates.bytesPerSecond, "B/s")}: ${source}`;
}

function listText(width: number | undefined): string {
  const rows = NAMED_DEVICES.map(({ name, profile: { limits, features, rates }, source }) => [
    name,
    formatBytes(limits.maxStorageBufferBindingSize),
    formatBytes(limits.maxBufferSize),
    formatBytes(limits.maxComputeWorkgroupStorageSize),
    `${limits.maxComputeInvocationsPerWorkgroup}`,
    rates ? "measured" : "",
    features === undefined ? "unknown" : features.join(" ") || "none",
    source,
  ]);
  const heads = [
    "device",
    "binding",
    "buffer",
    "workgroup",
    "invocations",
    "speed",
    "features",
    "source",
  ];
  return table([heads, ...rows], ["left", "right", "right", "right", "right"], { width });
}
